"""`data.extra` from the command line: trained on, reported, resumed, and errors in one line."""

import json
import re
from pathlib import Path

import pytest
from console import Answer
from inside import SHORT, inside, weights
from small_catalogue import binary, put_catalogue

from nmt import train
from nmt.data.tokenizer import Tokenizer

EXTRA = (
    "data.extra=[{kind: tsv, path: made.tsv, weight: 0.5, tag: '<made>'}, "
    "{kind: dictionary, path: words.tsv}, {kind: gettext, path: share, language: mr, weight: 2}]"
)


def begin(folder: Path, *arguments: object) -> Answer:
    return inside(train, *SHORT, "name=run", *arguments, folder=folder)


def put_files(folder: Path) -> None:
    known = "Rahul is a good boy.\tराहुल चांगला मुलगा आहे.\n"
    made = "".join(f"Made {k}.\tकेले {k}.\n" for k in range(30))
    (folder / "made.tsv").write_text(known + made, encoding="utf-8")
    (folder / "words.tsv").write_text("# words\nscrew\tस्क्रू\n", encoding="utf-8")
    put_catalogue(folder / "share", "mr", "a.mo", binary({"_Open": "उघडा (_O)", "Close": "बंद करा"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on the bundled corpus and three others."""
    folder = tmp_path_factory.mktemp("extra")
    put_files(folder)
    answer = begin(folder, EXTRA)
    assert answer.code == 0, answer.err
    return folder


def test_what_was_trained_on_is_logged_and_recorded(folder: Path) -> None:
    log = (folder / "runs/run/train.log").read_text(encoding="utf-8")
    assert re.search(r" data: sample, .* \(train [\d,]+ with extra data, dev ", log)
    assert "extra data: tsv made.tsv (weight 0.5, tag <made>), 30 of 31 pairs; dropped: 1 " in log
    assert "extra data: dictionary words.tsv (weight 1), 1 of 1 pairs; dropped: none" in log
    assert "extra data: gettext share (weight 2), 2 of 2 pairs; dropped: none" in log
    report = json.loads((folder / "runs/run/prepared.json").read_text(encoding="utf-8"))
    assert [entry["pairs_kept"] for entry in report["extra"]] == [30, 1, 2]
    page = (folder / "runs/run/report.html").read_text(encoding="utf-8")
    assert "extra: gettext share" in page
    source = Tokenizer((folder / "runs/run/checkpoints/best/source.model").read_bytes())
    assert source.piece_id("<made>") not in source.encode("<made>")


def test_the_same_command_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    put_files(tmp_path)
    assert begin(tmp_path, EXTRA).code == 0
    assert weights(tmp_path / "runs/run") == weights(folder / "runs/run")
    put_files(tmp_path)
    assert begin(tmp_path, EXTRA.replace("0.5", "1.5"), "name=other").code == 0
    assert weights(tmp_path / "runs/other") != weights(folder / "runs/run")


def test_a_resumed_run_finds_moved_files_and_keeps_its_data(folder: Path) -> None:
    longer = ("resume=runs/run", "training.max_steps=5")
    (folder / "made.tsv").rename(folder / "moved.tsv")
    answer = inside(train, *longer, folder=folder)
    assert answer.err.startswith("error: data.extra[0].path=made.tsv: no such file in ")
    for changed in (EXTRA.replace("0.5", "0.25"), EXTRA.replace("<made>", "<other>")):
        answer = inside(train, *longer, changed.replace("made.tsv", "moved.tsv"), folder=folder)
        assert answer.code == 2
        assert answer.err.startswith("error: data.extra: [{path: made.tsv, weight: 0.5, tag: <made>},{kind: ")
        assert "would mean different training data" in answer.err
    answer = inside(train, *longer, EXTRA.replace("made.tsv", "moved.tsv"), folder=folder)
    assert answer.code == 0, answer.err
    assert "resuming after step 4 of 5" in answer.out


def test_a_corpus_without_a_pair_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "nothing.tsv").touch()
    answer = begin(tmp_path, "data.extra=[{path: nothing.tsv}]")
    assert answer.code == 0, answer.err
    line = "extra data: tsv nothing.tsv (weight 1), 0 of 0 pairs; dropped: none"
    assert f"\nwarning: {line}: it has no effect\n" in answer.out


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[{path: absent.tsv}]", r"data\.extra\[0\]\.path=absent\.tsv: no such file in /\S+"),
        ("[{path: broken.tsv}]", r"data\.extra\[0\]\.path: broken\.tsv, line 2: has no column 2; .*"),
        ("[{path: a.tsv, weigth: 2}]", r"data\.extra: weigth: no such setting; a corpus has kind, path, .*"),
        ("[{path: a.tsv, weight: much}]", r"data\.extra: weight: Value 'much' .*"),
        (
            "[{path: a.tsv}, {kind: moses}]",
            r"data\.extra\[1\]\.path: kind=moses needs it; add path: FILE; .*",
        ),
        *(
            (value, rf"data\.extra{place}: must be a list of corpora, such as \[{{kind: tsv, path: FILE, .*")
            for value, place in (
                ("a.tsv", ""),
                ("null", ""),
                ("{path: a.tsv}", ""),
                ("[a.tsv]", r"\[0\]"),
                ("[null]", r"\[0\]"),
            )
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "broken.tsv").write_text("one\tएक\ntwo\n", encoding="utf-8")
    answer = begin(tmp_path, f"data.extra={value}")
    assert (answer.code, answer.out) == (2, "")
    assert re.fullmatch(rf"error: {said}\n", answer.err), answer.err
