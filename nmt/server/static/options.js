// What a translation must obey: phrases, terms, the size of the beam.

import { ShownError } from "./api.js";
import { byId } from "./dom.js";

const FIELDS = ["required", "forbidden", "glossary", "beam-size"];

const lines = (id) => byId(id).value.split("\n").map((line) => line.trim()).filter(Boolean);

// The fields of a request; only what is filled in. Throws a ShownError that names a line it cannot read.
export function options() {
  const found = {};
  for (const name of ["required", "forbidden"]) if (lines(name).length) found[name] = lines(name);
  const terms = new Map();
  for (const [source, target] of lines("glossary").map(term)) terms.set(source, [...(terms.get(source) ?? []), target]);
  if (terms.size) found.glossary = Object.fromEntries(terms);
  if (byId("beam-size").value) found.beam_size = Number(byId("beam-size").value);
  return found;
}

function term(line) {
  const [source, target] = line.split(/=(.*)/).map((side) => side.trim()); // at the first “=”
  if (!source || !target) throw new ShownError(`Terms: write “term = translation”, not “${line}”`, 400);
  return [source, target];
}

export function onOptions(change) {
  for (const name of FIELDS) byId(name).addEventListener("input", change);
}
