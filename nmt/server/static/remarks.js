// What is said below a translation: what can be done with it, what to be careful of, how good it may be.

import { byId, percent } from "./dom.js";
import { isKnown } from "./words.js";

const POOR = 0.4, FAIR = 0.6; // expected similarity to a human translation (chrF2 / 100) below which one is warned
const HINTS = {
  attention: "Point at a word (or use the arrow keys) to see what it comes from; click it for other words.",
  long: "Click a word for other words. The text is too long to show what each word comes from.",
  none: "Click a word for other words.",
};
const FLAGS = {
  truncated: "cut off at the length limit",
  split: "long text, translated in parts",
  repetition: "repeats itself",
  copy: "partly left untranslated",
};

export function showRemarks(translation, model) {
  byId("hint").hidden = !translation.words.length;
  byId("hint").textContent = HINTS[translation.attention ? "attention" : model.attention === false ? "none" : "long"];
  const flags = (translation.flags ?? []).map((flag) => FLAGS[flag] ?? flag);
  byId("flags").hidden = !flags.length;
  byId("flags").textContent = `Careful: ${flags.join("; ")}.`;
  const { confidence } = translation;
  byId("confidence").hidden = !isKnown(confidence);
  if (!isKnown(confidence)) return;
  byId("meter").value = confidence;
  const verdict = confidence < POOR ? "probably wrong" : confidence < FAIR ? "worth checking" : "probably good";
  byId("verdict").textContent = `Expected quality ${percent(confidence)}: ${verdict}`;
}
