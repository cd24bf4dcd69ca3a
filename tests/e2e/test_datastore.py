"""`nmt.datastore`, and what the other commands do with what it makes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from console import Answer
from inside import Begin, inside
from safetensors.numpy import load_file, save

import nmt
from nmt import datastore, evaluate, translate
from nmt.data.examples import load_examples
from nmt.errors import ConfigError, RunError
from nmt.files import sha256
from nmt.library.options import TranslationOptions
from nmt.runs.run import Run

CORPUS = Path(__file__).resolve().parents[2] / "data" / "sample" / "corpus.tsv"
TEXTS = ["The dog sees the cat.", "", "Sita likes this house."]


def make(run: Path, trained: Path) -> Answer:
    """Make the datastore where the run was trained, as its cache is there."""
    return inside(datastore, "--run", run, "--dimension", 9, folder=trained.parent.parent)


@pytest.fixture(scope="module")
def stored(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its datastore."""
    run = tmp_path_factory.mktemp("stored") / "run"
    shutil.copytree(trained, run)
    answer = make(run, trained)
    assert answer.code == 0, answer.err
    assert answer.out.count("\n") == 1
    assert "9 dimensions with" in answer.out
    assert answer.out.endswith(f"s: {run / 'datastore'}\n")
    return run


@pytest.fixture
def own(stored: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(stored, tmp_path / "own")
    return tmp_path / "own"


def files(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((run / "datastore").iterdir())}


def test_it_has_every_training_token(stored):
    arrays = load_file(stored / "datastore" / "tokens.safetensors")
    about = json.loads((stored / "datastore" / "datastore.json").read_text(encoding="utf-8"))
    lines = (stored / "datastore" / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    prepared = json.loads((stored / "prepared.json").read_text(encoding="utf-8"))
    assert len(lines) == about["pairs"] == prepared["splits"]["train"]["pairs"]
    held = {one.source for split in ("dev", "test") for one in load_examples(Run(stored).examples(split))}
    assert not held & {line.partition("\t")[0] for line in lines}
    translator = nmt.Translator.load(stored)
    target = translator._systems[0].finishing.target
    starts = np.flatnonzero(arrays["positions"] == 0)
    for number, part in enumerate(np.split(arrays["tokens"], starts[1:])):
        assert [*part] == [*target.encode(lines[number].partition("\t")[2]), 3]
    assert (arrays["sentences"][starts] == np.arange(len(lines))).all()
    assert arrays["keys"].shape == (about["tokens"], 9)
    variances = arrays["keys"].astype("f4").var(axis=0)
    assert variances.sum() == pytest.approx(about["variance_kept"], abs=0.02)
    assert (np.diff(variances) < 0.01).all()


def test_it_is_the_same_when_it_is_made_again(own, trained):
    before = files(own)
    (own / "datastore" / "left").write_text("x", encoding="utf-8")
    assert make(own, trained).code == 0
    assert files(own) == before
    assert [path.name for path in own.iterdir() if "datastore" in path.name] == ["datastore"]


def pairs_of(run: Path) -> list[list[str]]:
    lines = (run / "datastore" / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


def test_examples_do_not_change_the_translations(stored, tmp_path):
    """A translation that begins with that of a training pair is like this pair."""
    pairs = pairs_of(stored)
    options = ("--run", stored, "--prefix", pairs[4][1], pairs[4][0], "")
    plain = inside(translate, *options, folder=tmp_path)
    answer = inside(translate, "--examples", 3, *options, folder=tmp_path)
    assert (answer.code, answer.out) == (0, plain.out)
    rows = [line.split("\t") for line in answer.err.splitlines() if line.startswith("  ")]
    assert len(rows) == 3
    assert pairs[4] in [row[1:3] for row in rows]
    assert all(row[1:3] in pairs for row in rows)


def test_examples_as_json(stored, tmp_path):
    """The support of all pairs is at most 1."""
    source, target = pairs_of(stored)[7]
    options = ("--run", stored, "--json", "--prefix", target, source, "")
    answer = inside(translate, "--examples", 100, *options, folder=tmp_path)
    one, blank = map(json.loads, answer.out.splitlines())
    weights = [example["weight"] for example in one["examples"]]
    assert weights == sorted(weights, reverse=True)
    assert 0 < sum(weights) <= 1 + 1e-6
    words = [word for example in one["examples"] for word in example["words"]]
    assert words
    assert all(one["text"][word["start"] : word["end"]] == word["text"] for word in words)
    assert blank["examples"] == []
    plain = json.loads(inside(translate, *options, folder=tmp_path).out.splitlines()[0])
    assert {key: value for key, value in one.items() if key != "examples"} == plain


def test_a_training_sentence_is_made_of_itself(stored):
    """Each token of a training pair is nearest to itself."""
    arrays = load_file(stored / "datastore" / "tokens.safetensors")
    supporting = nmt.Translator.load(stored)._systems[0].finishing.examples.supporting()
    loaded = nmt.Translator.load(stored)._systems[0]
    config = TranslationOptions(retrieval_k=1).decoding(loaded.decoding).retrieval
    for number in (0, 5, 11):
        source, target = supporting.pairs[number]
        ids = loaded.finishing.target.encode(target)
        found = supporting.of_tokens(loaded.source.encode(source), ids, config)
        same = [number in one for one in found]
        assert sum(same) >= len(ids) - 1, (found, number)  # another pair may have the same features
    assert len(arrays["keys"])


def test_retrieval_changes_what_is_found_and_not_with_the_batch(stored, tmp_path):
    (tmp_path / "text").write_text(
        "\n".join([*TEXTS, "He runs.", "Where is the old school?"]), encoding="utf-8"
    )
    retrieval = ["--retrieval-weight", "0.5", "--retrieval-k", "128", "--retrieval-temperature", "0.3"]
    options = ["--run", stored, "--input", "text", "--json"]
    plain, one, other = (
        inside(translate, *options, *more, folder=tmp_path)
        for more in ([], retrieval, [*retrieval, "--batch-tokens", "1"])
    )
    assert one.code == other.code == 0, one.err
    assert plain.out != one.out
    for line, again in zip(one.out.splitlines(), other.out.splitlines(), strict=True):
        found, same = json.loads(line), json.loads(again)
        assert found["text"] == same["text"]
        # With few neighbours, which in so small a model are almost equally near, 1 − d²/d²ₖ₊₁ is a difference
        # of almost equal numbers.
        assert found["log_probability"] == pytest.approx(same["log_probability"], abs=1e-5)
    answer = inside(evaluate, "--run", stored, *retrieval, "--output", "x", "--heatmaps", 0, folder=tmp_path)
    assert answer.code == 0, answer.err


def test_the_setting_of_the_run(own, tmp_path):
    config = (own / "config.yaml").read_text(encoding="utf-8")
    assert "    weight: 0.0" in config
    (own / "config.yaml").write_text(config.replace("    weight: 0.0", "    weight: 0.5"), encoding="utf-8")
    by_setting, off, by_option = (
        inside(translate, "--run", own, "--json", *more, TEXTS[0], folder=tmp_path).out
        for more in ([], ["--retrieval-weight", "0"], ["--retrieval-weight", "0.5"])
    )
    assert by_setting == by_option != off


def test_a_prefix_and_a_required_phrase(stored):
    translator = nmt.Translator.load(stored)
    (found,) = translator.translate([TEXTS[0]], retrieval_weight=0.4, prefix="राहुल", required=["घर"])
    assert found.text.startswith("राहुल")
    assert "घर" in found.text
    (drawn,) = translator.translate([TEXTS[0]], retrieval_weight=0.4, sample=True, examples=1)
    assert len(drawn.examples) == 1


# ---------------------------------------------------------------- what is refused


def refused(message: str, *arguments: object, folder: Path) -> None:
    answer = inside(translate, *arguments, "x", folder=folder)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert message in answer.err


@pytest.mark.parametrize("options", [("--examples", 1), ("--retrieval-weight", 0.2)])
def test_without_a_usable_datastore(own, begin, options, tmp_path):
    arguments = ("--run", own, *options)
    again = f"python -m nmt.datastore --run {own}"
    keys = own / "datastore" / "tokens.safetensors"
    content = keys.read_bytes()
    keys.write_bytes(content[:-9] + b"somethingx"[:9])
    refused(
        f"missing or corrupt (tokens.safetensors is not what was written); make it again with: {again}",
        *arguments,
        folder=tmp_path,
    )
    keys.write_bytes(content)
    about = own / "datastore" / "datastore.json"
    description = about.read_text(encoding="utf-8")
    about.write_text("{", encoding="utf-8")
    refused(f"make it again with: {again}", *arguments, folder=tmp_path)
    about.write_text(description, encoding="utf-8")
    shutil.rmtree(own / "checkpoints" / "best")
    shutil.copytree(own / "checkpoints" / "last", own / "checkpoints" / "best")
    manifest = own / "checkpoints" / "best" / "manifest.json"
    weights = own / "checkpoints" / "best" / "model.safetensors"
    arrays = {
        name: value * 1.01 if value.dtype == "f4" else value for name, value in load_file(weights).items()
    }
    weights.write_bytes(save(arrays))
    digests = json.loads(manifest.read_text(encoding="utf-8")) | {"model.safetensors": sha256(weights)}
    manifest.write_text(json.dumps(digests), encoding="utf-8")
    refused(
        f"outdated, as the run has another checkpoint than when it was made; make it again with: {again}",
        *arguments,
        folder=tmp_path,
    )
    shutil.rmtree(own / "datastore")
    refused(f"there is no datastore; make it with: {again}", *arguments, folder=tmp_path)


def test_a_datastore_of_another_shape(own, tmp_path):
    """With the right digests, as an attacker would have them."""
    folder = own / "datastore"
    arrays = load_file(folder / "tokens.safetensors")
    about = json.loads((folder / "datastore.json").read_text(encoding="utf-8"))
    changed = {
        "tokens": arrays["tokens"] + 100_000,
        "sentences": arrays["sentences"] - 1,
        "keys": arrays["keys"][:, :-1],
        "mean": arrays["mean"][:-1],
        "positions": arrays["positions"].astype("f4"),
    }
    for name, part in changed.items():
        (folder / "tokens.safetensors").write_bytes(save(arrays | {name: np.ascontiguousarray(part)}))
        about["sha256"]["tokens.safetensors"] = sha256(folder / "tokens.safetensors")
        (folder / "datastore.json").write_text(json.dumps(about), encoding="utf-8")
        refused(f"{folder}: ", "--run", own, "--examples", 1, folder=tmp_path)


def test_several_runs(stored, tmp_path):
    twice = ("--run", stored, "--run", stored)
    for options in (("--examples", 1), ("--retrieval-weight", 0.2)):
        refused("retrieval and examples need the datastore of one run", *twice, *options, folder=tmp_path)


def test_options_out_of_range(stored, tmp_path):
    for option, value, problem in (
        ("--retrieval-weight", 1.0, "below 1"),
        ("--retrieval-k", 0, "at least 1"),
        ("--retrieval-temperature", 0.0, "above 0"),
        ("--examples", 101, "at most 100"),
    ):
        refused(f"{option} {value:g}: must be {problem}", "--run", stored, option, value, folder=tmp_path)
    answer = inside(evaluate, "--run", stored, "--retrieval-k", 0, folder=tmp_path)
    assert (answer.code, "--retrieval-k 0: must be at least 1" in answer.err) == (2, True)


def test_one_request_harms_no_other(own):
    shutil.rmtree(own / "datastore")
    translator = nmt.Translator.load(own)
    options = [TranslationOptions(), TranslationOptions(examples=1), TranslationOptions(retrieval_weight=0.1)]
    found = translator.translate_batch([TEXTS[0]] * 3, options)
    assert isinstance(found[0], nmt.Translation)
    assert all(isinstance(one, RunError) for one in found[1:])
    both = nmt.Translator.load(own, own).translate_batch([TEXTS[0]], [options[1]])
    assert isinstance(both[0], ConfigError)


def test_other_pairs(own, tmp_path):
    (tmp_path / "a").write_text("The dog sees the cat.\n\nHe runs.\n", encoding="utf-8")
    (tmp_path / "b").write_text("कुत्रा मांजर पाहतो.\nघर\nतो धावतो.\n", encoding="utf-8")
    answer = inside(datastore, "--run", own, "--source", "a", "--target", "b", folder=tmp_path)
    assert (answer.code, "tokens of 2 pairs" in answer.out) == (0, True)
    answer = inside(translate, "--run", own, "--json", "--examples", 9, TEXTS[0], folder=tmp_path)
    sources = {one["source"] for one in json.loads(answer.out)["examples"]}
    assert sources <= {"The dog sees the cat.", "He runs."}
    for arguments, message in (
        (("--source", "a"), "--source and --target: give both, or neither"),
        (("--source", "a", "--target", "c"), "c"),
        (("--dimension", 0), "--dimension 0: must be at least 1"),
    ):
        answer = inside(datastore, "--run", own, *arguments, folder=tmp_path)
        assert (answer.code, answer.err.count("\n"), message in answer.err) == (2, 1, True)


def test_a_run_without_its_corpus(own, tmp_path):
    config = (own / "config.yaml").read_text(encoding="utf-8")
    changed = config.replace("  source: sample", "  source: tsv\n  path: nowhere.tsv").replace(
        "  path: null\n", "", 1
    )
    assert changed != config
    (own / "config.yaml").write_text(changed, encoding="utf-8")
    answer = inside(datastore, "--run", own, folder=tmp_path)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "nowhere.tsv" in answer.err
    assert "--source and --target" in answer.err


def test_input_variants_are_left_out(begin: Begin, tmp_path):
    answer = begin(tmp_path, "data.input_variants=1", "training.max_steps=1")
    assert answer.code == 0, answer.err
    run = tmp_path / "runs" / "run"
    assert inside(datastore, "--run", run, "--dimension", 9, folder=tmp_path).code == 0
    lines = (run / "datastore" / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    prepared = json.loads((run / "prepared.json").read_text(encoding="utf-8"))
    corpus = {line.split("\t")[0] for line in CORPUS.read_text(encoding="utf-8").splitlines()}
    assert {line.partition("\t")[0] for line in lines} <= corpus
    assert len(lines) > prepared["splits"]["train"]["pairs"] / 2 - 1


def test_training_with_retrieval_has_no_datastore_yet(begin: Begin, tmp_path):
    answer = begin(tmp_path, "decoding.retrieval.weight=0.2")
    assert answer.code == 0, answer.err
    answer = inside(translate, "--run", tmp_path / "runs" / "run", "x", folder=tmp_path)
    assert (answer.code, "there is no datastore" in answer.err) == (2, True)
