"""What is printed of translated lines."""

import json

from nmt.library.line_output import Each, Line, Warnings, Worst, as_json, plain, suspect
from nmt.library.translated import Translation, Word


def translation(text: str, confidence: float = 0.9, *flags: str, **changes: object) -> Translation:
    """Of a source that says the same in capitals; blank if it is."""
    segments = (None,) if text.strip() else ()
    changes |= {"confidence": confidence, "flags": flags, "segments": segments}
    return Translation(text.upper(), text, -1.0, -2.0, **changes)


def test_plain_text_and_json():
    assert plain(translation("a b"), 1) == "a b\n"
    assert plain(translation(" a\tb\r\n"), 1) == " a\tb\r\n"
    many = translation("a\n", alternatives=(translation("b\n"), translation(" c")))
    assert plain(many, 3) == "a\tb\tc\n"
    row = json.loads(as_json(many))
    assert (row["source"], row["text"], [one["text"] for one in row["alternatives"]]) == (
        "A",
        "a",
        ["b", " c"],
    )
    assert json.loads(as_json(many, 7))["line"] == 7


def test_the_worst_ones():
    written: list[str] = []
    worst = Worst(3, suspect, written.append)
    values = [0.5, 0.2, 0.9, 0.2, 0.0, 0.1]
    for number, value in enumerate(values, 1):
        word = Word(f"w{number}", 0, 2, value), Word(".", 2, 3, 0.0)
        worst.add(Line(number, translation("" if number == 5 else f"w{number}.", value, "copy", words=word)))
    assert written == []
    worst.finish()
    assert written == [
        "0.10\t6\tW6.\tw6.\tw6\tcopy\n",
        "0.20\t2\tW2.\tw2.\tw2\tcopy\n",
        "0.20\t4\tW4.\tw4.\tw4\tcopy\n",
    ]


def test_one_warning_of_each_kind():
    said: list[str] = []
    warnings = Warnings(said.append)
    for number, flags in enumerate([(), ("split",), ("split", "truncated"), ("split",)], 1):
        warnings.add(Line(number, translation("a", 0.5, *flags)))
    first = [line.partition(": the")[0].partition(", so")[0] for line in said]
    assert first == ["warning: line 2: longer than what the model knows", "warning: line 3"]
    warnings.finish()
    assert len(said) == 3
    assert said[2].startswith("warning: 3 lines: longer than")


def test_each():
    written: list[int] = []
    sink = Each(lambda line: line.number, written.append)
    sink.add(Line(3, translation("a")))
    sink.finish()
    assert written == [3]
