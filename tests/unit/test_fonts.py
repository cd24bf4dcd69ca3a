import logging
import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nmt.visualisation.fonts import FontBook, drawable, families_for, missing_characters

MARATHI = "दुसर्‍या कृष्णाने त्याच्या मित्रांना पत्र लिहिलं."
TAMIL = "தமிழ்"


def no_system_fonts():
    return []


def make_font(path, characters, family="Test Sans", style="Regular"):
    """A small TrueType font that has a square for each of `characters`."""
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, 700), (550, 700), (550, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    names = [f"u{ord(character):04X}" for character in characters]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap({ord(c): name for c, name in zip(characters, names, strict=True)})
    builder.setupGlyf({name: square for name in [".notdef", *names]})
    builder.setupHorizontalMetrics({name: (600, 50) for name in [".notdef", *names]})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": style})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


def draw(text, families):
    """Draw one text, with Python warnings as errors."""
    figure = Figure(figsize=(2, 1))
    canvas = FigureCanvasAgg(figure)
    figure.text(0.1, 0.5, text, family=families, parse_math=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas.draw()


def test_plain_text_needs_the_default_only():
    assert FontBook(no_system_fonts).families_for(["a letter", "▁the", "čžő"]) == ["DejaVu Sans"]


def test_marathi_needs_no_font_of_the_system(caplog):
    book = FontBook(no_system_fonts)
    families = book.families_for([MARATHI])
    assert families[0] == "DejaVu Sans"
    assert len(families) == 2
    assert book.missing_characters([MARATHI], families) == set()
    draw(MARATHI, families)
    assert not caplog.records


def test_the_default_alone_cannot_draw_marathi():
    with pytest.raises(UserWarning, match="missing from font"):
        draw("क", ["DejaVu Sans"])
    assert missing_characters(["क"], ["DejaVu Sans"]) == {"क"}


def test_a_system_font_is_found_and_drawn_with(tmp_path, caplog):
    asked = []

    def system_fonts():
        asked.append(1)
        return [tamil]

    tamil = make_font(tmp_path / "tamil.ttf", sorted(set(TAMIL)))
    book = FontBook(system_fonts)
    assert len(book.families_for(["no need"])) == 1
    assert not asked
    families = book.families_for([TAMIL])
    assert len(families) == 2
    assert book.missing_characters([TAMIL], families) == set()
    assert book.drawable(TAMIL, families) == TAMIL
    draw(TAMIL, families)
    assert book.families_for([TAMIL]) == families
    assert len(asked) == 1
    assert not caplog.records


def test_the_font_with_most_of_the_script_wins_then_the_plain_one(tmp_path):
    letters = sorted(set(TAMIL))
    few = make_font(tmp_path / "a.ttf", letters[:2])
    serif = make_font(tmp_path / "b.ttf", letters, "Test Serif")
    bold = make_font(tmp_path / "c.ttf", letters, style="Bold")
    plain = make_font(tmp_path / "d.ttf", letters)
    for paths in ([few, serif, bold, plain], [plain, bold, serif, few]):
        families = FontBook(lambda paths=paths: paths).families_for([TAMIL])
        assert len(families) == 2
        assert families[1].endswith(plain)


def test_two_fonts_together_cover_a_script(tmp_path):
    letters = sorted(set(TAMIL))
    paths = [make_font(tmp_path / "a.ttf", letters[:3]), make_font(tmp_path / "b.ttf", letters[3:])]
    book = FontBook(lambda: paths)
    assert book.missing_characters([TAMIL], book.families_for([TAMIL])) == set()


def test_corrupt_and_stand_in_fonts_are_skipped(tmp_path):
    corrupt = tmp_path / "corrupt.ttf"
    corrupt.write_bytes(b"not a font")
    letters = sorted(set(TAMIL))
    unfit = [
        make_font(tmp_path / f"{name}.ttf", letters, name) for name in ("Last Resort", "Some Color Emoji")
    ]
    book = FontBook(lambda: [str(corrupt), str(tmp_path / "absent.ttf"), *unfit])
    assert book.families_for([TAMIL]) == ["DejaVu Sans"]


def test_an_outdated_name_in_the_font_cache_does_no_harm(tmp_path, monkeypatch):
    gone = font_manager.FontEntry(str(tmp_path / "gone.otf"), 0, "Shobhika")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [gone, *font_manager.fontManager.ttflist])
    draw(MARATHI, FontBook(no_system_fonts).families_for([MARATHI]))


def test_one_warning_for_each_missing_script(caplog):
    book = FontBook(no_system_fonts)
    with caplog.at_level(logging.WARNING):
        for text in (TAMIL, TAMIL, "நன்றி", "hello"):
            book.families_for([text])
        assert len(caplog.records) == 1
        message = caplog.records[0].getMessage()
        assert "Tamil" in message
        assert "fonts-noto-core" in message
        assert "\n" not in message
        book.families_for(["中文", "日本語", "ありがとう", "ஃ"])
        assert len(caplog.records) == 2
        assert "CJK" in caplog.records[1].getMessage()
        assert "fonts-noto-cjk" in caplog.records[1].getMessage()
        assert "Tamil" not in caplog.records[1].getMessage()


def test_what_cannot_be_drawn_becomes_a_box_each():
    book = FontBook(no_system_fonts)
    families = book.families_for([TAMIL])
    assert book.missing_characters([TAMIL, "a"], families) == set(TAMIL)
    assert book.drawable(f"a{TAMIL}b", families) == "a□□□b"  # three letters, two of them with a mark
    assert book.drawable("a\tb\nc\u00a0d\x00e\ud800", families) == "a b c de"
    draw(book.drawable(TAMIL, families), families)


@pytest.mark.parametrize(
    "character", ["\u200c", "\u200d", "\n", "\x07", "\ufeff", "\u2066", "\ufe0f", "\u3000"]
)
def test_invisible_characters_are_never_missing(character):
    assert missing_characters([f"a{character}b"], ["DejaVu Sans"]) == set()


def test_joiners_stay():
    families = families_for([MARATHI])
    assert drawable(MARATHI, families) == MARATHI


@pytest.mark.parametrize("piece", ["▁ा", "▁्या", "₹ि", "😀\u200dि", "क\u200d😀", "\u0336\u200dि"])
def test_a_mark_whose_base_is_in_another_font_is_drawn(piece):
    book = FontBook(no_system_fonts)
    families = book.families_for([piece])
    text = book.drawable(piece, families)
    draw(text, families)
    assert text.replace("\u200c", "") in (piece, piece.replace("\u200d", ""))


def test_a_mark_and_its_base_in_one_font_stay_together():
    families = families_for(["क्षि", "x\u0301", "▁कि"])
    for text in ("क्षि", "x\u0301", "▁कि"):
        assert drawable(text, families) == text


AWKWARD = "▁0a₹\u200d\u200c\ufe0f🏽😀👩□◌क्ािं\u0301\u0363\u0951 "


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12) | st.text(AWKWARD, max_size=8))
@example("\ud800")
@example("👩\u200d👩\u200d👧 \U000e0101 \ue000")
def test_any_text_draws_without_a_complaint(text):
    book = FontBook(no_system_fonts)
    families = book.families_for([text])
    draw(book.drawable(text, families), families)
