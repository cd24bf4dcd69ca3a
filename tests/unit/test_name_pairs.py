"""`data.names`: names take the places of other names of a list, in both sentences of a pair."""

import re
from pathlib import Path
from typing import Any

import pytest
from small_corpus import Pair, corpus, settings, write_tsv

from nmt.data.name_list import names_file
from nmt.data.prepare import prepare
from nmt.data.substitution.name_pairs import Name, name_pairs, read_names
from nmt.errors import ConfigError, DataError

TOM, MARY, RAHUL, SITA = (
    Name("Tom", "टॉम", "m"), Name("Mary", "मेरी", "f"), Name("Rahul", "राहुल", "m"), Name("Sita", "सीता", "f"),
)  # fmt: skip


def new(pairs: list[Pair], names: list[Name], per_name: int = 30) -> set[Pair]:
    return set(name_pairs(pairs, names, per_name))


def test_endings_stay_and_kinds_do_not_mix() -> None:
    pairs = [("Tom's dog saw Mary.", "टॉमच्या कुत्र्याने मेरीला पाहिलं.")]
    assert new(pairs, [TOM, MARY, RAHUL, SITA]) == {
        ("Tom's dog saw Sita.", "टॉमच्या कुत्र्याने सीताला पाहिलं."),
        ("Rahul's dog saw Mary.", "राहुलच्या कुत्र्याने मेरीला पाहिलं."),
    }


@pytest.mark.parametrize(
    "pair",
    [
        ("Tom saw Tom.", "टॉमने टॉमला पाहिलं."),  # which is which?
        ("Tom ran.", "टॉम आणि टॉमच."),
        ("Tom ran.", "तो धावला."),  # not translated
        ("Tommy ran.", "टॉमी धावला."),  # another name, in two scripts that show it differently
        ("Tommy ran.", "टॉमला धावला."),  # endings on both sides: not the name
        ("Atom ran.", "अणू धावला."),
        ("tom ran.", "टॉम धावला."),
    ],
)
def test_where_a_name_cannot_stand(pair: Pair) -> None:
    sure = ("Tom is here.", "टॉम इथे आहे.")
    assert new([sure, pair], [TOM, RAHUL]) == {("Rahul is here.", "राहुल इथे आहे.")}


def test_two_languages_with_endings() -> None:
    """The name stands alone on one side at least, whichever it is."""
    names = [Name("टॉम", "Tom", ""), Name("राहुल", "Rahul", "")]
    assert new([("टॉमने पाहिलं.", "Tom saw it.")], names) == {("राहुलने पाहिलं.", "Rahul saw it.")}
    assert new([("टॉम आला.", "Tomin tuli.")], names) == {("राहुल आला.", "Rahulin tuli.")}


def test_a_name_with_several_translations_and_of_several_words() -> None:
    names = [TOM, Name("Tom", "थॉमस", "m"), Name("Abdul Kalam", "अब्दुल कलाम", "m")]
    pairs = [("Tom sings.", "थॉमस गातो."), ("Tom eats.", "टॉम खातो.")]
    assert new(pairs, names) == {
        ("Abdul Kalam sings.", "अब्दुल कलाम गातो."), ("Abdul Kalam eats.", "अब्दुल कलाम खातो."),
    }  # fmt: skip


def test_each_name_gets_its_share_of_different_places() -> None:
    pairs = [(f"Tom has {n} books.", f"टॉमकडे {n} पुस्तकं आहेत.") for n in range(500)]
    others = [Name(f"N{'a' * k}b", f"न{k}ब", "m") for k in range(10)]
    made = name_pairs(pairs, [TOM, *others], 20)
    for name in others:
        own = [source for source, target in made if source.startswith(f"{name.source} ")]
        assert 18 <= len(own) <= 20
        assert all(f"{name.target}कडे" in target for source, target in made if source in own)
    books = [int(re.sub(r"\D", "", source)) for source, _ in made]
    assert len(set(books)) > 150
    assert len(set(made)) == len(made)
    assert made == name_pairs(pairs, [TOM, *others], 20)


