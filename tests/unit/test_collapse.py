"""A model with the same output for every input is detected; one that is only bad, or right, is not."""

import pytest

from nmt.evaluation.collapse import Collapse, find_collapse

SOURCES = [f"sentence {number}" for number in range(20)]
REFERENCES = [[f"{number} एक {word}"] for number, word in enumerate("अआइईउऊएऐओऔकखगघचछजझटठ")]
RIGHT = [reference for (reference,) in REFERENCES]


def test_the_same_for_all():
    assert find_collapse(SOURCES, ["नाही."] * 20, REFERENCES) == Collapse("नाही.", 20, 20)


@pytest.mark.parametrize(("same", "found"), [(9, False), (10, True), (15, True)])
def test_from_half_of_the_sources_on(same, found):
    collapse = find_collapse(SOURCES, ["नाही."] * same + RIGHT[same:], REFERENCES)
    assert collapse == (Collapse("नाही.", same, 20) if found else None)


def test_repetitions_make_no_other_output():
    outputs = ["." * (1 + number % 7) for number in range(19)] + ["...."]
    assert find_collapse(SOURCES, outputs, REFERENCES) == Collapse("....", 20, 20)  # the most frequent
    assert find_collapse(SOURCES, [" ".join(["तो"] * (2 + n % 3)) for n in range(20)], REFERENCES)


def test_nothing_at_all_is_an_output_too():
    collapse = find_collapse(SOURCES, [""] * 20, REFERENCES)
    assert collapse == Collapse("", 20, 20)


@pytest.mark.parametrize(
    "outputs", [RIGHT, RIGHT[::-1], [f"wrong {number}" for number in range(20)], ["a"] * 9 + ["b"] * 11]
)
def test_a_bad_model_is_none(outputs):
    """The last one gives two outputs; one of them is that of more than half."""
    expected = None if len(set(outputs)) == 20 else Collapse("b", 11, 20)
    assert find_collapse(SOURCES, outputs, REFERENCES) == expected


def test_what_is_right_is_not_reported():
    assert find_collapse(SOURCES, ["no"] * 20, [["no"]] * 20) is None  # all references are the same
    mostly = [["no"]] * 14 + [["yes"]] * 6
    assert find_collapse(SOURCES, ["no"] * 14 + ["yes"] * 6, mostly) is None
    assert find_collapse(SOURCES, ["no"] * 16 + ["yes"] * 4, mostly) is None  # two mistakes
    assert find_collapse(SOURCES, ["no"] * 20, mostly) == Collapse("no", 20, 20)  # always the majority
    assert find_collapse(SOURCES, ["no"] * 20, [["yes", "no"]] * 20) is None  # one of the references
    binary = [f"{number:b}" for number in range(20)]  # few characters, many texts
    assert find_collapse(SOURCES, binary, [[text] for text in binary]) is None


def test_few_sources_say_nothing():
    assert find_collapse(SOURCES[:9], ["नाही."] * 9, REFERENCES[:9]) is None
    assert find_collapse(SOURCES[:10], ["नाही."] * 10, REFERENCES[:10]) is not None
    again = ["one source"] * 20  # a translation always has the same output
    assert find_collapse(again, ["नाही."] * 20, REFERENCES) is None


def test_the_warning_names_numbers_output_and_causes():
    line = Collapse("。" * 500, 112, 120).warning()
    assert line.startswith('warning: 112 of 120 different sources get (nearly) the same translation ("。。')
    assert len(line) < 500
    for cause in ("too few updates", "learning rate that is too low or too high", "source column"):
        assert cause in line
