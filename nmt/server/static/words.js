// The words of the text and of the translation: pointing at one shows what it is linked to.

import { byId, characters, isRightToLeft, make, percent, spoken } from "./dom.js";

const LINKED = 0.1; // minimum attention for words to count as linked
const STRONG = 0.5; // attention from which a word is written in the other colour
const UNCOVERED = 0.2; // a source word with less attention in all may be missing in the translation
export const DOUBTFUL = 0.5, UNSURE = 0.75; // confidence below which a word is marked

const BLOCK = 500; // words of a translation that become buttons at a time
const LONGEST = 200; // characters of a word that is one element: the time to break lines inside one is quadratic
const LONG_WORD = new RegExp(`\\S{${LONGEST}}`, "u"), PART = new RegExp(`[^]{1,${LONGEST}}`, "gu");
const AHEAD = "100%"; // of the window, above and below it: where they do

let source = [], target = [], attention = null;
let fill = () => {}; // makes the button of a word of the translation, and those around it
const watcher = new IntersectionObserver((entries) => {
  for (const { target: block, isIntersecting } of entries) if (isIntersecting) fill(Number(block.dataset.first));
}, { rootMargin: `${AHEAD} 0%` });

// Shows a translation; `kept` is the number of its characters that the user has fixed, `open(index, button)` is called
// when a word of the translation is clicked, `point(row, column)` when one is pointed at (null: none).
export function showWords(translation, { kept, open, point }) {
  attention = translation.attention ?? null;
  const coverage = translation.coverage ?? [];
  const pointable = attention ? translation.source_words : [];
  source = pointable.map((word, column) => sourceWord(word, coverage[column]));
  source.forEach((button, column) => listen(button, () => point(null, column), () => point(null, null)));
  target = Array(translation.words.length).fill(null);
  const button = (row) => {
    const word = targetWord(translation.words[row], kept);
    listen(word, () => point(row, null), () => point(null, null));
    word.addEventListener("click", () => open(row, word));
    return word;
  };
  const blocks = blocksOf(translation);
  fill = (row) => fillBlock(blocks, row, button, translation);
  byId("source-words").replaceChildren(...(attention ? between(characters(translation.source), pointable, source) : []));
  watcher.disconnect();
  byId("target-words").replaceChildren(...blocks.map(({ element }) => element));
  if (blocks.length) fill(0);
  for (const { element } of blocks.slice(1)) watcher.observe(element);
  describe(source, (column) => (attention ?? []).map((weights) => weights[column]), translation.words);
  rove(source);
  byId("coverage").hidden = !source.some((button) => button.classList.contains("uncovered"));
  byId("legend").hidden = !translation.words.some((word) => doubt(word, kept));
}

// The parts of a translation, each an element with its text, of `BLOCK` words: a long text is quick to show as text, and
// slow as buttons.
function blocksOf({ text, words }) {
  const all = characters(text), blocks = [];
  for (let first = 0; first < words.length; first += BLOCK) {
    const start = first ? words[first].start : 0, end = words[first + BLOCK]?.start ?? all.length;
    const element = make("span", { "data-first": first }, ...inParts(all.slice(start, end)));
    blocks.push({ first, start, element, made: false });
  }
  return blocks;
}

function fillBlock(blocks, row, button, { words, source_words }) {
  const block = blocks[Math.floor(row / BLOCK)];
  if (block.made) return;
  block.made = true;
  watcher.unobserve(block.element);
  const { first, start, element } = block;
  const own = words.slice(first, first + BLOCK).map((word) => ({ ...word, start: word.start - start, end: word.end - start }));
  const buttons = own.map((_, i) => (target[first + i] = button(first + i)));
  describe(buttons, (i) => attention?.[first + i] ?? [], source_words);
  rove(target, first, buttons.length);
  element.replaceChildren(...between(characters(element.textContent), own, buttons));
}

export function focusWord(index) {
  const row = Math.min(index, target.length - 1);
  if (row < 0) return;
  fill(row);
  target[row].focus();
}

export const isKnown = (confidence) => confidence !== null && confidence !== undefined;

