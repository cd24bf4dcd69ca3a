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

from eight_bits import in_8_bits

import nmt
from nmt import align, evaluate, train, translate
from nmt.config.decoding import DecodingConfig
from nmt.errors import ConfigError, RunError
from nmt.export import __main__ as export
from nmt.export.onnx.export_folder import for_cpu
from nmt.files import sha256
from nmt.onnx.names import FP32, INT8, MANIFEST, SETTINGS, STEP

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
    for precision, most in ((FP32, 4096), (INT8, 2048)):
        configs = (for_cpu(DecodingConfig(batch_tokens=tokens), precision) for tokens in (100, 40_000))
        assert [config.batch_tokens for config in configs] == [100, most]


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


def test_what_loses_too_much_in_8_bits_is_not_written_and_texts_are_made_of_pieces_if_need_be(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(run / "data")
    compared = []
    differences = export._differences

    def wrong(one: Any, other: Any, of: Any) -> tuple[float, float]:
        compared.extend(export._pairs_of_pieces(one))
        largest, mean = differences(one, other, of)
        return largest, mean + 1

    monkeypatch.setattr(export, "_differences", wrong)
    logging.disable()
    try:
        answer = inside(export, "--run", "run", "--output", "model", "--precision", "int8", folder=tmp_path)
    finally:
        logging.disable(logging.NOTSET)
    assert answer.code == 2
    assert answer.err.startswith(
        "error: --precision int8: log-probabilities differ from those of the run by 1"
    )
    assert answer.err.endswith("per subword on average, more than 0.05; use --precision fp32\n")
    assert not (tmp_path / "model").exists()
    assert len(compared) == 20
    assert len({source for source, _ in compared}) == 20


def test_what_is_said_about_the_differences() -> None:
    assert export._checked(1e-5, 1.0, FP32) == "log-probabilities are those of the run, to 1e-05"
    assert "by 0.012 per subword on average (20 sentences)" in export._checked(1.0, 0.0123, INT8)
    with pytest.raises(AssertionError, match=r"log-probabilities differ by 0\.1"):
        export._checked(0.1, 0.0, FP32)
    with pytest.raises(ConfigError, match="use --precision fp32"):
        export._checked(0.1, float("nan"), INT8)


@pytest.fixture(scope="module")
def small(folder: Path) -> Path:
    """In 8 bits."""
    return in_8_bits(folder, folder.with_name("int8"))


def test_in_8_bits_no_text_depends_on_its_neighbours(small: Path, trained: Path) -> None:
    """Not in the last bit; and the texts are nearly always those of the run."""
    texts = [*LINES, " ".join(["The dog sees the boy."] * 12)]
    translator = nmt.Translator.load(small)
    together = translator.translate(texts, nbest=3)
    for text, found in zip(texts, together, strict=True):
        (alone,) = translator.translate([text], nbest=3)
        assert alone.to_dict() == found.to_dict()
    expected = nmt.Translator.load(trained, device="cpu").translate(texts)
    assert sum(one.text == other.text for one, other in zip(together, expected, strict=True)) >= 3


def test_a_folder_in_8_bits_is_opened_as_others(small: Path, folder: Path, tmp_path: Path) -> None:
    assert (small / "weights.bin").stat().st_size < 0.6 * (folder / "weights.bin").stat().st_size
    answer = inside(translate, "--run", small, "The dog sees.", folder=tmp_path)
    assert answer.code == 0
    assert len(nmt.Translator.load(small, folder).translate(LINES)) == len(LINES)
    assert answer.out == nmt.Translator.load(small).translate(LINES)[0].text + "\n"
