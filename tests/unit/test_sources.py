"""Reading pairs: each format, valid and invalid."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nmt.config.data import DataConfig
from nmt.data.sources import manythings, sample
from nmt.data.sources.source import RawPair, open_source
from nmt.errors import ConfigError, DataError

ENGLISH = ["Go.", "Run!"]
MARATHI = ["जा.", "पळ!"]
PAIRS = [RawPair("Go.", "जा.", 1), RawPair("Run!", "पळ!", 2)]
TSV = "Go.\tजा.\nRun!\tपळ!\n".encode()


def read_all(data: DataConfig) -> list[RawPair]:
    source = open_source(data)
    return list(source.pairs(source.files()))


def read(**options: Any) -> list[RawPair]:
    return read_all(DataConfig(**options))


def put(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def read_tsv(tmp_path: Path, content: bytes, **options: Any) -> list[RawPair]:
    return read(source="tsv", path=put(tmp_path / "pairs.tsv", content), **options)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.txt", content)
    return file.getvalue()


# ---------------------------------------------------------------- tsv


def test_tsv(tmp_path: Path) -> None:
    assert read_tsv(tmp_path, TSV) == PAIRS


@pytest.mark.parametrize("content", [TSV[:-1], TSV.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + TSV])
def test_line_ends_and_byte_order_mark_are_no_text(tmp_path: Path, content: bytes) -> None:
    assert read_tsv(tmp_path, content) == PAIRS


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\r", "\0", "\ufeff"])
def test_a_line_ends_nowhere_else(tmp_path: Path, separator: str) -> None:
    line = f"one{separator}two\tतीन{separator}चार\n"
    assert read_tsv(tmp_path, line.encode()) == [
        RawPair(f"one{separator}two", f"तीन{separator}चार", 1),
    ]


@pytest.mark.parametrize("content", [b"a\tb\rc\td", b"a\tb\rc\td\r", b"\xef\xbb\xbfa\tb\r\rc\td\r"])
def test_lines_that_end_in_cr_alone_are_named_as_the_cause(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"^\S*pairs\.tsv: its lines end in CR only \(classic Mac"):
        read_tsv(tmp_path, content)
    assert read_tsv(tmp_path, b"a\tb\r") == [RawPair("a", "b", 1)]


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\t"))


@given(pairs=st.lists(st.tuples(text, text)), compressed=st.booleans(), mark=st.booleans(), end=st.booleans())
def test_any_text_comes_back(
    pairs: list[tuple[str, str]],
    compressed: bool,
    mark: bool,
    end: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = b"\xef\xbb\xbf" if mark or (pairs and pairs[0][0].startswith("\ufeff")) else b""
    content += "\r\n".join("\t".join(pair) for pair in pairs).encode()
    content += b"\r\n" if pairs and (end or pairs[-1][1].endswith("\r")) else b""
    assume(b"\n" in content or b"\r" not in content)  # else it looks like lines that end in CR
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    found = read(source="tsv", path=put(path, gzip.compress(content) if compressed else content))
    assert [pair[:2] for pair in found] == pairs
    assert [pair.line for pair in found] == list(range(1, len(pairs) + 1))


def test_columns_count_from_one(tmp_path: Path) -> None:
    content = "7\tजा.\tx\tGo.\n".encode()
    assert read_tsv(tmp_path, content, source_column=4, target_column=2) == [RawPair("Go.", "जा.", 1)]


def test_blank_lines_and_empty_sides_are_passed_on(tmp_path: Path) -> None:
    assert read_tsv(tmp_path, b"\na\tb\n  \r\n\tb\na\t\n\t\n") == [
        RawPair("", "", 1),
        RawPair("a", "b", 2),
        RawPair("", "", 3),
        RawPair("", "b", 4),
        RawPair("a", "", 5),
        RawPair("", "", 6),
    ]


def test_an_empty_file_has_no_pairs(tmp_path: Path) -> None:
    assert read_tsv(tmp_path, b"") == []


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pairs\.tsv, line 2: has no column 3; it has 2 tab"):
        read_tsv(tmp_path, b"a\tb\tc\na\tb\n", target_column=3)


@pytest.mark.parametrize("bad", [b"\xff", b"\xe0\xa4", b"\xc0\x80", b"\xed\xa0\x80"])
def test_what_is_not_utf8_is_refused_with_its_position(tmp_path: Path, bad: bytes) -> None:
    with pytest.raises(
        DataError, match=rf"pairs\.tsv, line 2: not UTF-8 \(byte 0x{bad[0]:02X} at position 5"
    ):
        read_tsv(tmp_path, b"a\tb\nab\tc" + bad + b"\n")


def test_utf16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: not UTF-8.*convert"):
        read_tsv(tmp_path, TSV.decode().encode("utf-16"))


def test_pairs_come_one_at_a_time(tmp_path: Path) -> None:
    data = DataConfig(source="tsv", path=put(tmp_path / "pairs.tsv", b"a\tb\nbroken\n"))
    pairs = open_source(data).pairs(open_source(data).files())
    assert next(pairs) == RawPair("a", "b", 1)
    with pytest.raises(DataError, match="line 2"):
        next(pairs)


# ---------------------------------------------------------------- gzip


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    assert read_tsv(tmp_path, gzip.compress(TSV)) == PAIRS  # under the name pairs.tsv
    assert read(source="tsv", path=put(tmp_path / "plain.gz", TSV)) == PAIRS


def test_truncated_gzip_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    complete = gzip.compress(TSV)
    for size in range(2, len(complete)):
        with pytest.raises(DataError, match=r"pairs\.tsv: corrupt or truncated gzip"):
            read_tsv(tmp_path, complete[:size])


@pytest.mark.parametrize("offset", [2, 14, -6, -1])  # header, data, checksum, length
def test_corrupt_gzip_is_refused(tmp_path: Path, offset: int) -> None:
    content = bytearray(gzip.compress(TSV))
    content[offset] ^= 0xFF
    with pytest.raises(DataError, match="corrupt or truncated gzip"):
        read_tsv(tmp_path, bytes(content))


# ---------------------------------------------------------------- moses


def read_moses(tmp_path: Path, source: bytes, target: bytes) -> list[RawPair]:
    return read(
        source="moses",
        source_path=put(tmp_path / "train.en", source),
        target_path=put(tmp_path / "train.mr.gz", target),
    )


def test_moses(tmp_path: Path) -> None:
    source, target = "\n".join(ENGLISH), "\n".join(MARATHI) + "\n"
    assert read_moses(tmp_path, source.encode(), target.encode()) == PAIRS
    assert read_moses(tmp_path, source.encode(), gzip.compress(target.encode())) == PAIRS


def test_moses_keeps_tabs_and_empty_lines(tmp_path: Path) -> None:
    assert read_moses(tmp_path, b"a\tb\n\nc\n", b"\n\nd\n") == [
        RawPair("a\tb", "", 1),
        RawPair("", "", 2),
        RawPair("c", "d", 3),
    ]


def test_moses_with_alignments(tmp_path: Path) -> None:
    for name, text in (("s", "a b\nc\n"), ("t", "x\ny\n"), ("l", "1-0\n\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    config = DataConfig(
        source="moses",
        source_path=str(tmp_path / "s"),
        target_path=str(tmp_path / "t"),
        alignment_path=str(tmp_path / "l"),
    )
    assert read_all(config) == [
        RawPair("a b", "x", 1, "1-0"),
        RawPair("c", "y", 2, ""),
    ]
    (tmp_path / "l").write_text("1-0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"l has 1 lines, .*s has 2"):
        read_all(config)


def test_tsv_with_alignments(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("a b\tx\t1-0\n", encoding="utf-8")
    config = DataConfig(source="tsv", path=str(path), alignment_column=3)
    assert read_all(config) == [RawPair("a b", "x", 1, "1-0")]


def test_moses_files_of_different_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^\S+train\.en, line 3: .*train\.mr\.gz has 2 lines, .* has 5;"):
        read_moses(tmp_path, b"1\n2\n3\n4\n5", b"1\n2\n")
    with pytest.raises(DataError, match=r"^\S+train\.mr\.gz, line 1: .*train\.en has 0 lines, .* has 1;"):
        read_moses(tmp_path, b"", b"\n")


def test_moses_names_the_side_that_is_broken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.mr\.gz, line 2: not UTF-8"):
        read_moses(tmp_path, b"a\nb\n", b"a\n\xff\n")


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("source", "key"),
    [("tsv", "path"), ("moses", "source_path"), ("moses", "target_path"), ("manythings", "archive")],
)
def test_unusable_files_are_named_by_their_setting(tmp_path: Path, source: str, key: str) -> None:
    other = {"source_path": put(tmp_path / "fine", b"a\n")} if key == "target_path" else {}
    for value, message in [
        (str(tmp_path / "absent"), "no such file"),
        (str(tmp_path), "not a regular file"),
        (str(tmp_path / ("x" * 5000)), "cannot be read"),
    ]:
        with pytest.raises(DataError, match=rf"^data\.{key}=.*: {message}"):
            open_source(DataConfig(source=source, **other, **{key: value})).files()


def test_a_setting_that_is_needed_is_named() -> None:
    with pytest.raises(ConfigError, match=r"add data\.path=FILE"):
        open_source(DataConfig(source="tsv")).files()


# ---------------------------------------------------------------- manythings


@pytest.mark.parametrize("end", ["", "\tCC-BY 2.0 (France) Attribution: tatoeba.org #1 (a) & #2 (b)"])
def test_a_local_archive_of_two_or_three_columns(tmp_path: Path, end: str) -> None:
    content = TSV.decode().replace("\n", end + "\n").encode()
    path = put(tmp_path / "some.zip", zipped(mar=content, _about=b"about"))
    assert read(archive=path) == PAIRS


def test_english_is_the_source_and_nothing_is_swapped_here(tmp_path: Path) -> None:
    assert read(archive=put(tmp_path / "some.zip", zipped(mar=TSV)), swap=True) == PAIRS


def test_another_language_is_offered(tmp_path: Path) -> None:
    path = put(tmp_path / "some.zip", zipped(deu=TSV, _about=b"about"))
    with pytest.raises(DataError, match=r"some\.zip: has no mar\.txt, only deu\.txt; set data\.language=deu"):
        open_source(DataConfig(archive=path)).files()
    assert read(archive=path, language="deu") == PAIRS


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "some.zip", b"<html>")
    with pytest.raises(DataError, match=r"some\.zip: not a complete zip archive"):
        open_source(DataConfig(archive=path)).files()


def test_corruption_found_while_reading_is_an_error(tmp_path: Path) -> None:
    content = bytearray(zipped(mar=TSV * 1000))
    content[60] ^= 0xFF
    path = put(tmp_path / "some.zip", bytes(content))
    with pytest.raises(DataError, match=r"some\.zip: not a complete zip archive"):
        read(archive=path)


def test_lines_of_an_archive_are_named_with_its_member(tmp_path: Path) -> None:
    path = put(tmp_path / "some.zip", zipped(mar=TSV + b"alone\n"))
    with pytest.raises(DataError, match=r"some\.zip \(mar\.txt\), line 3: has no column 2"):
        read(archive=path)


@pytest.mark.parametrize("language", ["", "m", "../mar", "MAR", "mar\n", "मर", "mar?x=", "abcdefghi"])
def test_a_language_is_a_plain_code(language: str) -> None:
    with pytest.raises(ConfigError, match=r"^data\.language="):
        open_source(DataConfig(language=language)).files()


def test_the_download_goes_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = tmp_path / "cache" / "manythings" / "deu-eng.zip"
    calls = []

    def fetch(url: str, destination: Path, *, member: str) -> Path:
        calls.append((url, member))
        put(destination, zipped(deu=TSV))
        return destination

    monkeypatch.setattr(manythings, "fetch", fetch)
    data = DataConfig(language="deu", cache=str(tmp_path / "cache"), url="https://example.org/{language}.zip")
    assert open_source(data).files() == [cached]
    assert list(open_source(data).pairs([cached])) == PAIRS
    assert calls == [("https://example.org/deu.zip", "deu.txt")]


def test_a_file_put_into_the_cache_is_used_without_a_network(tmp_path: Path) -> None:
    offline = {"cache": str(tmp_path), "url": "http://127.0.0.1:1/"}
    cached = tmp_path / "manythings" / "mar-eng.zip"
    put(cached, zipped(mar=TSV))
    assert read(**offline) == PAIRS
    put(cached, b"broken")
    with pytest.raises(DataError, match=r"mar-eng\.zip: not a complete .*delete this file"):
        read(**offline)


# ---------------------------------------------------------------- sample


@pytest.mark.parametrize("folder", ["nmt/sample", "data/sample"])  # installed, checkout
def test_the_sample_has_gold_alignments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.setattr(sample, "_PACKAGE", tmp_path / "nmt")
    with pytest.raises(DataError, match="bundled corpus is missing"):
        read(source="sample")
    put(tmp_path / folder / "corpus.tsv", "We run.\tआम्ही पळतो.\t0-0 1-1\n\n".encode())
    assert read(source="sample") == [RawPair("We run.", "आम्ही पळतो.", 1, "0-0 1-1"), RawPair("", "", 2)]


def test_a_sample_without_alignments_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_PACKAGE", tmp_path / "nmt")
    put(tmp_path / "data" / "sample" / "corpus.tsv", TSV)
    with pytest.raises(DataError, match=r"corpus\.tsv, line 1: has no column 3"):
        read(source="sample")
