"""The run folder: contains everything, and is the same every time."""

import csv
import json
import re
from pathlib import Path

import pytest
import yaml
from console import TRAINING, lines_of
from inside import inside
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from nmt import train, translate
from nmt.config.schema import from_dict, to_dict
from nmt.config.settings import Config
from nmt.config.training import TrainingConfig
from nmt.data.examples import load_examples
from nmt.data.text import words
from nmt.export.attention_file import load_attention
from nmt.files import sha256
from nmt.runs.latest import find_run
from nmt.runs.run import Run
from nmt.training.schedule import learning_rate

SAMPLES, HEATMAPS = 4, 8


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_all_files_are_there_and_no_others(trained):
    files = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    events = {name for name in files if name.startswith("tensorboard/events.out.tfevents.")}
    model = ("manifest.json", "model.json", "model.safetensors", "source.model", "target.model")
    assert len(events) == 1
    improved_twice = read_json(trained / "training.json")["best_step"] == 20
    assert files - events == {
        *(
            ".lock",
            "config.yaml",
            "confidence.json",
            "prepared.json",
            "train.log",
            "training.json",
            "report.html",
            "data/dev.jsonl",
            "data/test.jsonl",
            "data/source_words.tsv",
        ),
        *(f"checkpoints/best/{name}" for name in model),
        *(f"checkpoints/best.1/{name}" for name in model if improved_twice),
        *(f"checkpoints/{last}/{name}" for last in ("last", "last.1") for name in (*model, "training.pt")),
        *(
            f"test/{name}"
            for name in (
                "translations.tsv",
                "metrics.json",
                "attention.npz",
                "attention.jsonl",
                "attention.pharaoh",
            )
        ),
        *(f"test/heatmaps/{number:03d}.png" for number in range(1, HEATMAPS + 1)),
    }
    latest = trained.parent / "latest"
    assert find_run(latest) == trained.resolve()
    assert (latest / "report.html").read_bytes() == (trained / "report.html").read_bytes()


def test_settings(trained):
    values = yaml.safe_load((trained / "config.yaml").read_text(encoding="utf-8"))
    config = from_dict(Config, values, "config")
    assert Run(trained).decoding() == config.decoding
    assert values == to_dict(config)  # all of them, defaults included
    assert values.keys() == to_dict(Config()).keys()
    assert (config.name, config.data.max_words, config.training.validate_every) == ("tiny", 4, 10)
    assert config.data.source == "sample"  # through experiment=debug


def test_what_the_data_was(trained):
    report = read_json(trained / "prepared.json")
    assert report["source"] == "sample"
    assert report["pairs_read"] == report["pairs_kept"] + sum(report["dropped"].values())
    assert report["pairs_kept"] == sum(split["pairs"] for split in report["splits"].values())
    assert report["dropped"]["too_long"] > 0
    assert len(report["files"][0]["sha256"]) == 64
    for split in ("dev", "test"):
        examples = load_examples(trained / "data" / f"{split}.jsonl")
        assert len(examples) == report["splits"][split]["sources"]
        assert all(len(example.source.split()) <= 4 for example in examples)


def test_checkpoints(trained):
    progress = {}
    for folder in (trained / "checkpoints").iterdir():
        for file, digest in read_json(folder / "manifest.json").items():
            assert sha256(folder / file) == digest
        progress[folder.name] = read_json(folder / "model.json")["progress"]
    assert (progress["last"]["step"], progress["last"]["epoch"]) == (20, 0)
    assert progress["last.1"]["step"] == 10
    assert progress["best"]["step"] == read_json(trained / "training.json")["best_step"]
    assert all(set(one["scores"]) == {"loss", "perplexity", "bleu", "chrf"} for one in progress.values())


def test_report(trained):
    """Rendering in a browser is tested elsewhere; this tests the content."""
    page = (trained / "report.html").read_text(encoding="utf-8")
    content = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    data = json.loads(content)
    metrics = read_json(trained / "test" / "metrics.json")
    examples = load_examples(trained / "data" / "test.jsonl")
    assert [row["source"] for row in data["sentences"]] == [example.source for example in examples]
    assert {row["name"]: row["signature"] for row in data["scores"]} == {
        name: score["signature"] for name, score in metrics["scores"].items()
    }
    assert [curve["steps"] for curve in data["curves"]] == [[10, 20]] * 3
    assert dict(data["tables"]["Settings"])["data.max_words"] == "4"
    for row in data["sentences"]:
        assert len(row["weights"]) == len(row["target_words"])
        assert {len(line) for line in row["weights"]} <= {len(row["source_words"])}
    assert not re.search(r'(src|href)="|url\((?!data:)|@import', page)  # it needs no network


# ---------------------------------------------------------------- the test set


def test_translations(trained):
    examples = load_examples(trained / "data" / "test.jsonl")
    text = (trained / "test" / "translations.tsv").read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert header == [
        "source",
        "translation",
        "chrF2",
        "log_probability",
        "entropy",
        "under_translated",
        "references",
    ]
    assert len(text.splitlines()) == 1 + len(examples) == len(text.split("\n")) - 1
    for row, example in zip(rows, examples, strict=True):
        assert (row[0], tuple(row[6:])) == (example.source, example.references)
        assert 0 <= float(row[2]) <= 100
        assert float(row[3]) < 0
        assert float(row[4]) >= 0
        assert set(row[5].split()) <= set(words(example.source))


