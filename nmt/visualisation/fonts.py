"""Fonts that can draw a text: matplotlib's own, the Devanagari font that comes with us, the system's.

matplotlib draws each character with the first family of a list that has it. Every font found here is
registered under a name of our own for exactly its file: the names in matplotlib's font cache may be
stale, or stand for several files of different coverage.
"""

import logging
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import devanagari_fonts
import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FT2Font, StyleFlags

_log = logging.getLogger(__name__)

_DEFAULT = "DejaVu Sans"  # comes with matplotlib
_UNFIT = ("LastResort", "Blank", "Color")
_BOX = "□"
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_EAST_ASIAN = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH")
_PACKAGES = {"CJK": "fonts-noto-cjk", "symbols": "fonts-symbola"}
_PACKAGE_OF_THE_REST = "fonts-noto-core"


def _is_invisible(character: str) -> bool:
    """Whether a character needs no glyph: control, format (joiners too), variation selector, space."""
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _continues(character: str, before: str) -> bool:
    """Whether a character belongs to the one before it: marks, joiners, skin tones, joined emoji."""
    kind = unicodedata.category(character)
    return (
        kind in ("Mn", "Mc", "Me", "Cf") or "🏻" <= character <= "🏿" or (before == _JOINER and kind == "So")
    )


def _visible(texts: Iterable[str]) -> set[str]:
    return {character for character in set().union(*texts) if not _is_invisible(character)}


def _script(character: str) -> str:
    """A character's script, near enough to find a font and to name in a warning."""
    if unicodedata.category(character)[0] == "S":
        return "symbols"
    word = unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]
    return "CJK" if word in _EAST_ASIAN else word.capitalize()


@dataclass(frozen=True)
class _Face:
    """A font file known to matplotlib as `family`, and the characters that it has."""

    family: str
    characters: frozenset[str]


def _characters(font: FT2Font) -> frozenset[str]:
    return frozenset(map(chr, font.get_charmap()))


def _register(path: str) -> _Face:
    """Make a font file known to matplotlib under a name that nothing else has."""
    family = f"nmt {path}"
    entry = FontEntry(path, 0, family, "normal", "normal", 400, "normal", "scalable")
    if entry not in font_manager.fontManager.ttflist:
        font_manager.fontManager.ttflist.append(entry)
    return _Face(family, _characters(FT2Font(path)))


