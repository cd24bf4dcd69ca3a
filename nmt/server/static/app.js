// What is shown: the text, its translation, and what is known about it.

import * as api from "./api.js";
import { closeAlternatives, openAlternatives } from "./alternatives.js";
import { byId, characters, direct, make, percent } from "./dom.js";
import { saveJson, savePng, saveSvg } from "./download.js";
import { drawHeatmap, frame } from "./heatmap.js";
import { chosenModel, direction, loadModels, onDirection } from "./models.js";
import { onOptions, options } from "./options.js";
import { showRemarks } from "./remarks.js";
import { drawTree, focusNode } from "./tree.js";
import { addText, clearWords, focusWord, isKnown, pointAt, showWords } from "./words.js";

const WAIT = 300; // milliseconds after the last key
const PATIENCE = 500; // milliseconds until an unfinished translation is shown
const CONFIRMED = 2000; // milliseconds that a button says that it is done
const NBEST = 5;
const LONG = 5000; // characters of a text of which only the best translation is asked for
const SHOWN = 300; // words of a translation in the n-best list, and characters of it that are read out
const SHARE = 0.1; // of the time, at most, for showing what is certain of a translation
const PADDING = 36; // pixels of a card, left and right

let best = null; // the translation that the server has found
let shown = null; // this one, or an alternative of it
let prefix = ""; // the beginning of the translation that is kept
let whole = null; // the translation that the user has chosen to the end
let request = null, timer = null;
let waiting = false; // whether what is shown is of an earlier text, or choice
let focusAgain = null; // puts the focus where it was, if the element that had it has been replaced

// ------------------------------------------------------------ asking the server

function later() {
  clearTimeout(timer);
  request?.abort();
  prefix = "";
  whole = focusAgain = null;
  closeAlternatives();
  const { value } = byId("text");
  direct(byId("text"), value, LONG);
  byId("clear").hidden = !value;
  busy(true);
  timer = setTimeout(translate, value.trim() ? WAIT : 0);
}

const body = () => ({ text: byId("text").value, ...direction(), ...options() });

function wanted(attention = chosenModel().attention !== false) {
  const nbest = byId("text").value.length > LONG ? 1 : NBEST;
  return { ...body(), nbest, attention, ...(treeWanted() && { tree: true }), ...(prefix && { prefix }) };
}

async function translate() {
  clearTimeout(timer);
  request?.abort();
  closeAlternatives();
  fail(null);
  if (!byId("text").value.trim()) {
    clear();
    refocus();
    return;
  }
  const { signal } = (request = new AbortController());
  busy(true);
  try {
    best = await translated(signal);
    const all = [best, ...(best.alternatives ?? [])];
    const chosen = Math.max(0, all.findIndex(({ text }) => text === whole));
    show(all[chosen]);
    list(all, chosen);
  } catch (error) {
    if (error.name === "AbortError") return; // the next request is on its way
    if (!(error instanceof api.ShownError)) throw error;
    clear();
    fail(error);
  }
  busy(false);
  refocus();
}

function refocus() {
  const { activeElement } = document;
  if (activeElement === document.body || !activeElement?.getClientRects().length) focusAgain?.();
  focusAgain = null;
}

// The answer of the server; without attention if the text is too long for it.
async function translated(signal) {
  let next = performance.now() + PATIENCE, unseen = "", first = true;
  const progress = (piece) => {
    unseen += piece;
    const now = performance.now();
    if (now < next) return;
    byId("take").hidden = true; // of the translation before
    addText(unseen, first);
    unseen = "";
    first = false;
    byId("target-words").getBoundingClientRect(); // lays it out
    next = performance.now() + (performance.now() - now) / SHARE;
  };
  try {
    return await api.translate(wanted(), signal, progress);
  } catch (error) {
    if (error.field !== "attention") throw error;
    return await api.translate(wanted(false), signal, progress);
  }
}

function busy(now) {
  waiting = now;
  document.querySelector("main").setAttribute("aria-busy", String(waiting));
  byId("status").textContent = waiting ? "Translating …" : shown ? `Translation: ${shown.text.slice(0, SHOWN)}` : "";
}

// What is done with the translation shown; nothing, while it is not that of the text.
const settled = (action) => (...given) => {
  if (!waiting) action(...given);
};

function fail(error) {
  const line = byId("error"), again = line.querySelector("button");
  line.hidden = !error?.message;
  line.firstElementChild.textContent = error?.message ?? "";
  again.hidden = !(error && (error.status >= 500 || [0, 404, 408, 429].includes(error.status)));
  byId("access").hidden = error?.status !== 401;
  if (!again.hidden && focusAgain) focusAgain = () => again.focus();
}

async function start() {
  try {
    await loadModels();
  } catch (error) {
    if (!(error instanceof api.ShownError)) throw error;
    fail(error);
    return;
  }
  byId("clear").hidden = !byId("text").value;
  translate(); // what the browser has kept when the page is loaded again
}

// ------------------------------------------------------------ showing the answer

function clear() {
  best = shown = null;
  busy(false);
  clearWords();
  for (const id of ["more", "take", "hint", "kept", "flags", "confidence"]) byId(id).hidden = true;
}

