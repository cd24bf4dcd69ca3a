// The box with other words for a word of the translation.

import * as api from "./api.js";
import { byId, characters, make, spoken } from "./dom.js";

const COUNT = 6;
let box = null, opener = null, request = null;

// Opens the box below `button`, word `index` of `translation`. `choose(prefix, text)` is called with the beginning to
// keep, and with the whole translation if it ends there.
export async function openAlternatives({ translation, index, button, body, choose }) {
  closeAlternatives();
  const word = translation.words[index];
  const before = characters(translation.text).slice(0, word.start);
  const { lang, dir } = byId("target-words");
  const title = make("p", { class: "legend", id: "box-title" }, "Instead of ", make("bdi", { lang }, word.text));
  const list = make("div", { class: "choices", "aria-live": "polite" }, make("p", { class: "legend" }, "Looking …"));
  const own = make("input", { type: "text", lang, dir, autocomplete: "off", placeholder: "or type how it goes on" });
  own.setAttribute("aria-label", "Type how the translation goes on");
  const form = make("form", {}, own, make("button", { type: "submit" }, "Go on"));
  box = make("div", { class: "box", role: "dialog", "aria-labelledby": "box-title", tabIndex: -1 }, title, list, form);
  opener = button;
  button.setAttribute("aria-expanded", "true");
  const take = (prefix, text) => {
    closeAlternatives();
    choose(prefix, text);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (own.value.trim()) take(before + own.value.trimStart());
  });
  box.addEventListener("keydown", (event) => move(event));
  byId("result").append(box);
  place(button);
  box.focus();
  await fill(list, { ...body, prefix: before, count: COUNT }, word.text, take);
}

export function closeAlternatives() {
  if (!box) return;
  const inside = box.contains(document.activeElement);
  request?.abort();
  box.remove();
  opener.removeAttribute("aria-expanded");
  if (inside && opener.isConnected) opener.focus();
  box = opener = request = null;
}

async function fill(list, body, current, take) {
  request = new AbortController();
  const { signal } = request;
  try {
    const found = await api.alternatives(body, signal);
    const choices = found.map((translation) => choice(translation, body.prefix, current, take)).filter(Boolean);
    list.replaceChildren(...(choices.length ? choices : [make("p", { class: "legend" }, "No other word was found.")]));
    if (document.activeElement === box) choices[0]?.focus();
  } catch (error) {
    if (error.name !== "AbortError") list.replaceChildren(make("p", { class: "error" }, error.message));
  }
}

// A button: the next word, then faintly how the translation would go on. null if the translation ends here.
function choice({ text, words }, prefix, current, take) {
  const all = characters(text), { length } = characters(prefix);
  const next = words.find((word) => word.end > length);
  if (!next) return null;
  const rest = all.slice(next.end);
  const [after = ""] = rest; // is kept as well, so that the word ends here: a space, or punctuation
  const kept = all.slice(0, next.end) + (spoken(after) ? "" : after);
  const word = make("b", {}, all.slice(length, next.end));
  const { lang, dir } = byId("target-words");
  const button = make("button", { type: "button", class: "choice", lang, dir }, word, make("span", {}, rest));
  if (next.text === current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => take(kept, rest ? null : text));
  return button;
}

function move(event) {
  if (event.key === "Escape") closeAlternatives();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const all = [...box.querySelectorAll("button.choice, input")];
  const next = all.indexOf(document.activeElement) + step;
  all[(next + all.length) % all.length]?.focus();
  event.preventDefault();
}

function place(button) {
  const card = byId("result").getBoundingClientRect(), word = button.getBoundingClientRect();
  const left = Math.min(word.left - card.left, card.width - box.offsetWidth - 8);
  box.style.left = `${Math.max(8, left)}px`;
  box.style.top = `${word.bottom - card.top + 6}px`;
}

window.addEventListener("resize", () => {
  if (box) place(opener);
});
document.addEventListener("pointerdown", (event) => {
  if (box && !box.contains(event.target) && !opener.contains(event.target)) closeAlternatives();
});
document.addEventListener("focusin", (event) => {
  if (box && !box.contains(event.target) && event.target !== opener) closeAlternatives();
});
