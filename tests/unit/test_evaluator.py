"""An evaluation and its files, with an untrained model."""

import csv
import json
import math
from pathlib import Path

import pytest
from tiny import ENGLISH, MARATHI, tiny_model

from nmt.config.decoding import DecodingConfig
from nmt.config.settings import Config
from nmt.data.examples import Example
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.evaluation.evaluator import Evaluation, evaluate
from nmt.evaluation.metrics import sentence_chrf
from nmt.export.evaluation_files import write_evaluation
from nmt.export.report import save_report

EXAMPLES = [Example(source, (target,), ("",)) for source, target in zip(ENGLISH, MARATHI, strict=True)]
DECODING = DecodingConfig(beam_size=1, max_length_factor=1.0, max_length_extra=4)


@pytest.fixture
def translator(tokenizers) -> Translator:
    source, target = tokenizers
    return Translator(TorchModel(tiny_model(len(source), len(target), seed=3)), source, target, DECODING)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "translations.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def page(path: Path, evaluation: Evaluation) -> list[dict[str, object]]:
    """The sentences on the page of a run."""
    report = {"splits": {}, "dropped": {}, "files": [], "source": "tsv", "licence": None}
    save_report(path, Config(), evaluation, EXAMPLES, [], report)
    text = path.read_text(encoding="utf-8").split('<script type="application/json" id="data">')[1]
    found: list[dict[str, object]] = json.loads(text.split("</script>")[0])["sentences"]
    return found


def test_each_sentence_is_scored_once_for_all_files(translator, tmp_path, monkeypatch):
    scored = []

    def count(hypothesis: str, references: list[str]) -> float:
        scored.append(hypothesis)
        return sentence_chrf(hypothesis, references)

    for module in ("evaluation.evaluator", "export.evaluation_files", "export.report"):
        monkeypatch.setattr(f"nmt.{module}.sentence_chrf", count, raising=False)
    evaluation = evaluate(translator, EXAMPLES)
    write_evaluation(tmp_path, evaluation, EXAMPLES, DECODING, heatmaps=0)
    sentences = page(tmp_path / "report.html", evaluation)
    texts = [one.text for one in evaluation.translations]
    assert scored == texts
    expected = [
        sentence_chrf(text, example.references) for text, example in zip(texts, EXAMPLES, strict=True)
    ]
    assert [row["chrF2"] for row in rows(tmp_path)] == [f"{value:.2f}" for value in expected]
    assert [sentence["score"] for sentence in sentences] == [round(value, 2) for value in expected]


def test_entropy_is_of_whole_rows_in_all_files(translator, tmp_path):
    """The formula in a loop: the rows sum to 1, as end-of-sentence is one of the places."""
    evaluation = evaluate(translator, EXAMPLES)
    write_evaluation(tmp_path, evaluation, EXAMPLES, DECODING, heatmaps=0)
    expected = []
    for one in evaluation.translations:
        weights, source, _ = one.words()
        assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert weights[:, -1].max() > 0.01
        assert source[-1] == "</s>"
        entropies = [-sum(p * math.log(p) for p in row if p > 0) for row in weights.tolist()]
        expected.append(sum(entropies) / len(entropies))
    assert [float(row["entropy"]) for row in rows(tmp_path)] == pytest.approx(expected, abs=6e-4)
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["coverage"]["entropy"] == pytest.approx(sum(expected) / len(expected), rel=1e-5)
