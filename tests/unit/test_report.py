"""What the page of a run is given to show."""

import json
import math
from pathlib import Path
from typing import Any

from nmt.config.settings import Config
from nmt.evaluation.evaluator import Evaluation
from nmt.export.report import save_report


def written(path: Path, history: list[dict[str, float]]) -> dict[str, Any]:
    nothing = Evaluation([], None, None, [], [], [], 1.0)
    report = {"splits": {}, "dropped": {}, "files": [], "source": "tsv", "licence": None}
    save_report(path, Config(), nothing, [], history, report)
    content = path.read_text(encoding="utf-8").split('<script type="application/json" id="data">')[1]
    data: dict[str, Any] = json.loads(content.split("</script>")[0])
    return data


def test_a_validation_that_diverged_is_no_point_of_the_curve(tmp_path):
    losses = [4.0, math.nan, math.inf, 2.0]
    history = [
        {"step": 10 * n, "loss": loss, "bleu": float(n), "chrf": 2.0 * n} for n, loss in enumerate(losses, 1)
    ]
    loss, bleu, chrf = written(tmp_path / "report.html", history)["curves"]
    assert loss["steps"] == bleu["steps"] == [10, 20, 30, 40]
    assert loss["values"] == [4.0, None, None, 2.0]
    assert (bleu["values"], chrf["values"]) == ([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0])
    assert [curve["name"].split()[1] for curve in (loss, bleu, chrf)] == ["loss", "BLEU", "chrF2"]


def test_a_metric_newer_than_the_run_has_no_points(tmp_path):
    history = [{"step": 10, "loss": 2.0, "bleu": 1.0}]
    loss, _, chrf = written(tmp_path / "report.html", history)["curves"]
    assert (loss["values"], chrf["values"]) == ([2.0], [None])