def test_metrics(trained):
    metrics = read_json(trained / "test" / "metrics.json")
    assert set(metrics["scores"]) == {"BLEU", "BLEU-intl", "chrF2", "chrF2++", "TER"}
    for score in metrics["scores"].values():
        assert "version:" in score["signature"]
        assert "nrefs:" in score["signature"]
    assert 0 <= metrics["alignment"]["aer"] <= 1  # the bundled corpus has gold alignments
    assert set(metrics["alignment"]["shifted"]) == {"-1", "1"}
    assert 0 <= metrics["coverage"]["under_translated"] <= 1
    assert metrics["sentences"] == len(load_examples(trained / "data" / "test.jsonl"))
    for table in ("bleu_by_source_words", "by_rarest_source_word"):
        assert sum(bucket["sentences"] for bucket in metrics[table]) == metrics["sentences"]
    assert metrics["decoding"]["beam_size"] == 2


def test_attention_of_every_sentence(trained):
    sentences = load_attention(trained / "test" / "attention.npz")
    examples = load_examples(trained / "data" / "test.jsonl")
    for one, example in zip(sentences, examples, strict=True):
        assert "".join(one.source).replace("▁", " ") == f" {example.source}</s>"
        assert one.weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
    pictures = [path.read_bytes() for path in sorted((trained / "test" / "heatmaps").iterdir())]
    assert len(set(pictures)) == HEATMAPS


# ---------------------------------------------------------------- curves and log


@pytest.fixture(scope="module")
def events(trained) -> EventAccumulator:
    return EventAccumulator(str(trained / "tensorboard"), size_guidance={"images": 0}).Reload()


def test_curves(events, trained):
    curves = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    training = ("loss", "perplexity", "learning_rate", "gradient_norm", "tokens_per_second")
    for name in training:
        assert [event.step for event in curves[f"train/{name}"]] == [5, 10, 15, 20]
    for name in ("loss", "perplexity", "bleu", "chrf"):
        assert [event.step for event in curves[f"dev/{name}"]] == [10, 20]
    config = TrainingConfig(max_steps=20)
    rates = [event.value for event in curves["train/learning_rate"]]
    assert rates == pytest.approx([learning_rate(step, 20, config) for step in (5, 10, 15, 20)])
    losses = [event.value for event in curves["train/loss"]]
    assert losses[-1] < losses[0]
    metrics = read_json(trained / "test" / "metrics.json")
    final = {name: score["value"] for name, score in metrics["scores"].items()}
    final["AER"] = metrics["alignment"]["aer"]
    found = {tag.removeprefix("final/"): values for tag, values in curves.items() if tag.startswith("final/")}
    assert {name: values[-1].value for name, values in found.items()} == pytest.approx(final, rel=1e-5)


def test_tensorboard_shows_each_run_once(trained):
    """The newest run does not appear again through `latest`."""
    printed = (trained.parent.parent / "printed").read_text(encoding="utf-8")
    (folder,) = re.findall(r"tensorboard --logdir (.+)\n", printed)
    shown = EventMultiplexer().AddRunsFromDirectory(str(trained.parent.parent / folder)).Runs()
    folders = trained.parent.glob("*/tensorboard")
    assert sorted(shown) == sorted(f"{path.parent.name}/tensorboard" for path in folders)
    assert "tiny/tensorboard" in shown


def test_pictures_texts_and_settings_in_tensorboard(events, trained):
    tags = events.Tags()
    assert set(tags["images"]) == {f"dev/alignment_{number}" for number in range(1, SAMPLES + 1)}
    assert [event.step for event in events.Images("dev/alignment_1")] == [10, 20]
    shown = events.Tensors("dev/translations/text_summary")
    assert [event.step for event in shown] == [10, 20]
    table = shown[-1].tensor_proto.string_val[0].decode()
    for example in load_examples(trained / "data" / "dev.jsonl")[:SAMPLES]:
        assert f"| {example.source} | " in table
        assert f" | {example.references[0]} |" in table
    hparams = events.PluginTagToContent("hparams")
    assert b"training.learning_rate" in b"".join(hparams.values())


def test_log(trained):
    printed = (trained.parent.parent / "printed").read_text(encoding="utf-8")
    log = (trained / "train.log").read_text(encoding="utf-8")
    for said in ("run folder: ", "data: sample, ", "step 20/20", "step 20: development loss", "BLEU "):
        assert said in printed
        assert said in log
    assert "nmt.translate --run" in lines_of(printed)[-1]


# ---------------------------------------------------------------- self-contained, repeatable


def test_a_moved_run_still_translates(trained, call, tmp_path):
    text = "The dog sees."
    expected = call(translate, "--run", trained, text).out
    moved, away = tmp_path / "elsewhere", trained.parent.with_name("away")
    trained.rename(moved)
    trained.parent.rename(away)
    try:
        assert call(translate, "--run", moved, text).out == expected
    finally:
        away.rename(trained.parent)
        moved.rename(trained)


def test_the_same_command_gives_the_same_weights(trained):
    """That a process of its own does, too, is tested with its streams closed: in test_streams.py."""
    folder = trained.parent.parent
    answer = inside(train, *TRAINING, "name=tiny", "runs=others", folder=folder)
    assert answer.code == 0, answer.err
    again = folder / "others" / "tiny"
    for name in ("best", "last"):
        for file in ("model.safetensors", "source.model", "target.model", "model.json"):
            path = Path("checkpoints") / name / file
            assert (again / path).read_bytes() == (trained / path).read_bytes(), path
    assert (again / "test" / "translations.tsv").read_bytes() == (
        trained / "test" / "translations.tsv"
    ).read_bytes()


def test_a_taken_name_is_refused(trained):
    answer = inside(train, *TRAINING, "name=tiny", "model=luong", folder=trained.parent.parent)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: name=tiny: ")
    assert len(answer.err.splitlines()) == 1
