// The words of the text and of the translation: pointing at one shows what it is linked to.

import { byId, characters, make, percent, spoken } from "./dom.js";

const LINKED = 0.1; // minimum attention for words to count as linked
const STRONG = 0.5; // attention from which a word is written in the other colour
const UNCOVERED = 0.2; // a source word with less attention in all may be missing in the translation
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
export const DOUBTFUL = 0.5, UNSURE = 0.75; // confidence below which a word is marked

let source = [], target = [], attention = null;

// Shows a translation; `kept` is the number of its characters that the user has fixed, `open(index, button)` is called
// when a word of the translation is clicked, `point(row, column)` when one is pointed at (null: none).
export function showWords(translation, { kept, open, point }) {
  attention = translation.attention ?? null;
  const coverage = translation.coverage ?? [];
  const pointable = attention ? translation.source_words : [];
  source = pointable.map((word, column) => sourceWord(word, coverage[column]));
  target = translation.words.map((word) => targetWord(word, kept));
  source.forEach((button, column) => listen(button, () => point(null, column), () => point(null, null)));
  target.forEach((button, row) => {
    listen(button, () => point(row, null), () => point(null, null));
    button.addEventListener("click", () => open(row, button));
  });
  describe(translation);
  rove(source);
  rove(target);
  byId("source-words").replaceChildren(...(attention ? between(translation.source, pointable, source) : []));
  byId("target-words").replaceChildren(...between(translation.text, translation.words, target));
  byId("coverage").hidden = !source.some((button) => button.classList.contains("uncovered"));
  byId("legend").hidden = !target.some((button) => button.matches(".unsure, .doubtful"));
}

export function focusWord(index) {
  target[Math.min(index, target.length - 1)]?.focus();
}

export const isKnown = (confidence) => confidence !== null && confidence !== undefined;

// Shows the text of a translation that is not complete.
export function showText(text) {
  clearWords();
  byId("target-words").textContent = text;
}

export function clearWords() {
  source = target = [];
  for (const id of ["source-words", "target-words"]) byId(id).replaceChildren();
  for (const id of ["coverage", "legend"]) byId(id).hidden = true;
}

// Marks the words linked to word `row` of the translation or word `column` of the text, or just these two.
export function pointAt(row, column) {
  const both = row !== null && column !== null;
  const weight = (i, j) => attention?.[i]?.[j] ?? 0;
  source.forEach((button, j) => paint(button, both ? (j === column) * weight(row, j) : row === null ? 0 : weight(row, j), j === column));
  target.forEach((button, i) => paint(button, both || column === null ? 0 : weight(i, column), i === row));
}

function sourceWord(word, coverage) {
  const uncovered = coverage !== undefined && coverage < UNCOVERED;
  return make("button", { type: "button", class: uncovered ? "uncovered" : "" }, word.text);
}

function targetWord({ text, end, confidence }, kept) {
  const button = make("button", { type: "button", "aria-haspopup": "dialog" }, text);
  button.classList.toggle("kept", end <= kept);
  if (!isKnown(confidence) || end <= kept || !spoken(text)) return button;
  button.classList.toggle("doubtful", confidence < DOUBTFUL);
  button.classList.toggle("unsure", confidence >= DOUBTFUL && confidence < UNSURE);
  button.title = `confidence ${percent(confidence)}`;
  return button;
}

// The words with the white space between them, as in their text; no line begins with punctuation.
function between(text, words, buttons) {
  const all = characters(text), parts = [], mixed = RIGHT_TO_LEFT.test(text);
  let end = 0;
  words.forEach((word, i) => {
    const space = all.slice(end, word.start), button = mixed ? directed(word.text, buttons[i]) : buttons[i];
    if (parts.length && !space && !spoken(word.text)) parts.push(make("span", { class: "together" }, parts.pop(), button));
    else parts.push(space, button);
    end = word.end;
  });
  return [...parts, all.slice(end)];
}

// Buttons have no direction of their own, so the words of a phrase in the other direction would change places.
function directed(text, button) {
  return /\p{L}/u.test(text) ? make("span", { class: RIGHT_TO_LEFT.test(text) ? "rtl" : "ltr" }, button) : button;
}

// For screen readers: what a word is linked to, how sure it is, what else is marked by lines.
function describe({ source_words, words }) {
  const label = (button, weights, names) => {
    const linked = weights.map((weight, i) => [weight, names[i]?.text ?? ""]).filter(([weight]) => weight >= LINKED);
    linked.sort((one, other) => other[0] - one[0]);
    const parts = [linked.map(([weight, name]) => `${name} ${percent(weight)}`).join(", ") || "no link"];
    if (button.title) parts.push(button.title);
    if (button.classList.contains("uncovered")) parts.push("may be missing in the translation");
    button.setAttribute("aria-label", `${button.textContent}: ${parts.join("; ")}`);
  };
  if (!attention) return;
  source.forEach((button, column) => label(button, attention.map((weights) => weights[column]), words));
  target.forEach((button, row) => label(button, attention[row] ?? [], source_words));
}

// One stop of the Tab key for all words; the arrow keys move between them.
function rove(buttons) {
  buttons.forEach((button, i) => {
    button.tabIndex = i ? -1 : 0;
    button.addEventListener("focus", () => {
      for (const other of buttons) other.tabIndex = other === button ? 0 : -1;
    });
    button.addEventListener("keydown", (event) => {
      const onward = getComputedStyle(button.closest(".words")).direction === "rtl" ? -1 : 1;
      const next = {
        ArrowRight: buttons[i + onward], ArrowLeft: buttons[i - onward], Home: buttons[0], End: buttons.at(-1),
      }[event.key];
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
  });
}

function paint(button, strength, chosen) {
  button.style.setProperty("--strength", strength.toFixed(3));
  button.classList.toggle("strong", strength > STRONG);
  button.classList.toggle("chosen", chosen);
}

function listen(button, on, off) {
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, on);
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, off);
}