// Adds to the text of a translation that is not complete; `first`: instead of what is shown.
export function addText(text, first) {
  if (first) clearWords();
  byId("target-words").append(...inParts(text));
}

export function clearWords() {
  source = target = [];
  watcher.disconnect();
  for (const id of ["source-words", "target-words"]) byId(id).replaceChildren();
  for (const id of ["coverage", "legend"]) byId(id).hidden = true;
}

// Marks the words linked to word `row` of the translation or word `column` of the text, or just these two.
export function pointAt(row, column) {
  const both = row !== null && column !== null;
  const weight = (i, j) => attention?.[i]?.[j] ?? 0;
  source.forEach((button, j) => paint(button, both ? (j === column) * weight(row, j) : row === null ? 0 : weight(row, j), j === column));
  target.forEach((button, i) => button && paint(button, both || column === null ? 0 : weight(i, column), i === row));
}

function sourceWord(word, coverage) {
  const uncovered = coverage !== undefined && coverage < UNCOVERED;
  return wordElement(word.text, { class: uncovered ? "uncovered" : "" });
}

function targetWord(word, kept) {
  const { text, end, confidence } = word;
  const button = wordElement(text, { "aria-haspopup": "dialog" });
  button.classList.toggle("kept", end <= kept);
  if (doubt(word, kept)) button.classList.add(doubt(word, kept));
  if (isKnown(confidence) && end > kept && spoken(text)) button.title = `confidence ${percent(confidence)}`;
  return button;
}

// A button; one of a long word has no box of its own, which would be as wide as the word.
function wordElement(text, properties) {
  if (text.length <= LONGEST) return make("button", { type: "button", ...properties }, text);
  return make("span", { role: "button", ...properties }, ...inParts(text));
}

// A text in elements of at most `LONGEST` characters if it has a word that is longer.
function inParts(text) {
  return LONG_WORD.test(text) ? text.match(PART).map((part) => make("span", {}, part)) : [text];
}

// How a word is marked: null if it is not.
function doubt({ text, end, confidence }, kept) {
  if (!isKnown(confidence) || confidence >= UNSURE || end <= kept || !spoken(text)) return null;
  return confidence < DOUBTFUL ? "doubtful" : "unsure";
}

// The words with the white space between them, as in their text; no line begins with punctuation.
function between(all, words, buttons) {
  const parts = [], mixed = isRightToLeft(all.slice(0));
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
  return /\p{L}/u.test(text) ? make("span", { class: isRightToLeft(text) ? "rtl" : "ltr" }, button) : button;
}

// For screen readers: what a word is linked to, how sure it is, what else is marked by lines.
function describe(buttons, weightsOf, names) {
  if (!attention) return;
  buttons.forEach((button, i) => {
    const linked = weightsOf(i).map((weight, j) => [weight, names[j]?.text ?? ""]).filter(([weight]) => weight >= LINKED);
    linked.sort((one, other) => other[0] - one[0]);
    const parts = [linked.map(([weight, name]) => `${name} ${percent(weight)}`).join(", ") || "no link"];
    if (button.title) parts.push(button.title);
    if (button.classList.contains("uncovered")) parts.push("may be missing in the translation");
    button.setAttribute("aria-label", `${button.textContent}: ${parts.join("; ")}`);
  });
}

// One stop of the Tab key for all words; the arrow keys move between them. Prepares `count` of the buttons.
function rove(buttons, first = 0, count = buttons.length) {
  buttons.slice(first, first + count).forEach((button, at) => {
    const i = first + at;
    button.tabIndex = i ? -1 : 0;
    button.addEventListener("focus", () => {
      for (const other of buttons) if (other) other.tabIndex = other === button ? 0 : -1;
    });
    button.addEventListener("keydown", (event) => {
      const onward = getComputedStyle(button.closest(".words")).direction === "rtl" ? -1 : 1;
      const next = { ArrowRight: i + onward, ArrowLeft: i - onward, Home: 0, End: buttons.length - 1 }[event.key];
      if (!(next in buttons)) return;
      event.preventDefault();
      if (!buttons[next]) fill(next);
      buttons[next].focus();
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
