"""`python -m nmt.align`: alignments of given pairs, alone and symmetrised with a reverse model."""

import os

import numpy as np
import pytest
from console import TRAINING
from inside import inside

from nmt import align, train
from nmt.alignment.pharaoh import parse_pharaoh
from nmt.data.examples import load_examples
from nmt.export.attention_file import load_attention


@pytest.fixture
def pairs(trained, tmp_path):
    """Ten pairs of the test set as files, with their gold alignments."""
    examples = load_examples(trained / "data" / "test.jsonl")[:10]
    columns = {
        "src": [example.source for example in examples],
        "tgt": [example.references[0] for example in examples],
        "gold": [example.alignments[0] for example in examples],
    }
    for name, lines in columns.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return ["--source", "src", "--target", "tgt"]


@pytest.fixture(scope="module")
def reverse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reverse")
    answer = inside(train, *TRAINING, "data.swap=true", "training.max_steps=3", "name=r", folder=folder)
    assert answer.code == 0, answer.err
    return folder / "runs" / "r"


def links_of(text: str) -> list[frozenset[tuple[int, int]]]:
    return [parse_pharaoh(line) for line in text.splitlines()]


def test_a_line_of_links_for_every_pair(trained, call, pairs, tmp_path):
    answer = call(align, "--run", trained, *pairs, "--attention", "a.npz", "--gold", "gold")
    assert answer.code == 0, answer.err
    found = links_of(answer.out)
    assert len(found) == 10
    assert answer.err.startswith("alignment error rate 0.")
    for links, one in zip(found, load_attention(tmp_path / "a.npz"), strict=True):
        inner = one.word_weights[:-1, :-1]
        assert links == {(int(row.argmax()), t) for t, row in enumerate(inner)}
    assert call(align, "--run", trained, *pairs, "--output", "out").out == ""
    assert (tmp_path / "out").read_text() == answer.out


def test_thresholds_and_shifts(trained, call, pairs, tmp_path):
    everything = links_of(call(align, "--run", trained, *pairs, "--threshold", 1e-9).out)
    assert all(len(links) > 1 for links in everything)
    assert not any(links_of(call(align, "--run", trained, *pairs, "--threshold", 1).out))
    call(align, "--run", trained, *pairs, "--attention", "plain.npz")
    call(align, "--run", trained, *pairs, "--shift", 1, "--attention", "later.npz")
    both = zip(load_attention(tmp_path / "plain.npz"), load_attention(tmp_path / "later.npz"), strict=True)
    for plain, later in both:
        assert np.array_equal(later.weights[:-1], plain.weights[1:])


def test_both_directions(trained, reverse, call, pairs):
    def links(*arguments: object) -> list[frozenset[tuple[int, int]]]:
        answer = call(align, *arguments)
        assert answer.code == 0, answer.err
        return links_of(answer.out)

    forward = links("--run", trained, *pairs)
    turned = links("--run", reverse, "--source", "tgt", "--target", "src")
    backward = [frozenset((s, t) for t, s in one) for one in turned]
    with_reverse = ["--run", trained, *pairs, "--reverse", reverse, "--symmetrise"]
    assert links(*with_reverse, "union") == [a | b for a, b in zip(forward, backward, strict=True)]
    assert links(*with_reverse, "intersection") == [a & b for a, b in zip(forward, backward, strict=True)]
    for found, a, b in zip(links(*with_reverse, "grow-diag-final"), forward, backward, strict=True):
        assert a & b <= found <= a | b


def test_mistakes(trained, call, pairs, tmp_path):
    def refused(*arguments: object) -> str:
        answer = call(align, "--run", trained, *arguments)
        assert (answer.code, answer.out) == (2, "")
        (line,) = answer.err.splitlines()
        return line

    assert "--threshold 2: must be above 0 and at most 1" in refused(*pairs, "--threshold", 2)
    assert "a.bmp: must end in" in refused(*pairs, "--attention", "a.bmp")
    assert "--symmetrise union: needs --reverse RUN" in refused(*pairs, "--symmetrise", "union")
    assert "the same run as --run" in refused(*pairs, "--reverse", trained)
    (tmp_path / "tgt").write_text("एक\n", encoding="utf-8")
    assert "tgt has 1 lines, src has 10" in refused(*pairs)
    (tmp_path / "src").write_text(" \n", encoding="utf-8")
    assert "src, line 1: an empty line cannot be aligned" in refused(*pairs)


def test_gold_that_does_not_fit_is_refused(trained, call, pairs, tmp_path):
    def refused() -> str:
        answer = call(align, "--run", trained, *pairs, "--gold", "gold", "--output", "out")
        assert (answer.code, answer.out) == (2, "")
        assert not (tmp_path / "out").exists()
        (line,) = answer.err.splitlines()
        return line

    gold = links_of((tmp_path / "gold").read_text(encoding="utf-8"))
    from_one = [" ".join(f"{s + 1}-{t + 1}" for s, t in sorted(links)) for links in gold]
    (tmp_path / "gold").write_text("".join(line + "\n" for line in from_one), encoding="utf-8")
    line = refused()
    assert "gold, line 1: link " in line
    assert line.endswith("; links are counted from 0; this file seems to count from 1")
    possible = from_one[0].replace("-", "?")  # links that are only possible count too
    (tmp_path / "gold").write_text(possible + "\n" + "0-0\n" * 9, encoding="utf-8")
    line = refused()
    assert "gold, line 1: link " in line
    assert line.endswith("links are counted from 0")
    (tmp_path / "gold").write_text("0-0\n" * 9, encoding="utf-8")
    assert "gold: 9 lines, but 10 sentence pairs" in refused()


def test_statistical_alignment_needs_no_run(trained, call, pairs):
    """Ten pairs are few to learn from; `tests/unit/test_statistical.py` measures more."""
    answer = call(align, "--statistical", *pairs, "--gold", "gold")
    assert answer.code == 0, answer.err
    assert len(links_of(answer.out)) == 10
    assert answer.err.startswith("alignment error rate 0.")
    both = call(align, "--statistical", *pairs, "--symmetrise", "intersection")
    found = zip(links_of(both.out), links_of(answer.out), strict=True)
    assert all(fewer <= more for fewer, more in found)
    nothing = call(align, "--statistical", "--source", os.devnull, "--target", os.devnull)
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")
    for option, value in (("--run", trained), ("--device", "cpu")):
        refused = call(align, "--statistical", *pairs, option, value)
        assert (refused.code, f"error: {option}: has no effect" in refused.err) == (2, True)
    refused = call(align, "--statistical", *pairs, "--threshold", 0.5)
    assert (refused.code, refused.err.strip()) == (
        2,
        "error: --threshold: needs a run; leave out --statistical",
    )
