"""`nmt.translate` and `nmt.evaluate` with a model that has learnt almost nothing."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from console import command, lines_of
from matplotlib import image
from sacrebleu.metrics.bleu import BLEU

from nmt import evaluate, translate
from nmt.decoding import search
from nmt.decoding.hypothesis import History
from nmt.export.attention_file import load_attention

TEXTS = ["The dog sees.", "Where is my house?", "She sings."]


# ---------------------------------------------------------------- input and output


def test_all_kinds_of_input_give_the_same(trained, call, tmp_path):
    """TEXT arguments, a file, standard input, and an output file."""
    given = call(translate, "--run", trained, *TEXTS)
    assert (given.code, [line for line in given.err.splitlines() if not line.startswith("warning: ")]) == (
        0,
        [],
    )
    assert len(lines_of(given.out)) == 3
    assert given.out.strip()
    content = "".join(text + "\n" for text in TEXTS).encode()
    (tmp_path / "in.txt").write_bytes(content)
    assert call(translate, "--run", trained, "--input", "in.txt").out == given.out
    assert call(translate, "--run", trained, "--input", "-", stdin=content).out == given.out
    assert call(translate, "--run", trained, stdin=content[:-1]).out == given.out  # no final newline
    answer = call(translate, "--run", trained, "--input", "in.txt", "--output", "out/found.txt")
    assert (answer.code, answer.out) == (0, "")
    assert (tmp_path / "out" / "found.txt").read_text(encoding="utf-8") == given.out
    for text, line in zip(TEXTS, lines_of(given.out), strict=True):
        assert lines_of(call(translate, "--run", trained, text).out) == [line]


def test_one_line_out_for_every_line_in(trained, call, tmp_path):
    """Blank lines, and characters that Python treats as line breaks but that are none here."""
    content = "one\n\n  \ntwo\u2028three\x85four\x0bfive\r\n\x00\n\ufeff\nsix\x1cseven\n\n".encode()
    (tmp_path / "in.txt").write_bytes(content)
    found = lines_of(call(translate, "--run", trained, "--input", "in.txt").out)
    assert [bool(line.strip()) for line in found] == [True, False, False, True, False, False, True, False]
    assert found[2] == "  "
    assert found[3].endswith("\r")
    assert not any(line.splitlines()[1:] for line in found)
    assert call(translate, "--run", trained, stdin=b"").out == ""
    texts = ["one", "", "two\nlines", "\ufeff"]
    found = call(translate, "--run", trained, *texts).out
    assert [bool(line) for line in lines_of(found)] == [1, 0, 1, 1, 0]  # a text keeps its lines


def test_nbest_and_json(trained, call):
    best = lines_of(call(translate, "--run", trained, *TEXTS, "").out)
    for options in (["--nbest", 2], ["--nbest", 2, "--beam-size", 2]):
        many = lines_of(call(translate, "--run", trained, *options, *TEXTS, "").out)
        assert [line.split("\t")[0] for line in many] == best
        assert [line.count("\t") for line in many] == [1, 1, 1, 0]
    answer = call(translate, "--run", trained, "--json", "--nbest", 3, *TEXTS, "")
    rows = [json.loads(line) for line in lines_of(answer.out)]
    assert [row["source"] for row in rows] == [*TEXTS, ""]
    for row in rows[:3]:
        assert len(row["alternatives"]) == 2
        for one in (row, *row["alternatives"]):
            assert one["log_probability"] <= one["score"] < 0
    truncated = [number for number, row in enumerate(rows, 1) if "truncated" in row["flags"]]
    said = [f"warning: line {number}: the translation was truncated" for number in truncated[:1]]
    assert all(one in answer.err for one in said)


@pytest.mark.parametrize("size", [1, 3])
def test_beam_size(trained, call, size):
    answer = call(translate, "--run", trained, "--beam-size", size, *TEXTS)
    assert (answer.code, len(lines_of(answer.out))) == (0, 3)


def test_attention(trained, call, tmp_path):
    answer = call(translate, "--run", trained, "--attention", "a.npz", "--json", *TEXTS, "")
    saved = load_attention(tmp_path / "a.npz")
    assert len(saved) == 4
    for row, one in zip(lines_of(answer.out), saved, strict=True):
        source = json.loads(row)["source"]
        assert "".join(one.source) == "".join(["▁" + word for word in source.split()]) + "</s>"
        assert one.weights.shape == (len(one.target), len(one.source))
        assert np.allclose(one.weights.sum(axis=1), 1, atol=1e-5)
    assert call(translate, "--run", trained, "--attention", "one.png", TEXTS[0]).code == 0
    assert image.imread(tmp_path / "one.png").std() > 0  # not a blank image
    assert call(translate, "--run", trained, "--attention", "p.png", "--pieces", TEXTS[0]).code == 0
    assert (tmp_path / "p.png").read_bytes() != (tmp_path / "one.png").read_bytes()
    assert call(translate, "--run", trained, "--attention", "m.svg", TEXTS[0], "", TEXTS[1]).code == 0
    assert {path.name for path in tmp_path.glob("m*")} >= {"m-1.svg", "m-3.svg"}
    assert call(translate, "--run", trained, "--attention", "a.jsonl", *TEXTS, "").code == 0
    for one, other in zip(load_attention(tmp_path / "a.jsonl"), saved, strict=True):
        assert one.source == other.source
        assert np.array_equal(one.attention, other.attention)
    assert call(translate, "--run", trained, "--attention", "a.pharaoh", *TEXTS, "").code == 0
    assert (tmp_path / "a.pharaoh").read_text().count("\n") == 4
    every = ("--attention", "b.pharaoh", "--threshold", "1e-9")
    assert call(translate, "--run", trained, *every, *TEXTS).code == 0
    assert (tmp_path / "b.pharaoh").stat().st_size > (tmp_path / "a.pharaoh").stat().st_size
    assert call(translate, "--run", trained, "--attention", "a.html", *TEXTS).code == 0
    assert TEXTS[0] in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_heatmap_in_the_terminal_leaves_the_output_alone(trained, call):
    plain, shown = (call(translate, "--run", trained, *flag, TEXTS[0]) for flag in ([], ["--show"]))
    assert shown.out == plain.out
    first, numbers, *rows = [line for line in shown.err.splitlines() if line not in plain.err.splitlines()]
    assert first.split()[1] == TEXTS[0].split()[0]
    assert numbers.split()[:2] == ["1", "2"]
    assert rows


def test_attention_is_computed_only_on_request(trained, call, monkeypatch):
    asked = []

    class Watched(History):
        def __init__(self, sentences, attention=()):
            asked.append(len(attention))
            super().__init__(sentences, attention)

    monkeypatch.setattr(search, "History", Watched)
    searches = (["--beam-size", 1], ["--beam-size", 2], ["--exact"], ["--nbest", 2, "--json"])
    for options in searches:
        for more, count in (([], 0), (["--show"], 1), (["--attention", "a.npz"], 1)):
            assert call(translate, "--run", trained, *options, *more, TEXTS[0]).code == 0
            assert asked == [count]
            asked.clear()


# ---------------------------------------------------------------- sampling


def test_sampling_is_random_but_repeatable(trained, call, tmp_path):
    """A line's samples depend on its text and the seed only."""
    sample = ("--run", trained, "--sample")
    texts = [*TEXTS, "", *TEXTS]
    found = call(translate, *sample, *texts)
    assert (found.code, len(lines_of(found.out))) == (0, 7)
    assert lines_of(found.out)[3] == ""
    assert lines_of(found.out)[:3] == lines_of(found.out)[4:]
    assert call(translate, *sample, "--seed", 1, "--temperature", 1, "--top-p", 1, *texts).out == found.out
    assert call(translate, *sample, "--seed", 2, *texts).out != found.out
    assert call(translate, *sample, "--temperature", 0.5, *texts).out != found.out
    assert lines_of(call(translate, *sample, *texts[1:3]).out) == lines_of(found.out)[1:3]
    answer = call(translate, *sample, "--json", "--nbest", 3, "--attention", "a.jsonl", *texts)
    rows = [json.loads(line) for line in lines_of(answer.out)]
    assert [row["text"] for row in rows] == lines_of(found.out)
    assert [len(row["alternatives"]) for row in rows] == [2, 2, 2, 0, 2, 2, 2]
    assert len(load_attention(tmp_path / "a.jsonl")) == 7
    greedy = call(translate, "--run", trained, "--beam-size", 1, *TEXTS)
    for option in (("--temperature", "1e-6"), ("--top-k", 1), ("--top-p", "1e-9")):
        assert call(translate, *sample, *option, *TEXTS).out == greedy.out


