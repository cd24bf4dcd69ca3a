"""Categories of sentences and errors: sentences on either side of each rule."""

import csv

import pytest

from nmt.alignment.coverage import Coverage
from nmt.evaluation.error_categories import (
    CATEGORIES,
    Sentence,
    categories,
    copied_words,
    length_ratio,
    missing_numbers,
    names,
    numbers,
    repetitions,
    scores_by_category,
)
from nmt.evaluation.metrics import corpus_scores
from nmt.export.error_files import WORST, write_errors


def sentence(source="", translation="कुत्रा मांजर पाहतो.", *references, **more):
    return Sentence(source, translation, references or ("कुत्रा मांजर पाहतो!",), **more)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He has 1,500 or 3.5 of 20.", ["1500", "35", "20"]),
        ("त्याच्याकडे १,५०० आहेत, ७ नाही", ["1500", "7"]),
        ("٢٠٢٥ and 007", ["2025", "7"]),
        ("none, x", []),
    ],
)
def test_numbers_of_any_script(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("translation", "references", "missing"),
    [
        ("मी २० वर्षांचा आहे", ("मी २० वर्षांचा आहे.",), set()),
        ("मी 20 वर्षांचा आहे", ("मी २० वर्षांचा आहे.",), set()),
        ("मी ३० वर्षांचा आहे", ("मी २० वर्षांचा आहे.",), {"20"}),
        ("मी वीस वर्षांचा आहे", ("मी वीस वर्षांचा आहे.",), set()),  # in words
        ("मी मोठा आहे", ("मी वीस वर्षांचा आहे.", "मी २० चा आहे"), {"20"}),
    ],
)
def test_a_number_is_missing_if_a_reference_has_it_in_digits(translation, references, missing):
    assert missing_numbers(Sentence("I am 20.", translation, references)) == missing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom saw Mary in Boston.", ["Mary", "Boston"]),
        ("I think I've seen it. He did. \"Go!\" I'm here", []),
        ("This USB cable", ["USB"]),
        ("राहुल चांगला मुलगा आहे", []),
        ("", []),
    ],
)
def test_names_are_capitalised_within_the_sentence(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The the dog", {("the",)}),
        ("he went he went home", {("he", "went")}),
        ("a b c d a b c d", {("a", "b", "c", "d")}),
        ("a b a", set()),
        ("a b c d e a b c d e", set()),  # longer than any that is looked for
        ("what?! ... no, no", set()),
    ],
)
def test_repetitions(text, expected):
    assert repetitions(text) == expected


def test_a_repetition_of_a_reference_is_none():
    assert "words repeated" in categories(sentence("Slowly.", "हळू हळू ये.", "सावकाश ये."))
    assert "words repeated" not in categories(sentence("Slowly.", "हळू हळू ये.", "हळू हळू चाल."))


def test_copied_words_are_in_no_reference():
    assert copied_words(sentence("The USB cable", "ती usb केबल", "यूएसबी केबल")) == {"usb"}
    assert copied_words(sentence("The USB cable", "ती USB केबल", "ती USB केबल")) == set()
    assert copied_words(sentence("I am 20", "20 x", "y")) == set()


def test_length_is_relative_to_the_nearest_reference():
    assert length_ratio(sentence("", "abcd", "abcdefgh", "abcde")) == 4 / 5
    assert length_ratio(sentence("", "", "abc")) == 0
    assert length_ratio(sentence("", "abcdef", "abcd", "abcdefghijkl")) == 1.5


CASES = {
    "source: an unseen word": sentence("A dog.", seen=0),
    "source: a word seen 1-9 times": sentence("A dog.", seen=9),
    "source: a name": sentence("See Tom."),
    "source: a number": sentence("A 5."),
    "source: a question": sentence("“A dog?”"),
    "source: negated (English)": sentence("It isn’t."),
    "a number is missing": sentence("A 5.", "पाच", "५"),
    "too short": sentence("A dog.", "कुत्रा"),
    "too long": sentence("A dog.", "कुत्रा मांजर पाहतो आणि मांजर कुत्रा पाहते."),
    "words repeated": sentence("A dog.", "कुत्रा कुत्रा पाहतो."),
    "source word copied": sentence("A dog.", "dog मांजर पाहतो."),
    "source word without attention": sentence("A dog.", coverage=Coverage(1.0, (0.1, 1.0))),
    "source word attended to twice": sentence("A dog.", coverage=Coverage(1.0, (2.5, 1.0))),
    "equal to a reference": sentence("A dog.", "कुत्रा", "मांजर", "कुत्रा"),
    "in none of the above": sentence("A dog.", seen=10, coverage=Coverage(1.0, (1.0, 1.0))),
}


@pytest.mark.parametrize("name", CATEGORIES)
def test_each_category_has_its_sentence(name):
    assert name in categories(CASES[name])
    plain = CASES["in none of the above"]
    assert (name in categories(plain)) == (name == "in none of the above")


def test_scores_and_files(tmp_path):
    sentences = [sentence(f"A {i}.", "कुत्रा मांजर पाहतो | <b>", "कुत्रा मांजर पाहतो.") for i in range(7)]
    sentences += [CASES["source: a question"]]
    found = [categories(one) for one in sentences]
    scores = scores_by_category(sentences, found)
    by_name = {label: rest for label, *rest in scores}
    assert list(by_name) == [name for name in CATEGORIES if any(name in names for names in found)]
    numbered = sentences[:7]
    expected = corpus_scores([one.translation for one in numbered], [one.references for one in numbered])
    values = {score.name: score.value for score in expected}
    assert by_name["source: a number"] == [7, values["BLEU"], values["chrF2"]]
    write_errors(tmp_path, sentences, found, [float(i) for i in range(7, -1, -1)], scores)
    with (tmp_path / "errors.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["categories"].split("; ") for row in rows] == found
    page = (tmp_path / "errors.md").read_text(encoding="utf-8")
    assert f"| source: a number | 7 | {values['BLEU']:.1f} | {values['chrF2']:.1f} |" in page
    (section,) = [part for part in page.split("## ") if part.startswith("source: a number")]
    shown = [line for line in section.splitlines() if line.startswith("| A ")]
    assert len(shown) == WORST
    assert shown[0] == "| A 6. | कुत्रा मांजर पाहतो \\| &lt;b> | कुत्रा मांजर पाहतो. | 1.0 |"
