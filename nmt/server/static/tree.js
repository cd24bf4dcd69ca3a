// The beam search as a tree: a hypothesis leads to those that continue it.

import { byId, drawing, percent, spoken, widthOf } from "./dom.js";

const FONT = 14, ROW = 24, GAP = 26, PAD = 6, MARGIN = 8;
const STATES = { best: "chosen", finished: "complete, but less probable", kept: "kept for the next step", pruned: "given up" };
const END = "●"; // the end of a translation

let drawn = [];

// An SVG of the nodes, as from the server; `go(prefix)` is called for a node that is clicked.
export function drawTree(nodes, go) {
  const all = (drawn = arrange(nodes));
  const width = Math.ceil(Math.max(...all.map((node) => node.x + node.width)) + MARGIN);
  const height = Math.ceil(Math.max(...all.map((node) => node.y)) + ROW / 2 + MARGIN);
  const picture = drawing("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "tree", "aria-label": "The search, piece by piece" });
  for (const node of all) if (node.up) picture.append(edge(node));
  for (const node of all) if (node.up) picture.append(label(node, picture, go));
  picture.querySelector("[role=treeitem]")?.setAttribute("tabindex", "0");
  return picture;
}

// Puts the focus on the piece that ends with `prefix`, or else on the first.
export function focusNode(prefix) {
  const pieces = drawn.filter((node) => node.up);
  const { item } = pieces.find((node) => prefixOf(node) === prefix) ?? pieces[0] ?? {};
  if (item) moveTo(item);
}

// Places the nodes: a column for each step, and lines below each other for hypotheses that part.
function arrange(nodes) {
  const known = new Map(), columns = [];
  for (const node of nodes) {
    const up = known.get(node.parent) ?? null;
    const placed = { ...node, up, depth: up ? up.depth + 1 : 0, down: [], name: name(node, up) };
    placed.width = up ? widthOf(placed.name, FONT, node.state === "best" ? 700 : 400) + 2 * PAD : 0;
    columns[placed.depth] = Math.max(columns[placed.depth] ?? 0, placed.width);
    up?.down.push(placed);
    known.set(node.id, placed);
  }
  const starts = [MARGIN];
  columns.forEach((wide, depth) => starts.push(starts[depth] + wide + GAP));
  const all = [...known.values()], lines = [];
  for (const node of all) {
    node.x = starts[node.depth];
    node.down.sort((one, other) => (other.state === "best") - (one.state === "best") || other.log_probability - one.log_probability);
  }
  for (const node of all) if (!node.up) placeLine(node, 0, lines);
  for (const node of all) node.y = MARGIN + (node.line + 0.5) * ROW;
  return all;
}

// Places a node and its first continuations on the first free line from `first`, then the others below it, from the
// last step back, so that lines do not cross. `lines`: the taken columns [from, to] of each line.
function placeLine(node, first, lines) {
  const chain = [node];
  while (chain.at(-1).down.length) chain.push(chain.at(-1).down[0]);
  const from = node.depth - 0.5, to = chain.at(-1).depth; // half a column for the bend
  let line = first;
  while (lines[line]?.some(([start, end]) => start <= to && end >= from)) line += 1;
  for (let crossed = first; crossed < line; crossed += 1) (lines[crossed] ??= []).push([from, from]);
  (lines[line] ??= []).push([from, to]);
  for (const one of chain) one.line = line;
  for (const one of chain.reverse()) for (const other of one.down.slice(1)) placeLine(other, line + 1, lines);
}

// A piece within a word is marked by a dot.
function name({ text }, up) {
  if (!text) return up ? END : "";
  const within = up.up !== null && !/^\s/.test(text) && spoken(text);
  return within ? `·${text}` : text.trim() || "␣";
}

function edge({ up, x, y, state }) {
  const from = up.x + up.width, bend = Math.min(GAP / 2, x - from);
  const turn = up.y === y ? `H${x}` : `C${from + bend} ${up.y} ${from + bend / 2} ${y} ${from + bend + GAP / 2} ${y}H${x}`;
  return drawing("path", { class: `edge ${state}`, d: `M${from} ${up.y}${turn}` });
}

function label(node, picture, go) {
  const { x, y, width, state, depth } = node;
  const kind = node.text ? state : `${state} end`;
  const text = drawing("text", { x: x + PAD, y: y + FONT / 3, "font-size": FONT }, node.name);
  const box = drawing("rect", { x, y: y - ROW / 2 + 2, width, height: ROW - 4, rx: 4 });
  const item = drawing("g", { class: `node ${kind}`, role: "treeitem", tabindex: "-1", "aria-level": depth, "aria-label": about(node) }, box, text);
  node.item = item;
  const tell = () => {
    byId("node").textContent = about(node);
  };
  item.addEventListener("pointerenter", tell);
  item.addEventListener("focus", tell);
  item.addEventListener("click", () => go(prefixOf(node)));
  item.addEventListener("keydown", (event) => walk(event, node, picture, go));
  return item;
}

function prefixOf(node) {
  return node ? prefixOf(node.up) + node.text : "";
}

function about(node) {
  const alone = Math.exp(node.log_probability - node.up.log_probability);
  const text = prefixOf(node).trim() || "(nothing)";
  return `${text}${node.text ? "" : " (end)"}: ${STATES[node.state] ?? node.state}; this step ${percent(alone)}, all so far e^${node.log_probability.toFixed(2)}`;
}

function walk(event, node, picture, go) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    go(prefixOf(node));
    return;
  }
  const beside = (step) => {
    const all = [...picture.querySelectorAll("[role=treeitem]")].filter((item) => item.ariaLevel === node.item.ariaLevel);
    all.sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top);
    return all[all.indexOf(node.item) + step];
  };
  const next = { ArrowRight: () => node.down[0]?.item, ArrowLeft: () => node.up.item, ArrowDown: () => beside(1), ArrowUp: () => beside(-1) }[event.key]?.();
  if (!next) return;
  event.preventDefault();
  moveTo(next);
}

// One stop of the Tab key for the tree.
function moveTo(item) {
  item.parentElement.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
  item.setAttribute("tabindex", "0");
  item.focus();
  item.scrollIntoView({ block: "nearest", inline: "nearest" });
}