def _open_system_font(path: str) -> FT2Font | None:
    """A system font that matplotlib can draw with: black outlines, and not a stand-in that claims all."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError, ValueError):
        return None
    name = font.family_name.replace(" ", "")
    return font if font.scalable and not any(word in name for word in _UNFIT) else None


def _rank(font: FT2Font, path: str) -> tuple[bool, bool, bool, str]:
    """What comes first among fonts that have the same characters: upright regular sans serif."""
    slanted_or_bold = bool(font.style_flags & (StyleFlags.BOLD | StyleFlags.ITALIC))
    plain = font.style_name in ("Regular", "Book", "Roman", "Normal", "Medium")
    return slanted_or_bold, not plain, "Sans" not in font.family_name, path


def _part_marks(text: str, faces: Sequence[_Face]) -> str:
    """Part a mark from its base with a non-joiner where no font has both.

    matplotlib draws a base and its marks with one font or not at all: pieces such as "▁ा" need this.
    """
    drawn: list[str] = []
    able: set[str] = set()  # the families that have everything from the last base on
    for character in text:
        having = {face.family for face in faces if character in face.characters}
        if not drawn or not _continues(character, drawn[-1]):
            able = having
        elif character not in (_NON_JOINER, _JOINER):
            if not able & having:
                drawn = [*"".join(drawn).rstrip(_NON_JOINER + _JOINER), _NON_JOINER]
            able = able & having or having
        drawn.append(character)
    return "".join(drawn)


class FontBook:
    """The fonts found so far; looks for more when a text needs them. Safe to share among threads.

    Args:
        system_fonts: lists the paths of the system's font files; asked only when a character is in
            none of the fonts at hand.
    """

    def __init__(self, system_fonts: Callable[[], Iterable[str]] = font_manager.findSystemFonts) -> None:
        default = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
        self._faces = [_Face(_DEFAULT, _characters(FT2Font(str(default))))]
        for font in devanagari_fonts.fonts():
            if font.source == "bundled" and font.name.endswith("-Regular"):
                self._faces.append(_register(str(font.path)))
        self._system_fonts = system_fonts
        self._sought: set[str] = set()
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def families_for(self, texts: Iterable[str]) -> list[str]:
        """The families that draw `texts`, matplotlib's default first. See the function of this name."""
        with self._lock:
            needed = _visible(texts)
            missing = needed.difference(*(face.characters for face in self._faces))
            if missing - self._sought:
                self._seek(missing - self._sought)
            families = []
            for face in self._faces:
                if face.family == _DEFAULT or needed & face.characters:
                    families.append(face.family)
                needed -= face.characters
            return families

    def missing_characters(self, texts: Iterable[str], families: Sequence[str]) -> set[str]:
        """The characters that no family has. See the function of this name."""
        return _visible(texts).difference(*(face.characters for face in self._known(families)))

    def drawable(self, text: str, families: Sequence[str]) -> str:
        """`text` as `families` can draw it. See the function of this name."""
        faces = self._known(families)
        drawn = []
        for character in text:
            kind = unicodedata.category(character)
            if character.isspace():
                drawn.append(" ")
            elif kind not in ("Cc", "Cs") and any(character in face.characters for face in faces):
                drawn.append(character)
            elif not _is_invisible(character) and kind[0] != "M":
                drawn.append(_BOX)
        return _part_marks("".join(drawn), faces)

    def _known(self, families: Sequence[str]) -> list[_Face]:
        with self._lock:
            return [face for face in self._faces if face.family in families]

    def _seek(self, missing: set[str]) -> None:
        """Look through the system for fonts that have `missing`, script by script; warn of the rest."""
        self._sought |= missing
        paths = sorted({str(path) for path in self._system_fonts()})
        hopeless: dict[str, list[str]] = {}
        while missing:
            scripts: dict[str, list[str]] = {}
            for character in sorted(missing):
                scripts.setdefault(_script(character), []).append(character)
            script, wanted = max(scripts.items(), key=lambda item: len(item[1]))
            path = _best_path(paths, wanted)
            if path is None:
                hopeless[script] = wanted
                missing = missing.difference(wanted)
            else:
                paths.remove(path)
                self._faces.append(_register(path))
                missing = missing - self._faces[-1].characters
        new = {script: hopeless[script] for script in hopeless.keys() - self._warned}
        if new:
            self._warned |= new.keys()
            _warn(new)


def _warn(hopeless: dict[str, list[str]]) -> None:
    named = ", ".join(
        f"{script} ({''.join(characters[:3])}{'…' if characters[3:] else ''})"
        for script, characters in sorted(hopeless.items())
    )
    packages = sorted({_PACKAGES.get(script, _PACKAGE_OF_THE_REST) for script in hopeless})
    _log.warning(
        "no font covers %s: drawn as %s; install a font, e.g. the package %s",
        named,
        _BOX,
        " and ".join(packages),
    )


def _best_path(paths: Iterable[str], wanted: Sequence[str]) -> str | None:
    """The font file that has most of the characters `wanted`, or None if none has any."""
    best = None
    for path in paths:
        font = _open_system_font(path)
        if font is not None:
            count = sum(font.get_char_index(ord(character)) != 0 for character in wanted)
            if count:
                found = (-count, _rank(font, path))
                best = found if best is None else min(best, found)
    return None if best is None else best[1][-1]


_BOOK = FontBook()


def families_for(texts: Iterable[str]) -> list[str]:
    """The font families that draw `texts` in matplotlib, in the order to try them.

    The first is matplotlib's default, DejaVu Sans. Fonts of the system are looked for only when a
    character needs one, and only once. If no font has a character, one warning names its script and
    what to install, once a process for each.
    """
    return _BOOK.families_for(texts)


def missing_characters(texts: Iterable[str], families: Sequence[str]) -> set[str]:
    """The characters of `texts` that none of `families` (as `families_for` gives them) can draw.

    Joiners, control and format characters, variation selectors and spaces never count as missing.
    """
    return _BOOK.missing_characters(texts, families)


def drawable(text: str, families: Sequence[str]) -> str:
    """`text` as it can be drawn with `families`, without a complaint of matplotlib.

    A character that no family has becomes a box, and its marks go; so do control characters, and
    format characters that no family has. Any white space becomes a plain space.
    """
    return _BOOK.drawable(text, families)