function show(translation) {
  shown = translation;
  closeAlternatives();
  const kept = prefix && translation.text.startsWith(prefix) ? characters(prefix).length : 0;
  showWords(translation, { kept, open: settled(open), point });
  const any = translation.words.length > 0;
  byId("take").hidden = !any;
  byId("copy").hidden = !navigator.clipboard; // only over HTTPS or on the same machine
  byId("kept").hidden = !kept;
  byId("kept").querySelector("bdi").textContent = prefix.trim();
  showRemarks(translation, chosenModel());
  byId("more").hidden = !any;
  picture();
  tree();
}

function open(index, button) {
  const take = (beginning, end) => choose(beginning, end, () => focusWord(index));
  openAlternatives({ translation: shown, index, button, body: body(), choose: take });
}

// Keeps a beginning of the translation, or with `end` all of it; `next()` puts the focus near to where it was.
function choose(beginning, end = null, next = null) {
  prefix = beginning;
  whole = end;
  focusAgain = next;
  translate();
}

function point(row, column) {
  pointAt(row, column);
  frame(row, column, shown.words.length, shown.source_words.length);
}

function picture() {
  const able = shown.attention && shown.words.length && shown.source_words.length;
  byId("attention").hidden = !able;
  byId("heatmap").replaceChildren(...(able ? [drawHeatmap(shown, byId("more").clientWidth - PADDING, point)] : []));
}

// ------------------------------------------------------------ the n-best list and the tree

function list(all, chosen) {
  byId("others").hidden = all.length < 2;
  const known = new Set(all[0].words.map((word) => word.text));
  const items = all.map((translation) => item(translation, known));
  byId("list").replaceChildren(...items.map((button) => make("li", {}, button)));
  mark(items[chosen]);
}

// Words that the best translation lacks are bold.
function item(translation, known) {
  const all = characters(translation.text), text = make("span", { dir: byId("list").dir });
  let end = 0;
  const long = translation.words.length > SHOWN;
  for (const word of translation.words.slice(0, SHOWN)) {
    text.append(all.slice(end, word.start), known.has(word.text) ? word.text : make("b", {}, word.text));
    end = word.end;
  }
  text.append(long ? " …" : all.slice(end));
  const value = translation.confidence;
  const score = isKnown(value) ? percent(value) : `log p ${translation.log_probability.toFixed(2)}`;
  const button = make("button", { type: "button", class: "choice" }, text, make("span", { class: "score" }, score));
  button.addEventListener("click", settled(() => {
    show(translation);
    mark(button);
  }));
  return button;
}

function mark(chosen) {
  for (const button of byId("list").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === chosen));
}

const treeWanted = () => byId("unfold").getAttribute("aria-expanded") === "true";

function tree() {
  const nodes = best.tree?.nodes;
  const able = treeWanted() && nodes?.length > 1;
  byId("tree").replaceChildren(...(able ? [drawTree(nodes, settled(goOn))] : []));
  for (const save of document.querySelectorAll("[data-picture=tree]")) save.hidden = !able;
}

function goOn(beginning) {
  choose(beginning, null, () => focusNode(beginning));
}

function unfold() {
  const open = !treeWanted();
  byId("unfold").setAttribute("aria-expanded", String(open));
  byId("beam").hidden = !open;
  if (open && !best.tree) translate();
  else tree();
}

// ------------------------------------------------------------ buttons

function saving(place) {
  for (const [kind, save] of [["SVG", saveSvg], ["PNG", savePng]]) {
    const button = make("button", { type: "button", class: "plain", "aria-label": `Download the picture as ${kind}` }, kind);
    button.addEventListener("click", () => save(byId(place.dataset.picture).firstElementChild, place.dataset.name));
    place.append(button);
  }
}

function listen(id, event, action) {
  byId(id).addEventListener(event, action);
}

onOptions(later);
document.querySelectorAll(".save").forEach(saving);
listen("text", "beforeinput", ({ data, dataTransfer }) => {
  const more = data ?? dataTransfer?.getData("text/plain") ?? "";
  if (more.length > LONG) direct(byId("text"), more, LONG);
});
listen("text", "input", later);
onDirection(later);
listen("clear", "click", () => {
  byId("text").value = "";
  later();
  byId("text").focus();
});
listen("copy", "click", async () => {
  await navigator.clipboard.writeText(shown.text);
  byId("copy").textContent = byId("status").textContent = "Copied";
  setTimeout(() => (byId("copy").textContent = "Copy"), CONFIRMED);
});
byId("kept").querySelector("button").addEventListener("click", settled(() => choose("", null, () => focusWord(0))));
byId("error").querySelector("button").addEventListener("click", () => {
  focusAgain = () => focusWord(0);
  start(); // the server may have other models by now
});
listen("unfold", "click", unfold);
listen("json", "click", () => saveJson(best, "translation"));
listen("access", "submit", (event) => {
  event.preventDefault();
  api.useKey(byId("key").value);
  focusAgain = () => byId("text").focus();
  start();
});
function redraw() {
  if (!shown) return;
  picture();
  tree();
}

document.fonts.load("1em Devanagari", "क"); // before it is needed
document.fonts.addEventListener("loadingdone", redraw); // words are wider or narrower than before
window.addEventListener("resize", redraw);
start();
