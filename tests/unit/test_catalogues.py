"""Gettext catalogues, binary and text: what is read of them, and that broken ones are an error."""

import gettext
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_catalogue import HEADER, binary

from nmt.data.catalogues import Message, read_catalogue
from nmt.errors import DataError

MESSAGES = {
    "Open": "उघडा",
    "menu\x04File": "फाइल",
    "Two\nlines": "दोन\nओळी",
    "one\0many": "एक\0अनेक",
    "None": "",
}
PO = r"""
# translator
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

#: file.c:3
#, c-format
msgid "Open"
msgstr "उघडा"
msgctxt "menu"
msgid "File"
msgstr "फाइल"

#, fuzzy, c-format
#| msgid "Clo\"
msgid "Close"
msgstr "चुकीचे"

#. several lines
msgid ""
"A \"long\" "
"message \\ here\t"
msgstr "एक \"लांब\" "
"संदेश"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d फाइल"
msgstr[1] "%d फाइल्स"

msgid "Untranslated"
msgstr ""

#~ msgid "Old"
#~ msgstr "जुने"
"""


OURS = "not a complete gettext catalogue|not a line of a gettext catalogue|not UTF-8|line endings|gzip"


def refusal(tmp_path: Path, name: str, content: bytes) -> str | None:
    """The message of the error, if it is one; any other exception fails the test."""
    try:
        read(tmp_path, name, content)
    except DataError as error:
        return str(error)
    return None


def read(tmp_path: Path, name: str, content: bytes) -> list[Message]:
    path = tmp_path / name
    path.write_bytes(content)
    return list(read_catalogue(path))


@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_of_a_binary_catalogue(tmp_path: Path, order: str) -> None:
    found = read(tmp_path, "a.mo", binary(MESSAGES, order=order))
    assert {message[:2] for message in found} == {
        ("Open", "उघडा"),
        ("File", "फाइल"),
        ("Two\nlines", "दोन\nओळी"),
    }


def test_a_binary_catalogue_says_its_encoding(tmp_path: Path) -> None:
    header = HEADER.replace("UTF-8", "ISO-8859-1")
    content = binary({"Open": "Öffnen"}, header, charset="latin-1")
    assert read(tmp_path, "a.mo", content) == [Message("Open", "Öffnen", 2)]


def test_the_catalogues_of_the_tests_are_as_python_reads_them() -> None:
    catalogue = gettext.GNUTranslations(io.BytesIO(binary(MESSAGES)))
    assert catalogue.gettext("Open") == "उघडा"
    assert catalogue.pgettext("menu", "File") == "फाइल"
    assert catalogue.ngettext("one", "many", 5) == "अनेक"


def test_messages_of_a_text_catalogue(tmp_path: Path) -> None:
    assert read(tmp_path, "a.po", PO.encode()) == [
        Message("Open", "उघडा", 10),
        Message("File", "फाइल", 12),
        Message('A "long" message \\ here\t', 'एक "लांब" संदेश', 22),
    ]


@pytest.mark.parametrize("end", ["", "\n", "\n\n# comment\n"])
def test_the_last_message_of_a_text_catalogue(tmp_path: Path, end: str) -> None:
    found = read(tmp_path, "a.po", f'msgid "Open"\r\nmsgstr "उघडा"{end}'.encode())
    assert found == [Message("Open", "उघडा", 1)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('msgid "a"\nmsgstr "b\n', 2),
        ('msgid "a"\nmsgstr b\n', 2),
        ('"a"\n', 1),
        ('msgid "a"\nmsgtext "b"\n', 2),
        ('msgid "a" "b"\n', 1),
        ("<html>\n", 1),
    ],
)
def test_a_broken_text_catalogue_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"a\.po, line {line}: not a line of a gettext catalogue"):
        read(tmp_path, "a.po", text.encode())
    with pytest.raises(DataError, match=r"a\.po, line 2: not UTF-8"):
        read(tmp_path, "a.po", b'msgid "a"\nmsgstr "\xff"\n')


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/plain; charset=nonsense\n",
        "Content-Type: text/plain; charset=rot13\n",
        "Content-Type: text/plain; charset=ascii\n",
        "Plural-Forms: nplurals=2\n",
        "Plural-Forms: nplurals=2; plural=__import__('os').abort()\n",
        "Plural-Forms: nplurals=2; plural=n.bit_length()\n",
        f"Plural-Forms: nplurals=2; plural={'(' * 400}n{')' * 400}\n",
        f"Plural-Forms: nplurals=2; plural={'n?' * 2000}n\n",
    ],
)
def test_a_header_that_lies_is_an_error_and_runs_nothing(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"^\S+a\.mo: not a complete gettext catalogue \(") as caught:
        read(tmp_path, "a.mo", binary({"Open": "उघडा"}, header))
    assert "\n" not in str(caught.value)


def test_what_is_too_short_for_a_catalogue_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.mo: not a complete gettext catalogue \(too short\)$"):
        read(tmp_path, "a.mo", b"garbage\n")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """Every entry is the entire file."""
    content = bytearray(binary({f"message {k}": "text" for k in range(50)}))
    tables = range(28, 28 + 16 * 51, 8)
    for place in tables:
        content[place : place + 8] = (len(content) - 1).to_bytes(4, "little") + bytes(4)
    with pytest.raises(DataError, match="its texts are longer than the file"):
        read(tmp_path, "a.mo", bytes(content))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 300), place=st.integers(0, 300), byte=st.integers(0, 255))
def test_any_damage_is_read_or_an_error(tmp_path: Path, cut: int, place: int, byte: int) -> None:
    content = bytearray(binary({"Open": "उघडा", "menu\x04File": "फाइल"}))
    content[place % len(content)] = byte
    for damaged in (bytes(content), bytes(content[:cut])):
        assert "not a complete gettext catalogue" in (refusal(tmp_path, "a.mo", damaged) or OURS)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: b"\xde\x12\x04\x95" + rest))
def test_any_bytes_are_read_or_an_error(tmp_path: Path, content: bytes) -> None:
    for name in ("a.mo", "a.po"):
        assert re.search(OURS, refusal(tmp_path, name, content) or OURS)
