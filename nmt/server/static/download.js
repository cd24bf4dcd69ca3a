// Pictures and data as files. Pictures are complete in themselves: colours and the Devanagari font come with them.

import { make } from "./dom.js";

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-weight", "visibility"];
const MARGIN = 12, SCALE = 2, LONGEST_SIDE = 8192; // pixels

export function saveJson(value, name) {
  save(new Blob([JSON.stringify(value, null, 2)], { type: "application/json" }), `${name}.json`);
}

export async function saveSvg(picture, name) {
  save(new Blob([(await standalone(picture)).text], { type: "image/svg+xml" }), `${name}.svg`);
}

export async function savePng(picture, name) {
  const { text, width, height } = await standalone(picture);
  const scale = Math.min(SCALE, LONGEST_SIDE / Math.max(width, height));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((content) => save(content, `${name}.png`), "image/png");
}

function save(content, name) {
  const link = make("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The text of an SVG file that looks like `picture` on white paper, whatever the theme.
async function standalone(picture) {
  const copy = picture.cloneNode(true);
  const light = make("div", { class: "light offscreen" }, copy);
  document.body.append(light);
  const all = [copy, ...copy.querySelectorAll("*")];
  for (const element of all) {
    const style = getComputedStyle(element);
    for (const name of STYLES) element.setAttribute(name, style.getPropertyValue(name));
  }
  for (const element of all) { // what only the page needs, now that no style depends on it
    for (const name of ["class", "role", "tabindex"]) element.removeAttribute(name);
  }
  const paper = getComputedStyle(light).getPropertyValue("--paper");
  light.remove();
  const width = Number(picture.getAttribute("width")) + 2 * MARGIN, height = Number(picture.getAttribute("height")) + 2 * MARGIN;
  copy.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${width} ${height}`);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const content = new XMLSerializer().serializeToString(copy);
  const sheet = /[\u0900-\u097f]/.test(copy.textContent) ? `<style>${await fontFace()}</style>` : "";
  const ground = `<rect x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}" fill="${paper}"/>`;
  return { text: content.replace(/^<svg[^>]*>/, (start) => start + sheet + ground), width, height };
}

async function fontFace() {
  const content = await (await fetch("static/devanagari.woff")).blob();
  const address = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.readAsDataURL(content);
  });
  return `@font-face{font-family:Devanagari;src:url(${address})}`;
}
