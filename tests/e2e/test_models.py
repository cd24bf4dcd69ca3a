"""Every model in `configs/model/`, end to end: compose, train a step, translate and align."""

import json
import re

import pytest
from small_corpus import corpus, write_tsv

from nmt import train, translate
from nmt.export.attention_file import load_attention
from nmt.launch.compose import configs_folder

MODELS = sorted(path.stem for path in (configs_folder() / "model").glob("*.yaml"))
HEADS = {"seq2seq": 0, "scaled_dot": 4, "transformer": 4}
DRAWN = {"bahdanau", *HEADS}  # with one head, several, and none


def test_the_usual_names_are_there():
    assert {"bahdanau", "luong", "luong_dot", "luong_local", "seq2seq", "transformer"} <= set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_once_through(call, tmp_path, model, monkeypatch):
    monkeypatch.setattr("nmt.runs.finish.TEST_HEATMAPS", int(model in DRAWN))
    data = write_tsv(tmp_path / "pairs.tsv", corpus(40))
    settings = ("data=tsv", f"data.path={data}", "data.dev_fraction=0.1", "data.test_fraction=0.1")
    answer = call(
        train, f"model={model}", "experiment=debug", "training.max_steps=1", f"name={model}", *settings
    )
    assert answer.code == 0, answer.err
    assert re.search(r"^BLEU ", answer.out, re.MULTILINE)
    metrics = json.loads((tmp_path / "runs" / model / "test" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["sentences"] > 0
    pictures = list((tmp_path / "runs" / model / "test" / "heatmaps").glob("*.png"))
    assert bool(pictures) == (model in DRAWN and HEADS.get(model, 1) > 0)

    answer = call(translate, "Sentence 7 is here.", "--attention", "out.npz")
    if HEADS.get(model, 1) == 0:
        assert answer.code == 2
        assert "has no attention" in answer.err
        answer = call(translate, "Sentence 7 is here.")
    else:
        (attention,) = load_attention(tmp_path / "out.npz")
        assert attention.attention.shape[0] == HEADS.get(model, 1)
        assert attention.attention.sum(axis=-1) == pytest.approx(1, abs=1e-5)
    assert answer.code == 0, answer.err
    assert answer.out.count("\n") == 1


def test_what_makes_no_sense_is_refused_before_any_work(call, tmp_path):
    answer = call(train, "model=seq2seq", "model.attention.scope=hard", "experiment=debug")
    assert answer.code == 2
    assert "model.attention.scope=hard" in answer.err
    assert not (tmp_path / "runs").exists()


def test_the_rate_of_a_model_is_a_multiple_of_the_trainings(begin, tmp_path):
    weights = []
    for number, setting in enumerate(("training.lr_multiplier=0.5", "training.learning_rate=5e-4")):
        folder = tmp_path / str(number)
        folder.mkdir()
        answer = begin(folder, "training.max_steps=3", "training.learning_rate=1e-3", setting)
        assert answer.code == 0, answer.err
        weights.append((folder / "runs/run/checkpoints/last/model.safetensors").read_bytes())
    assert weights[0] == weights[1]
