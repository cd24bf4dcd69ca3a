// The attention as a picture: the text across the top, the translation down the side.

import { characters, drawing, percent, widthOf } from "./dom.js";

const FONT = 14, GAP = 8, MARGIN = 4, SLOPE = Math.PI / 4;
const CELL = 34, SMALL_CELL = 22; // pixels
const NUMBERED = 16; // cells show their numbers up to this many words per side
const LONGEST = 24; // characters of a word that are shown
const FAINTEST = 0.005; // weaker cells are left blank, so that a long text stays quick

let picture = null, place = null;

// An SVG of `translation` for `room` pixels, scrolled if it is wider. It calls `point(row, column)` for the cell pointed
// at (null, null: none).
export function drawHeatmap({ attention, words, source_words }, room, point) {
  const rows = words.map(label), columns = source_words.map(label);
  const left = MARGIN + Math.max(...rows.map((text) => widthOf(text, FONT))) + GAP;
  const numbered = Math.max(rows.length, columns.length) <= NUMBERED && left + columns.length * CELL < room;
  const cell = numbered ? CELL : SMALL_CELL;
  const wide = columns.map((text) => widthOf(text, FONT) * Math.cos(SLOPE));
  const top = MARGIN + Math.max(...wide) + FONT;
  const right = Math.max(...wide.map((width, j) => (j + 0.5) * cell + width + FONT), columns.length * cell);
  const width = Math.ceil(left + right + MARGIN), height = Math.ceil(top + rows.length * cell + MARGIN);
  const title = `Attention of ${rows.length} words of the translation to ${columns.length} words of the text`;
  picture = drawing("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
  picture.append(drawing("rect", { class: "field", x: left, y: top, width: columns.length * cell, height: rows.length * cell }));
  columns.forEach((text, j) => {
    const x = left + (j + 0.5) * cell + FONT / 3, y = top - GAP / 2;
    picture.append(drawing("text", { class: "column", x, y, transform: `rotate(-45 ${x} ${y})`, "font-size": FONT }, text));
  });
  rows.forEach((text, i) => {
    const y = top + (i + 0.5) * cell;
    picture.append(drawing("text", { class: "row", x: left - GAP, y: y + FONT / 3, "text-anchor": "end", "font-size": FONT }, text));
    (attention[i] ?? []).forEach((weight, j) => {
      if (weight >= FAINTEST) picture.append(...mark(weight, left + j * cell, top + i * cell, cell, numbered));
    });
  });
  place = { left, top, cell };
  picture.append(drawing("rect", { class: "pointed", visibility: "hidden" }));
  picture.addEventListener("pointermove", (event) => {
    const at = picture.getBoundingClientRect();
    const column = Math.floor((event.clientX - at.left - left) / cell), row = Math.floor((event.clientY - at.top - top) / cell);
    const inside = (number, size) => (number >= 0 && number < size ? number : null);
    point(inside(row, rows.length), inside(column, columns.length));
  });
  picture.addEventListener("pointerleave", () => point(null, null));
  return picture;
}

function label({ text }) {
  const all = characters(text);
  return all.length > LONGEST ? `${all.slice(0, LONGEST)}…` : text;
}

// Frames a row, a column or a cell.
export function frame(row, column, rows, columns) {
  if (!picture) return;
  const { left, top, cell } = place, box = picture.querySelector(".pointed");
  box.setAttribute("visibility", row === null && column === null ? "hidden" : "visible");
  const span = (number, size) => (number === null ? [0, size] : [number, 1]);
  const [x, width] = span(column, columns), [y, height] = span(row, rows);
  const area = { x: left + x * cell, y: top + y * cell, width: width * cell, height: height * cell };
  for (const [name, value] of Object.entries(area)) box.setAttribute(name, value);
}

function mark(weight, x, y, cell, numbered) {
  const parts = [drawing("rect", { class: "cell", x, y, width: cell, height: cell, "fill-opacity": weight.toFixed(3) })];
  parts[0].append(drawing("title", {}, percent(weight)));
  if (numbered && weight >= 0.05) {
    const kind = weight > 0.5 ? "number strong" : "number";
    parts.push(drawing("text", { class: kind, x: x + cell / 2, y: y + cell / 2 + 4, "text-anchor": "middle", "font-size": 11 }, Math.round(100 * weight)));
  }
  return parts;
}