def test_minimum_bayes_risk(trained, call):
    """Of the beam's hypotheses, or of samples."""
    mbr = call(translate, "--run", trained, "--mbr", "nbest", "--mbr-size", 4, "--json", *TEXTS)
    beam = call(translate, "--run", trained, "--beam-size", 4, "--nbest", 4, "--json", *TEXTS)
    for one, other in zip(lines_of(mbr.out), lines_of(beam.out), strict=True):
        found, group = json.loads(one), json.loads(other)
        assert found["text"] in [group["text"], *(item["text"] for item in group["alternatives"])]
        assert 0 <= found["score"] <= 100
    sampled = ("--run", trained, "--mbr", "samples", "--mbr-size", 5)
    samples = call(translate, "--run", trained, "--sample", "--nbest", 5, *TEXTS)
    found = call(translate, *sampled, *TEXTS)
    for text, draws in zip(lines_of(found.out), lines_of(samples.out), strict=True):
        assert text in draws.split("\t")
    assert call(translate, *sampled, "--seed", 2, *TEXTS).code == 0


# ---------------------------------------------------------------- evaluate


def test_evaluating_a_split_again_gives_the_same_scores(trained, call, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    before = json.loads((trained / "test" / "metrics.json").read_text(encoding="utf-8"))
    answer = call(evaluate, "--run", "copy", "--output", "again", "--heatmaps", 1)
    assert answer.code == 0, answer.err
    after = json.loads((tmp_path / "again" / "metrics.json").read_text(encoding="utf-8"))
    assert after["scores"] == before["scores"]
    assert after["alignment"] == before["alignment"]
    assert len(list((tmp_path / "again" / "heatmaps").iterdir())) == 1
    assert before["scores"]["BLEU"]["signature"] in answer.out
    assert call(evaluate, "--run", "copy", "--split", "dev", "--beam-size", 1, "--heatmaps", 0).code == 0
    written = json.loads((tmp_path / "copy" / "dev" / "metrics.json").read_text(encoding="utf-8"))
    assert written["decoding"]["beam_size"] == 1
    assert written["sentences"] == len((trained / "data" / "dev.jsonl").read_text().splitlines())


def test_the_table_by_the_rarest_word_needs_the_counts_of_the_training_set(trained, call, tmp_path):
    """They move with the run, and count also for other files; a run from before them has no such table."""
    shutil.copytree(trained, tmp_path / "copy")
    (tmp_path / "src").write_text("The dog sees.\nThe xylophone sees the dog.\n", encoding="utf-8")
    (tmp_path / "ref").write_text("कुत्रा पाहतो.\nकुत्रा पाहतो.\n", encoding="utf-8")
    files = ["--source", "src", "--reference", "ref", "--output", "out", "--heatmaps", 0]
    metrics = tmp_path / "out" / "metrics.json"
    answer = call(evaluate, "--run", "copy", *files)
    assert answer.code == 0, answer.err
    ranges = json.loads(metrics.read_text(encoding="utf-8"))["by_rarest_source_word"]
    assert (ranges[0]["label"], sum(one["sentences"] for one in ranges)) == ("0", 2)
    assert "rarest source word seen in training" in answer.out
    (tmp_path / "copy" / "data" / "source_words.tsv").unlink()
    answer = call(evaluate, "--run", "copy", *files)
    assert answer.code == 0, answer.err
    assert json.loads(metrics.read_text(encoding="utf-8"))["by_rarest_source_word"] is None
    assert "rarest source word" not in answer.out
    assert "no table by the rarest word: the run is older than it and has no " in answer.out


def test_errors_by_category(trained, call, tmp_path):
    answer = call(evaluate, "--run", trained, "--output", "out", "--heatmaps", 0, "--errors")
    assert answer.code == 0, answer.err
    rows = (tmp_path / "out" / "errors.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + len((trained / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines())
    page = (tmp_path / "out" / "errors.md").read_text(encoding="utf-8")
    for name in ("source: a question", "too short", "source word without attention"):
        count = sum(name in row.split("\t")[3].split("; ") for row in rows[1:])
        assert (f"| {name} | {count} |" in page) == (f"  {name} " in answer.out) == (count > 0)
    assert "errors.md" in answer.out


def test_evaluating_files_with_two_references(trained, call, tmp_path):
    found = lines_of(call(translate, "--run", trained, *TEXTS).out)
    first = [found[0] or "एक", "काही तरी वेगळे आहे", ""]
    second = ["", found[1] or "दोन", "अगदी वेगळे वाक्य"]
    for name, lines in (("src", TEXTS), ("one", first), ("two", second)):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    files = ["--source", "src", "--reference", "one", "two", "--output", "out"]
    answer = call(evaluate, "--run", trained, *files)
    assert answer.code == 0, answer.err
    bleu = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["scores"]["BLEU"]
    streams = [[line or None for line in lines] for lines in (first, second)]
    assert bleu["value"] == pytest.approx(BLEU().corpus_score(found, streams).score)
    assert len((tmp_path / "out" / "translations.tsv").read_text(encoding="utf-8").splitlines()) == 4
    (tmp_path / "one").write_text("एक\n", encoding="utf-8")
    answer = call(evaluate, "--run", trained, *files)
    assert (answer.code, answer.out) == (2, "")
    assert "one has 1 lines, src has 3" in answer.err


# ---------------------------------------------------------------- mistakes


MISTAKES = {
    "no such run": (
        translate,
        ["--run", "nothing", "x"],
        r"nothing: no such run; train a model first: `make demo`",
    ),
    "two inputs": (translate, ["--input", "f", "text"], "TEXT and --input: give only one of them"),
    "no beam": (translate, ["--beam-size", "0", "x"], "--beam-size 0: must be at least 1"),
    "no hypotheses": (translate, ["--nbest", "0", "x"], "--nbest 0: must be at least 1"),
    "a beam of samples": (
        translate,
        ["--sample", "--beam-size", "1", "x"],
        "--sample and --beam-size: give only one of them",
    ),
    "exact samples": (translate, ["--sample", "--exact", "x"], "--sample and --exact: give only one of them"),
    "risk of samples": (translate, ["--sample", "--mbr", "nbest", "x"], "--sample and --mbr: give only one"),
    "candidates for nothing": (translate, ["--mbr-size", "9", "x"], "--mbr-size has no effect without --mbr"),
    "a beam for candidates": (
        translate,
        ["--mbr", "nbest", "--beam-size", "9", "x"],
        "--mbr and --beam-size: give --mbr-size",
    ),
    "one candidate": (
        translate,
        ["--mbr", "nbest", "--mbr-size", "1", "x"],
        "--mbr-size 1: must be at least 2",
    ),
    "an empty nucleus": (translate, ["--sample", "--top-p", "0", "x"], "--top-p 0: must be above 0"),
    "a nucleus of what": (
        translate,
        ["--mbr", "nbest", "--top-p", "1", "x"],
        "--top-p has no effect without",
    ),
    "a seed for nothing": (translate, ["--seed", "1", "x"], "--seed has no effect without --sample"),
    "a grid for nothing": (translate, ["--grid", "x"], "--grid: has no effect without --attention OUT.png"),
    "a grid of a page": (translate, ["--grid", "--attention", "a.html", "x"], "--grid: has no effect"),
    "pieces for nothing": (translate, ["--pieces", "x"], "--pieces: has no effect"),
    "a threshold for nothing": (translate, ["--threshold", "0.5", "x"], "--threshold: has no effect"),
    "a temperature for nothing": (translate, ["--temperature", "1", "x"], "--temperature has no effect"),
    "no temperature": (
        translate,
        ["--sample", "--temperature", "0", "x"],
        "--temperature 0: must be at least 1e-06",
    ),
    "too cold": (
        translate,
        ["--sample", "--temperature", "1e-9", "x"],
        "--temperature 1e-09: must be at least",
    ),
    "no seed": (translate, ["--sample", "--seed", "-1", "x"], "--seed -1: must be at least 0"),
    "a picture of what": (
        translate,
        ["--attention", "a.bmp", "x"],
        "a.bmp: must end in .png, .svg, .npz, .jsonl",
    ),
    "no threshold": (translate, ["--threshold", "0", "x"], "--threshold 0: must be above 0 and at most 1"),
    "no such device": (translate, ["--device", "tpu", "x"], "device=tpu"),
    "no such file": (translate, ["--input", "gone.txt"], "gone.txt: cannot be read (No such file"),
    "bad bytes": (translate, ["--input", "bad.txt"], "bad.txt, line 2: not UTF-8 (byte 0xFF at position 3)"),
    "bad text": (translate, ["good", "b\udcff"], "TEXT 2, line 1: not UTF-8 (byte 0xFF at position 2)"),
    "bad standard input": (translate, [], "standard input, line 3: not UTF-8"),
    "evaluate: no such run": (evaluate, ["--run", "nothing"], "nothing: no such run; train a model first"),
    "evaluate: no beam": (evaluate, ["--beam-size", "0"], "--beam-size 0: must be at least 1"),
    "half the files": (evaluate, ["--source", "bad.txt"], "--source and --reference: give both, or neither"),
    "two sources": (
        evaluate,
        ["--split", "dev", "--source", "f", "--reference", "f"],
        "--split and --source",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_in_one_line(trained, call, tmp_path, name):
    module, arguments, words = MISTAKES[name]
    (tmp_path / "bad.txt").write_bytes(b"good\nba\xffd\n")
    run = [] if "--run" in arguments else ["--run", trained]
    answer = call(module, *run, *arguments, stdin=b"one\ntwo\n\xe0\xa4\n")
    assert answer.code == 2
    (line,) = [line for line in answer.err.splitlines() if not line.startswith("warning: ")]
    assert line.startswith("error: ")
    assert words in line


def test_lines_before_a_bad_one_are_translated(trained, call):
    good = call(translate, "--run", trained, stdin=b"one\ntwo\n")
    answer = call(translate, "--run", trained, stdin=b"one\ntwo\n\xe0\xa4\n")
    assert (good.code, answer.code) == (0, 2)
    assert answer.out == good.out
    assert len(lines_of(answer.out)) == 2


def test_output_of_a_failed_translation_stays_as_it_was(trained, call, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"\xff\n")
    (tmp_path / "out.txt").write_text("before")
    assert call(translate, "--run", trained, "--input", "bad.txt", "--output", "out.txt").code == 2
    assert (tmp_path / "out.txt").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "out.txt"]


# ---------------------------------------------------------------- the process itself


def test_as_a_process(trained):
    """`runs/latest` by default, bytes in and out, exit codes, and a reader that exits early."""
    folder = trained.parent.parent
    answer = command("nmt.translate", "The dog sees.", "र\u200dया", folder=folder)
    assert (answer.code, len(lines_of(answer.out))) == (0, 2)
    mistake = command("nmt.translate", stdin=b"\xff", folder=folder)
    assert (mistake.code, mistake.out) == (2, "")
    assert mistake.err == (
        "error: standard input, line 1: not UTF-8 (byte 0xFF at position 1); convert the file to UTF-8\n"
    )


def test_help_is_quick():
    """No torch, which takes seconds to import."""
    program = "import runpy, sys; sys.argv = ['x', '--help']\n"
    program += "try: runpy.run_module(sys.stdin.read(), run_name='__main__')\n"
    program += "except SystemExit as left: assert not left.code\n"
    program += "assert not {'torch', 'hydra', 'matplotlib'} & set(sys.modules)"
    for module in ("nmt.train", "nmt.translate", "nmt.evaluate"):
        done = subprocess.run(
            [sys.executable, "-c", program], input=module, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("usage: ")
        assert module in done.stdout


NEEDLESS = ("torch._dynamo", "sympy", "omegaconf", "hydra", "tensorboard", "matplotlib")
WATCH = f"""
import runpy, sys
module, *arguments = sys.argv[1:]
for options in ([], ["--json", "--nbest", "2", "--show"]):
    sys.argv = [module, *arguments, *options]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    print(*[name for name in {NEEDLESS!r} if name in sys.modules])
"""


def test_translating_imports_what_it_needs(trained, tmp_path):
    """A short translation spends most of its time on imports; with options that print more, too."""
    (tmp_path / "watch.py").write_text(WATCH)
    answer = command("watch", "nmt.translate", "--run", trained, "The dog sees.", folder=tmp_path)
    assert answer.code == 0, answer.err
    _, needless, _, with_options = lines_of(answer.out)
    assert needless == with_options == ""
