"use strict";
// All text from the data is inserted as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const CHUNK = 200; // rows added to the page at a time
const LINKED = 0.1; // minimum attention for words to count as linked

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function drawing(tag, properties = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function table(head, rows, numbers = []) {
  const cell = (tag, text, column) => make(tag, numbers.includes(column) ? { class: "number" } : {}, text);
  const body = rows.map((row) => make("tr", {}, ...row.map((text, column) => cell("td", text, column))));
  const parts = [make("tbody", {}, ...body)];
  if (head) parts.unshift(make("thead", {}, make("tr", {}, ...head.map((text, column) => cell("th", text, column)))));
  return make("table", {}, ...parts);
}

function show(id, title, ...children) {
  const section = document.getElementById(id);
  section.hidden = false;
  section.append(make("h2", {}, title), ...children);
}

// ------------------------------------------------------------ scores and curves

function summary() {
  document.getElementById("subtitle").textContent = data.subtitle || "";
  if (!data.scores || !data.scores.length) return;
  const rows = data.scores.map((score) => [score.name, score.value, score.signature]);
  const shown = table(["score", "", "signature"], rows, [1]);
  show("summary", "Scores", shown, ...(data.notes || []).map((note) => make("p", { class: "note" }, note)));
}

const WIDTH = 320, HEIGHT = 170, LEFT = 42, BOTTOM = 26, TOP = 10, RIGHT = 10;

function chart(caption, low, high, paint) {
  const picture = drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": caption });
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
  for (const value of [low, (low + high) / 2, high]) {
    picture.append(drawing("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    picture.append(drawing("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, round(value)));
  }
  paint(picture, y);
  return make("figure", {}, picture, make("figcaption", {}, caption));
}

function round(value) {
  return Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(2);
}

// The indices of the finite values, as runs without gaps.
function segments(values) {
  const runs = [];
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    if (i && Number.isFinite(values[i - 1])) runs[runs.length - 1].push(i);
    else runs.push([i]);
  });
  return runs;
}

function curve({ name, steps, values }) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) known.push(0, 1); // the axes alone
  return chart(name, Math.min(...known), Math.max(...known), (picture, y) => {
    const first = steps[0], last = steps[steps.length - 1];
    const x = (step) => LEFT + ((step - first) / (last - first || 1)) * (WIDTH - LEFT - RIGHT);
    for (const run of segments(values)) {
      const points = run.map((i) => [x(steps[i]), y(values[i])]);
      const [[cx, cy]] = points;
      if (run.length === 1) picture.append(drawing("circle", { class: "curve", cx, cy, r: 1 }));
      else picture.append(drawing("polyline", { class: "curve", points: points.map((point) => point.join(",")).join(" ") }));
    }
    picture.append(drawing("text", { x: LEFT, y: HEIGHT - 8 }, `step ${first}`));
    picture.append(drawing("text", { x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, String(last)));
  });
}

function curves() {
  if (data.curves && data.curves.length) {
    show("curves", "Training", make("div", { class: "charts" }, ...data.curves.map(curve)));
  }
  if (data.groups && data.groups.length) {
    show("groups", "Groups of sentences", make("div", { class: "charts" }, ...data.groups.map(group)));
  }
}

function group({ by, ranges }) {
  const high = Math.max(...ranges.map((range) => range.bleu), 1);
  const bars = chart(`BLEU by ${by}`, 0, high, (picture, y) => {
    const wide = (WIDTH - LEFT - RIGHT) / ranges.length;
    ranges.forEach(({ label, bleu, few }, i) => {
      const x = LEFT + i * wide;
      const bar = drawing("rect", { class: few ? "few bar" : "bar", x: x + wide * 0.15, width: wide * 0.7, y: y(bleu), height: y(0) - y(bleu) });
      bar.append(drawing("title", {}, `${label}: ${few ? "too few sentences" : bleu.toFixed(1)}`));
      picture.append(bar);
      picture.append(drawing("text", { x: x + wide / 2, y: HEIGHT - 8, "text-anchor": "middle" }, label));
    });
  });
  const rows = ranges.map(({ label, sentences, bleu, chrf }) => [label, String(sentences), bleu.toFixed(1), chrf.toFixed(1)]);
  return make("div", {}, bars, table(["", "sentences", "BLEU", "chrF2"], rows, [1, 2, 3]));
}

// ------------------------------------------------------------ sentences

