// Elements and text. All text is inserted as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function drawing(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The server counts characters (code points), JavaScript UTF-16 units: an emoji is one of the first, two of the second.
export function characters(text) {
  const all = Array.from(text);
  return { length: all.length, slice: (start, end) => all.slice(start, end).join("") };
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

export const isRightToLeft = (text) => RIGHT_TO_LEFT.test(text); // any of it

// The direction of a field in which there will be `text`. Chromium takes seconds to find that of a long one by itself.
export function direct(field, text, longest) {
  if (field.dir !== "rtl" || "found" in field.dataset) {
    const found = text.length > longest;
    field.toggleAttribute("data-found", found);
    field.dir = !found ? "auto" : isRightToLeft(/\p{L}/u.exec(text)?.[0] ?? "") ? "rtl" : "ltr";
  }
}

export const spoken = (text) => /[\p{L}\p{M}\p{N}]/u.test(text); // not punctuation

export const percent = (value) => `${Math.round(100 * value)} %`;

let pen;

// The width in pixels of text in an SVG whose letters have `size` pixels.
export function widthOf(text, size, weight = 400) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}
