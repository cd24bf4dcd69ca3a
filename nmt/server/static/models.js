// Which model translates, and into which language: lists where there is a choice, kept in the page's address.

import * as api from "./api.js";
import { byId, make } from "./dom.js";

const TEXTS = { source: ["text", "source-words"], target: ["target-words", "list"] };
const RIGHT_TO_LEFT = ["Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"]; // scripts

const address = new URLSearchParams(location.search);
const wanted = { model: address.get("model"), to: address.get("to") }; // what the user chose, as far as there is a choice
let models = [];

// Asks the server for its models. A choice made before is kept if it is still there.
export async function loadModels() {
  models = await api.models();
  fill("model", models.map(({ name }) => name));
  languages();
}

export const chosenModel = () => models.find(({ name }) => name === byId("model").value) ?? {};

// The fields of a request that choose the model and the language.
export function direction() {
  const fields = {};
  for (const name of ["model", "to"]) if (byId(name).value) fields[name] = byId(name).value;
  return fields;
}

export function onDirection(change) {
  for (const name of ["model", "to"]) {
    byId(name).addEventListener("change", () => {
      wanted[name] = byId(name).value;
      languages();
      remember();
      change();
    });
  }
}

function fill(name, values, labels = values) {
  const list = byId(name);
  list.replaceChildren(...values.map((value, i) => make("option", { value }, labels[i])));
  if (values.includes(wanted[name])) list.value = wanted[name];
  list.parentElement.hidden = values.length < 2;
}

function remember() {
  for (const name of ["model", "to"]) {
    if (byId(name).parentElement.hidden) address.delete(name);
    else address.set(name, byId(name).value);
  }
  history.replaceState(null, "", `?${address}`);
}

// The languages of the chosen model, as far as it names them.
function languages() {
  const model = chosenModel(), targets = model.targets ?? [];
  fill("to", targets.map(({ code }) => code), targets.map(({ code }) => nameOf(code)));
  const target = targets.find(({ code }) => code === byId("to").value);
  const sources = target?.sources ?? (model.source ? [model.source] : []);
  title("source", "Text", sources);
  title("target", "Translation", target ? [target.code] : model.target ? [model.target] : []);
  if (targets.length > 1) byId("target-language").textContent = "Translation:"; // the list beside it has the language
}

function title(side, text, codes) {
  byId(`${side}-language`).textContent = codes.length ? `${text}: ${codes.map(nameOf).join(" or ")}` : text;
  const lang = codes.length === 1 ? tagOf(codes[0]) : "";
  const right = lang && RIGHT_TO_LEFT.includes(new Intl.Locale(lang).maximize().script);
  for (const id of TEXTS[side]) Object.assign(byId(id), { lang, dir: right ? "rtl" : "auto" });
}

// The BCP 47 tag of a language; "" for a code that is none.
function tagOf(code) {
  try {
    return Intl.getCanonicalLocales(code)[0];
  } catch (error) {
    if (error instanceof RangeError) return "";
    throw error;
  }
}

// The English name of a language; its code if it has none.
function nameOf(code) {
  const tag = tagOf(code);
  return tag ? new Intl.DisplayNames(["en"], { type: "language" }).of(tag) : code;
}