@pytest.mark.parametrize("swap", [False, True])
def test_they_are_one_more_corpus(tmp_path: Path, swap: bool) -> None:
    named = [(f"Tom has {n} books here.", f"टॉमकडे {n} पुस्तकं आहेत.") for n in range(60)]
    (tmp_path / "names.tsv").write_text("# men\nTom\tटॉम\n\nRahul\tराहुल\n", encoding="utf-8")
    assert read_names(tmp_path / "names.tsv", swap=True)[1] == Name("राहुल", "Rahul", "")
    config = settings(tmp_path, corpus() + named, swap=swap)
    alone = prepare(config)
    config.names, config.pairs_per_name = str(tmp_path / "names.tsv"), 10
    prepared = prepare(config)
    (entry,) = prepared.report["extra"]
    assert (entry["kind"], entry["pairs_kept"] + sum(entry["dropped"].values())) == ("names", 10)
    made = [(e.source, e.references[0]) for e in list(prepared.splits["train"])[-entry["pairs_kept"] :]]
    assert all("Rahul" in pair[swap] and "राहुलकडे" in pair[not swap] for pair in made)
    for split in ("dev", "test"):
        assert prepared.splits[split] == alone.splits[split]
    config.pairs_per_name = 11
    assert prepare(config).fresh
    (tmp_path / "names.tsv").write_text("Tom\tटॉम\nRaj\tराज\n", encoding="utf-8")
    assert prepare(config).fresh


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Tom\n", r"line 1: no name, tab and translation"),
        ("Tom\t \n", r"line 1: no name"),
        ("# men\n", r"contains no names"),
        ("Rahul\tराहुल\n", r"none of its names is in a training pair with its translation; add some that are"),
        ("Rahul\tराहुल\tm\n", r"none of names of the kind m is in"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path: Path, content: str, said: Any) -> None:
    (tmp_path / "names.tsv").write_text(content, encoding="utf-8")
    write_tsv(tmp_path / "pairs.tsv", corpus())
    with pytest.raises(DataError, match=rf"^data\.names=\S+names\.tsv: .*{said}"):
        prepare(settings(tmp_path, names=str(tmp_path / "names.tsv")))


LIST = Path(__file__).parents[2] / "data" / "names" / "en-mr.tsv"


def test_kinds_without_a_place_may_be_left_out() -> None:
    pairs = [("Tom's dog saw it.", "टॉमच्या कुत्र्याने ते पाहिलं.")]
    with pytest.raises(DataError, match="none of names of the kind f is in"):
        name_pairs(pairs, [TOM, SITA, RAHUL], 1)
    assert name_pairs(pairs, [TOM, SITA, RAHUL], 1, some=True) == [
        ("Rahul's dog saw it.", "राहुलच्या कुत्र्याने ते पाहिलं.")
    ]


def test_auto_is_the_list_of_the_project_for_the_languages(tmp_path: Path) -> None:
    """Men's names only have places here."""
    named = [(f"Tom has {n} books here.", f"टॉमकडे {n} पुस्तकं आहेत.") for n in range(60)]
    config = settings(tmp_path, corpus() + named, names="auto", languages=["en", "mr"], pairs_per_name=1)
    assert names_file(config) == LIST
    (entry,) = prepare(config).report["extra"]
    men = sum(name.kind == "m" for name in read_names(LIST))
    assert entry["pairs_kept"] + sum(entry["dropped"].values()) == men - 1  # Tom is there already
    for languages in (["mr", "en"], ["en", "de"], ["..", "en-mr"], []):
        config.languages = languages
        with pytest.raises(ConfigError, match=r"^data\.names=auto: there is no list .* only en-mr .*null$"):
            prepare(config)


def test_the_list_of_the_project() -> None:
    names = read_names(LIST)
    assert {name.kind for name in names} == {"m", "f", "city"}
    for part in (0, 1):  # a name that has two translations, or is of two kinds, would be learnt wrongly
        assert len({name[part] for name in names}) == len(names)
    for name in names:
        assert re.fullmatch("[A-Z][a-z]+", name.source)
        assert re.fullmatch("[\u0900-\u097f\u200d]+", name.target)
    found = new([("Tom saw Mary in Boston.", "टॉमने मेरीला बॉस्टनमध्ये पाहिलं.")], names, per_name=1)
    assert ("Tom saw Mary in London.", "टॉमने मेरीला लंडनमध्ये पाहिलं.") in found
    assert len(found) == len(names) - 3
