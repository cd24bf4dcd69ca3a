"""`nmt.export`: the folder translates as the run does, without PyTorch, and is verified when it is opened."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from inside import inside

pytest.importorskip("onnxruntime", reason="needs the extra `export`")

import nmt
from nmt import align, evaluate, train
from nmt.config.decoding import DecodingConfig
from nmt.errors import ConfigError, RunError
from nmt.export import __main__ as export
from nmt.export.onnx.export_folder import for_cpu
from nmt.files import sha256
from nmt.onnx.names import MANIFEST, SETTINGS, STEP

LINES = ["The dog sees.", "", "He is a boy.", "https://example.org 12"]
WITHOUT_TORCH = """
import runpy, sys
sys.modules["torch"] = None
sys.argv = ["nmt.translate", *sys.argv[1:]]
runpy.run_module("nmt.translate", run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    logging.disable()  # pytest would keep what the exporter traces, in ten times the time
    try:
        answer = inside(export, "--run", trained, "--output", "model", folder=folder)
    finally:
        logging.disable(logging.NOTSET)
    assert (answer.code, answer.err) == (0, "")
    assert "log-probabilities are those of the run" in answer.out
    return folder / "model"


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def test_it_translates_as_the_run_does_without_torch(folder: Path, trained: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "--run", folder, "--json", "--input", "-"],
        input="\n".join(LINES).encode(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    expected = nmt.Translator.load(trained, device="cpu").translate(LINES)
    assert [one["text"] for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["log_probability"] == pytest.approx(other.log_probability, abs=1e-4)
        assert one["confidence"] == pytest.approx(other.confidence, abs=1e-4)


def test_the_library_says_of_both_the_same(folder: Path, trained: Path) -> None:
    mine, theirs = (nmt.Translator.load(path, device="cpu") for path in (folder, trained))
    assert (mine.name, mine.heads, mine.languages, mine.beam_size) == (
        theirs.name, theirs.heads, theirs.languages, theirs.beam_size,
    )  # fmt: skip


def test_batches_for_a_gpu_are_not_exported() -> None:
    """On a CPU they would only take memory."""
    found = [for_cpu(DecodingConfig(batch_tokens=tokens)).batch_tokens for tokens in (100, 40_000)]
    assert found == [100, 4096]


def test_exported_models_as_an_ensemble(folder: Path) -> None:
    """Of a model with itself: the model."""
    alone, twice = nmt.Translator.load(folder), nmt.Translator.load(folder, folder)
    assert twice.name == f"{alone.name}+{alone.name}"
    for options in ({"nbest": 2}, {"sample": True}):
        found, expected = (one.translate(LINES, attention=True, **options) for one in (twice, alone))
        for one, other in zip(found, expected, strict=True):
            assert one.text == other.text
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)


def test_what_an_exported_model_cannot_do_is_refused(folder: Path, trained: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be part of an ensemble with runs"):
        nmt.Translator.load(folder, trained)
    with pytest.raises(ConfigError, match="runs on the CPU"):
        nmt.Translator.load(folder, device="cuda")


def test_every_damaged_file_is_noticed(copied: Path) -> None:
    names = sorted(path.name for path in copied.iterdir() if path.name != MANIFEST)
    assert len(names) >= 6
    for name in names:
        content = (copied / name).read_bytes()
        (copied / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(RunError, match=f"{name}: missing or corrupt") as caught:
            nmt.Translator.load(copied)
        assert "\n" not in str(caught.value)
        (copied / name).write_bytes(content)
    nmt.Translator.load(copied)


def foreign(folder: Path, name: str, content: bytes) -> None:
    """A file of somebody else's, with a manifest that matches."""
    (folder / name).write_bytes(content)
    digests = {path.name: sha256(path) for path in folder.iterdir() if path.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps(digests), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (STEP, b"nonsense", "ONNX Runtime .* cannot load it"),
        ("source.model", b"nonsense", "not a SentencePiece model"),
        (SETTINGS, b"nonsense", "not valid JSON"),
        (SETTINGS, b"[]", "format None; this version reads format 1"),
        (SETTINGS, b'{"format": 2}', "format 2; this version reads format 1"),
        (SETTINGS, b'{"format": 1, "decoding": {"beem": 1}}', "beem"),
        (SETTINGS, b'{"format": 1, "decoding": {}}', "export the run again"),
    ],
)
def test_foreign_files_are_one_clear_line(copied: Path, name: str, content: bytes, message: str) -> None:
    foreign(copied, name, content)
    with pytest.raises(RunError, match=message) as caught:
        nmt.Translator.load(copied)
    assert "\n" not in str(caught.value)


def test_graphs_of_different_models_are_noticed(copied: Path) -> None:
    foreign(copied, STEP, (copied / "encoder.onnx").read_bytes())
    with pytest.raises(RunError, match=r"not the decoder of encoder\.onnx"):
        nmt.Translator.load(copied)


def test_a_manifest_is_needed(copied: Path) -> None:
    (copied / MANIFEST).unlink()
    with pytest.raises(RunError, match="missing or corrupt; export the run again"):
        nmt.Translator.load(copied)


def test_other_folders_are_not_replaced(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    answer = inside(export, "--run", trained, "--output", "mine", folder=tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.endswith(
        "mine: exists, and is not an exported model; choose another --output, or remove it\n"
    )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("module", "arguments", "named"),
    [
        (evaluate, ["--run", "model"], "model"),
        (export, ["--run", "model", "--output", "again"], "model"),
        (train, ["resume=model"], "resume=model"),
        (
            train,
            ["experiment=debug", "training.initialise_from=model"],
            "training.initialise_from=model",
        ),
    ],
)
def test_commands_that_need_a_run_say_so(
    copied: Path, module: ModuleType, arguments: list[str], named: str
) -> None:
    answer = inside(module, *arguments, folder=copied.parent)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"error: {named}: an exported model, not a run; nmt.translate, nmt.align and nmt.serve work with it, "
        "here give the run that it was exported from\n"
    )


def test_it_aligns_as_the_run_does(folder: Path, trained: Path, tmp_path: Path) -> None:
    for name, text in (("a.en", "The dog sees.\nHe is a boy.\n"), ("a.mr", "कुत्रा पाहतो.\nतो मुलगा आहे.\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    given = ("--source", "a.en", "--target", "a.mr", "--device", "cpu")
    found, expected = (inside(align, "--run", run, *given, folder=tmp_path) for run in (folder, trained))
    assert (found.code, found.err) == (0, "")
    assert found.out == expected.out != ""


def test_a_run_without_sentences_is_compared_on_its_pieces(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(run / "data")
    compared = []
    difference = export._difference

    def wrong(one: Any, other: Any, of: Any) -> float:
        compared.extend(export._pairs_of_pieces(one))
        return difference(one, other, of) + 1

    monkeypatch.setattr(export, "_difference", wrong)
    logging.disable()
    try:
        answer = inside(export, "--run", "run", "--output", "model", folder=tmp_path)
    finally:
        logging.disable(logging.NOTSET)
    assert answer.code == 1
    assert "log-probabilities differ by 1" in answer.err
    assert len(compared) == 20
    assert len({source for source, _ in compared}) == 20