const sentences = data.sentences.map((sentence, number) => ({ ...sentence, number }));
for (const sentence of sentences) {
  sentence.found = [sentence.source, sentence.translation, ...(sentence.references || [])].join("\n").toLowerCase();
}
const by = (key, sign) => (one, other) => sign * (one[key] - other[key]) || one.number - other.number;
const ORDERS = {
  "original order": by("number", 1),
  ...(sentences.some((one) => one.score !== undefined) && {
    "worst first (chrF2)": by("score", 1),
    "best first (chrF2)": by("score", -1),
  }),
  "least probable first": by("log_probability", 1),
  "longest first": (one, other) => other.source.length - one.source.length || one.number - other.number,
  ...(sentences.some((one) => one.low && one.low.length) && {
    "most under-translated first": (one, other) => other.low.length - one.low.length || one.number - other.number,
  }),
};
const list = document.getElementById("list"), more = document.getElementById("more");
let shown = [];

function refresh() {
  const wanted = document.getElementById("search").value.trim().toLowerCase();
  const order = ORDERS[document.getElementById("order").value];
  shown = sentences.filter((sentence) => sentence.found.includes(wanted)).sort(order);
  document.getElementById("count").textContent = `${shown.length} of ${sentences.length}`;
  list.replaceChildren();
  extend();
}

function extend() {
  const start = list.children.length;
  list.append(...shown.slice(start, start + CHUNK).map(row));
  more.hidden = list.children.length >= shown.length;
}

function row(sentence) {
  const score = sentence.score === undefined ? "" : sentence.score.toFixed(1);
  const button = make(
    "button",
    { type: "button", class: "row", "aria-expanded": "false" },
    make("span", { class: "source" }, sentence.source),
    make("span", { class: "translation" }, sentence.translation || "—"),
    make("span", { class: "score" }, score),
  );
  if (sentence.low && sentence.low.length) button.append(make("span", { class: "flag" }, "under-translated: " + sentence.low.map((word) => sentence.source_words[word]).join(" ")));
  const item = make("li", {}, button);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) item.lastChild.remove();
    else item.append(alignment(sentence));
  });
  return item;
}

function alignment(sentence) {
  const weights = sentence.weights;
  const source = sentence.source_words.map((word, i) => wordButton(word, sentence.low && sentence.low.includes(i)));
  const target = sentence.target_words.map((word) => wordButton(word, false));
  const clear = () => [...source, ...target].forEach((word) => paint(word, 0));
  const choose = (word, strengths, others) => {
    clear();
    word.classList.add("chosen");
    strengths.forEach((strength, i) => paint(others[i], strength));
  };
  const describe = (word, strengths, names) => {
    const linked = strengths.map((strength, i) => [strength, i]).filter(([strength]) => strength >= LINKED);
    linked.sort((one, other) => other[0] - one[0]);
    const text = linked.map(([strength, i]) => `${names[i]} ${Math.round(100 * strength)}%`).join(", ");
    word.setAttribute("aria-label", `${word.textContent}: ${text || "no link"}`);
  };
  if (weights) {
    source.forEach((word, column) => {
      const strengths = weights.map((line) => line[column]);
      describe(word, strengths, sentence.target_words);
      listen(word, () => choose(word, strengths, target), clear);
    });
    target.forEach((word, line) => {
      describe(word, weights[line], sentence.source_words);
      listen(word, () => choose(word, weights[line], source), clear);
    });
  }
  const box = make(
    "div",
    { class: "alignment" },
    make("div", { class: "side" }, "source"),
    make("div", { class: "words source-words" }, ...source),
    make("div", { class: "side" }, "translation"),
    make("div", { class: "words target-words" }, ...target),
  );
  for (const reference of sentence.references || []) box.append(make("p", { class: "references" }, "reference: " + reference));
  return box;
}

function wordButton(text, low) {
  const word = make("button", { type: "button", class: low ? "low" : "" }, text);
  if (low) word.title = "received almost no attention";
  return word;
}

function paint(word, strength) {
  word.style.setProperty("--strength", strength.toFixed(3));
  word.classList.toggle("strong", strength > 0.55);
  word.classList.remove("chosen");
}

function listen(word, on, off) {
  word.addEventListener("pointerenter", on);
  word.addEventListener("focus", on);
  word.addEventListener("click", on);
  word.addEventListener("pointerleave", off);
  word.addEventListener("blur", off);
}

// ------------------------------------------------------------ settings

function details() {
  const parts = [];
  for (const [title, rows] of Object.entries(data.tables || {})) {
    parts.push(make("details", {}, make("summary", {}, title), table(null, rows)));
  }
  if (parts.length) show("details", "Settings and data", ...parts);
}

summary();
curves();
document.getElementById("order").append(...Object.keys(ORDERS).map((name) => make("option", { value: name }, name)));
document.getElementById("search").addEventListener("input", refresh);
document.getElementById("order").addEventListener("change", refresh);
document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", extend);
refresh();
details();
if (sentences.length === 1) list.querySelector("button").click();
document.documentElement.dataset.ready = "yes";
