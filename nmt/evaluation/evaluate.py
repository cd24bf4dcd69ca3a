"""The full evaluation of a model on a set of sentences, and the files it leaves."""

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.config import DecodingConfig, to_dict
from nmt.data.alignment import argmax_links, parse_pharaoh
from nmt.data.examples import Example
from nmt.decoding.translator import Translation, Translator
from nmt.evaluation.aer import AlignmentScores, alignment_scores
from nmt.evaluation.attention_file import Attention, save_attention
from nmt.evaluation.metrics import Score, bleu_by_length, corpus_scores, format_scores, sentence_chrf
from nmt.files import replacing, write_json
from nmt.visualisation.heatmap import save_heatmap


@dataclass(frozen=True)
class Evaluation:
    """How good the translations of a set of sentences are.

    Attributes:
        scores: BLEU, BLEU-intl, chrF2, chrF2++ and TER with signatures.
        alignment: of attention against gold alignments, where the corpus has them.
        translations: in order.
        seconds: that translating took.
    """

    scores: list[Score]
    alignment: AlignmentScores | None
    translations: list[Translation]
    seconds: float

    def summary(self) -> str:
        """The lines a person reads."""
        lines = [format_scores(self.scores)]
        if self.alignment is not None:
            a = self.alignment
            lines.append(
                f"alignment error rate {a.aer:.3f}  precision {a.precision:.3f}  recall {a.recall:.3f}  "
                f"(attention's best source word of each target word, {a.sure} gold links)"
            )
        speed = len(self.translations) / self.seconds
        lines.append(f"{len(self.translations)} sentences in {self.seconds:.1f} s, {speed:.0f} a second")
        return "\n".join(lines)

    def values(self) -> dict[str, float]:
        """The scores by name."""
        values = {score.name: score.value for score in self.scores}
        return values if self.alignment is None else values | {"AER": self.alignment.aer}


def evaluate(translator: Translator, examples: Sequence[Example]) -> Evaluation:
    """Translate every source, score against all references, and attention against gold alignments."""
    start = time.perf_counter()
    found = translator.translate([example.source for example in examples])
    seconds = time.perf_counter() - start
    translations = [best[0] for best in found]
    scores = corpus_scores(
        [translation.text for translation in translations], [example.references for example in examples]
    )
    return Evaluation(scores, _score_alignment(translator, examples), translations, seconds)


def _score_alignment(translator: Translator, examples: Sequence[Example]) -> AlignmentScores | None:
    """Attention while the model is forced through the references, against their gold alignments; None if
    there are none, or no attention.
    """
    gold = [
        (example.source, reference, parse_pharaoh(links))
        for example in examples
        for reference, links in zip(example.references, example.alignments, strict=True)
        if links
    ]
    if not gold or not translator.heads:
        return None
    forced = translator.align([source for source, _, _ in gold], [reference for _, reference, _ in gold])
    predicted = []
    for translation in forced:
        weights, _, _ = translation.words()
        predicted.append(argmax_links(weights[:-1, :-1]))  # end-of-sentence is no word
    return alignment_scores(predicted, [links for _, _, links in gold])


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    examples: Sequence[Example],
    decoding: DecodingConfig,
    heatmaps: int,
) -> None:
    """Write `translations.tsv` and `metrics.json`; of a model with attention `attention.npz`, `heatmaps/`.

    Args:
        folder: where, such as `runs/<name>/test`.
        evaluation: of `examples`.
        examples: what was translated.
        decoding: the settings of the search.
        heatmaps: draw the first so many sentences, one PNG each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_translations(folder / "translations.tsv", evaluation, examples)
    if all(len(translation.heads) for translation in evaluation.translations):
        _write_attention(folder, evaluation.translations, heatmaps)
    lengths = [len(example.source.split()) for example in examples]
    texts = [translation.text for translation in evaluation.translations]
    buckets = bleu_by_length(lengths, texts, [example.references for example in examples])
    metrics = {
        "scores": {s.name: {"value": s.value, "signature": s.signature} for s in evaluation.scores},
        "alignment": None if evaluation.alignment is None else asdict(evaluation.alignment),
        "bleu_by_source_words": [bucket._asdict() for bucket in buckets],
        "sentences": len(examples),
        "seconds": evaluation.seconds,
        "decoding": to_dict(decoding),
    }
    write_json(folder / "metrics.json", metrics)


def _write_attention(folder: Path, translations: Sequence[Translation], heatmaps: int) -> None:
    save_attention(
        folder / "attention.npz",
        [Attention(t.heads, t.source_pieces(), t.target_pieces()) for t in translations],
    )
    for stale in (folder / "heatmaps").glob("*.png"):
        stale.unlink()
    for number, translation in enumerate(translations[:heatmaps], 1):
        weights, source, target = translation.words()
        save_heatmap(folder / "heatmaps" / f"{number:03d}.png", weights, source, target)


def _write_translations(path: Path, evaluation: Evaluation, examples: Sequence[Example]) -> None:
    with replacing(path) as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(["source", "translation", "chrF2", "log_probability", "references"])
        for example, translation in zip(examples, evaluation.translations, strict=True):
            chrf = sentence_chrf(translation.text, example.references)
            numbers = [f"{chrf:.2f}", f"{translation.log_probability:.4f}"]
            writer.writerow([example.source, translation.text, *numbers, *example.references])
