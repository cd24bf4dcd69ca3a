"""The sources `gettext` and `dictionary`: as main corpora, and as extra ones."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from small_catalogue import binary, put_catalogue
from small_corpus import corpus, settings

from nmt.config.data import DataConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.data.prepare import prepare
from nmt.data.sources.source import RawPair, open_source
from nmt.errors import ConfigError, DataError


def read(**options: Any) -> list[RawPair]:
    source = open_source(DataConfig(**options))
    return list(source.pairs(source.files()))


# ---------------------------------------------------------------- gettext


@pytest.fixture
def locale(tmp_path: Path) -> Path:
    """Catalogues of three languages in several folders."""
    folder = tmp_path / "share"
    put_catalogue(folder / "locale", "mr", "one.mo", binary({"_Open": "उघडा (_O)", "GNOME": "GNOME"}))
    put_catalogue(folder / "locale", "mr", "notes.txt", b"no catalogue")
    put_catalogue(folder / "locale", "mr_IN", "one.mo", binary({"Open": "वेगळे"}))
    put_catalogue(folder / "locale", "de", "one.mo", binary({"_Open": "Ö_ffnen"}))
    text = b'msgid "Close"\nmsgstr "\xe0\xa4\xac\xe0\xa4\x82\xe0\xa4\xa6"\n'
    put_catalogue(folder / "more" / "deep", "mr", "two.po", text)
    return folder


def test_the_catalogues_of_a_language_are_found(locale: Path) -> None:
    expected = [("Open", "उघडा"), ("Close", "बंद")]
    assert [pair[:2] for pair in read(source="gettext", path=str(locale), language="mr")] == expected
    assert read(source="gettext", path=str(locale), language="de") == [RawPair("Open", "Öffnen", 2)]


@pytest.mark.parametrize("below", ["locale/de", "locale/de/LC_MESSAGES"])
def test_the_folder_may_be_that_of_the_language(
    locale: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(read(source="gettext", path=str(locale / below), language="de")) == 1
    monkeypatch.chdir(locale / below)
    assert len(read(source="gettext", path=".", language="de")) == 1


def test_what_is_not_there_is_named(locale: Path) -> None:
    with pytest.raises(DataError, match=r"^data\.language=hi: no hi/LC_MESSAGES/.* there: de, mr, mr_IN$"):
        read(source="gettext", path=str(locale), language="hi")
    with pytest.raises(DataError, match=r"^data\.path=\S+absent: no such folder"):
        read(source="gettext", path=str(locale / "absent"), language="mr")
    with pytest.raises(DataError, match=r"^data\.path=\S+one\.mo: not a folder"):
        read(source="gettext", path=str(locale / "locale/mr/LC_MESSAGES/one.mo"), language="mr")
    with pytest.raises(ConfigError, match=r"^data\.path: not set"):
        read(source="gettext", language="mr")


def test_extra_catalogues(tmp_path: Path, locale: Path) -> None:
    extra = ExtraCorpus("gettext", str(locale), language="mr", weight=0.5)
    prepared = prepare(settings(tmp_path, extra=[extra]))
    (entry,) = prepared.report["extra"]
    assert [file["name"] for file in entry["files"]] == ["one.mo", "two.po"]
    assert (entry["pairs_read"], entry["pairs_kept"]) == (2, 2)
    with pytest.raises(DataError, match=r"^data\.extra\[0\]\.language=mar: no mar/LC_MESSAGES/"):
        prepare(settings(tmp_path, extra=[dataclasses.replace(extra, language=None)]))
    broken = put_catalogue(locale, "mr", "broken.mo", b"nothing")
    with pytest.raises(DataError, match=rf"^data\.extra\[0\]\.path: {broken}: not a complete gettext cat"):
        prepare(settings(tmp_path, extra=[extra]))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_catalogue_that_may_not_be_read(locale: Path) -> None:
    (locale / "locale/de/LC_MESSAGES/one.mo").chmod(0)
    with pytest.raises(DataError, match=r"one\.mo: cannot be read"):
        read(source="gettext", path=str(locale), language="de")


# ---------------------------------------------------------------- dictionary


def test_a_dictionary_has_comments(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("# English\tमराठी\nscrew\tस्क्रू\tnoun\n\ncontinent\tखंड\n", encoding="utf-8")
    found = [pair for pair in read(source="dictionary", path=str(path)) if pair.source]
    assert found == [RawPair("screw", "स्क्रू", 2), RawPair("continent", "खंड", 4)]
    extra = ExtraCorpus("dictionary", str(path), weight=2)
    (entry,) = prepare(settings(tmp_path, corpus(), extra=[extra])).report["extra"]
    assert entry["pairs_kept"] == 2
    path.write_text("screw = स्क्रू\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^data\.extra\[0\]\.path: \S+words\.tsv, line 1: has no column 2"):
        prepare(settings(tmp_path, corpus(), extra=[extra]))
