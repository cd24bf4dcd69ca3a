"""`scripts/decoding_table.py`, `check_invariance.py` and `input_robustness.py`, on a few sentences of the
bundled corpus.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import check_invariance
import decoding_table
import input_robustness
from invariance.arrangements import arrangements
from invariance.comparison import Found, compare

from nmt.data.examples import Example


def rows(text: str) -> list[list[str]]:
    """The cells of a table in Markdown, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_search_methods(copy, call, tmp_path):
    answer = call(
        decoding_table, "--run", copy, "--run", copy, "--sentences", 4, "--repetitions", 1, "--output", "t.md"
    )
    assert answer.code == 0, answer.err
    found = rows(answer.out)
    assert found == rows((tmp_path / "t.md").read_text(encoding="utf-8"))
    assert [row[0] for row in found] == [
        *("greedy", "beam 5", "beam 12", "MBR, 12 best", "MBR, 16 samples", "MBR, 64 samples"),
        "ensemble of 2, beam 5",
    ]
    assert found[1][1:3] == found[-1][1:3]  # an ensemble of a run with itself
    assert all(0 <= float(row[1]) <= float(row[2]) <= 100 for row in found)
    assert all(float(row[3].split()[0]) > 0 for row in found)
    answer = call(decoding_table, "--run", copy, "--sentences", 0)
    assert (answer.code, "--sentences 0: must be at least 1" in answer.err) == (2, True)


@pytest.mark.parametrize("method", ["beam", "mbr"])
def test_translations_depend_on_nothing_else(copy, call, method):
    answer = call(
        check_invariance,
        *("--run", copy, "--ways", "search,library", "--nbest", 3, "--sentences", 9, "--method", method),
    )
    assert answer.code == 0, answer.err
    found = rows(answer.out)
    assert len(found) == 10 + (method == "beam")
    assert {row[1] for row in found} == {"9"}
    answer = call(check_invariance, "--run", copy, "--ways", "telepathy")
    assert (answer.code, "--ways telepathy: choose from search, library" in answer.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["beam", "sample"])
def test_translations_of_the_command_depend_on_nothing_else(copy, call, method):
    ways = "search,library,command"
    answer = call(check_invariance, "--run", copy, "--ways", ways, "--sentences", 40, "--method", method)
    assert answer.code == 0, answer.err


EXPECTED = {"a": [Found("x", 1.0), Found("y", 0.5)], "b": [Found("z", 2.0)]}


def test_what_differs_is_counted():
    same = [("b", [Found("z", 2.0)]), ("a", [Found("x", 1.0), Found("y", 0.5)]), ("other", [])]
    found = compare("name", EXPECTED, same)
    assert (found.holds, found.row()) == (True, "| name | 2 | 0 | 0 | 0.0e+00 |")
    for group, texts, lists in (
        ([Found("x", 1.0 + 2e-5), Found("y", 0.5)], 0, 0),
        ([Found("y", 1.0), Found("x", 0.5)], 1, 1),
        ([Found("x", 1.0), Found("w", 0.5)], 0, 1),
        ([Found("x", 1.0)], 0, 1),
        ([], 1, 1),
    ):
        found = compare("name", EXPECTED, [("a", group)])
        assert (found.holds, found.texts, found.lists, len(found.examples)) == (False, texts, lists, 1)
    assert compare("name", EXPECTED, [("b", [Found("z", 2.0 + 2e-5)])], tolerance=1e-4).holds


def test_arrangements_have_every_sentence():
    sentences = [f"word{i} a b c ." for i in range(40)]
    size = lambda text: 3 * len(text.split())  # noqa: E731
    for by_file in (False, True):
        for name, calls in arrangements(sentences, size, by_file).items():
            texts = [text for call in calls for text in call]
            long = [text for text in texts if text not in sentences]
            assert sorted(text for text in texts if text in sentences) == sorted(sentences)
            assert bool(long) == ("beside" in name)
            assert all(200 <= size(text) <= 202 for text in long)
            assert by_file <= (len(calls) == 1)


# ---------------------------------------------------------------- input as people type it


def test_the_table_of_input_variations(copy, call, tmp_path):
    answer = call(input_robustness, "--run", copy, "--sentences", 3, "--output", "t.md")
    assert answer.code == 0, answer.err
    found = rows(answer.out)
    assert found == rows((tmp_path / "t.md").read_text(encoding="utf-8"))
    assert {"no final mark", "lower case", "capitals"} < {row[0] for row in found}
    answer = call(input_robustness, "--run", copy, "--sentences", 0)
    assert (answer.code, "--sentences 0: must be at least 1" in answer.err) == (2, True)


def test_a_variation_is_scored_where_it_changes_the_source():
    """A model that knows the edited sentences only, without final marks in what it says of others."""
    known = {
        "Yes, he isn't here now.": "One two three four five.",
        "Where is the old school?": "Six seven eight nine ten?",
    }
    examples = [Example(source, (target,), ("",)) for source, target in known.items()]

    def translate(texts):
        return [known.get(text, known.get(f"{text}?", "x").rstrip("?")) for text in texts]

    lines = input_robustness.table(examples, translate, "13a")
    found = {name: (int(count), *map(float, scores)) for name, count, *scores in rows("\n".join(lines))}
    assert [name for name in found if found[name][0] == 2] == [
        *(
            "no final mark",
            "first letter in lower case",
            "lower case",
            "lower case, no final mark",
            "capitals",
        )
    ]
    assert all(
        (edited_bleu, edited_chrf) == (100, 100) for _, _, edited_bleu, _, edited_chrf in found.values()
    )
    assert found["no commas"] == (1, 0.0, 100.0, 0.0, 100.0)
    assert 0 < found["no final mark"][1] < 100  # one of the two is right
