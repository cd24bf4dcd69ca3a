"""Font selection for any script: matplotlib's default, the bundled Devanagari font, system fonts.

matplotlib draws each character with the first family in a list that has a glyph for it. Every font found
here is registered under a unique name for exactly its file: the names in matplotlib's font cache may be
outdated, or refer to several files of different coverage.
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
    """Whether a character combines with the one before it: marks, joiners, skin tones, joined emoji."""
    kind = unicodedata.category(character)
    return (
        kind in ("Mn", "Mc", "Me", "Cf") or "🏻" <= character <= "🏿" or (before == _JOINER and kind == "So")
    )


def _visible(texts: Iterable[str]) -> set[str]:
    return {character for character in set().union(*texts) if not _is_invisible(character)}


def _script(character: str) -> str:
    """A character's approximate script, for choosing a font and for warnings."""
    if unicodedata.category(character)[0] == "S":
        return "symbols"
    word = unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]
    return "CJK" if word in _EAST_ASIAN else word.capitalize()


@dataclass(frozen=True)
class _Face:
    """A font file registered with matplotlib as `family`, and the characters that it covers."""

    path: str
    family: str
    characters: frozenset[str]


def _characters(font: FT2Font) -> frozenset[str]:
    return frozenset(map(chr, font.get_charmap()))


def _register(path: str) -> _Face:
    """Register a font file with matplotlib under a unique name."""
    family = f"nmt {path}"
    entry = FontEntry(path, 0, family, "normal", "normal", 400, "normal", "scalable")
    if entry not in font_manager.fontManager.ttflist:
        font_manager.fontManager.ttflist.append(entry)
    return _Face(path, family, _characters(FT2Font(path)))


def _open_system_font(path: str) -> FT2Font | None:
    """Open a system font if matplotlib can use it: scalable outlines, not a colour or fallback font."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError, ValueError):
        return None
    name = font.family_name.replace(" ", "")
    return font if font.scalable and not any(word in name for word in _UNFIT) else None


def _rank(font: FT2Font, path: str) -> tuple[bool, bool, bool, str]:
    """Sort key among fonts with the same coverage: upright regular sans serif first."""
    slanted_or_bold = bool(font.style_flags & (StyleFlags.BOLD | StyleFlags.ITALIC))
    plain = font.style_name in ("Regular", "Book", "Roman", "Normal", "Medium")
    return slanted_or_bold, not plain, "Sans" not in font.family_name, path


def _separate_marks(text: str, faces: Sequence[_Face]) -> str:
    """Separate a mark from its base with a non-joiner if no font has both.

    matplotlib must draw a base and its marks with the same font: pieces such as "▁ा" need this.
    """
    drawn: list[str] = []
    able: set[str] = set()  # families that cover everything since the last base
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
    """The fonts found so far; searches for more when a text needs them. Thread-safe.

    Args:
        system_fonts: lists the paths of the system's font files; called only if a character is in none
            of the loaded fonts.
    """

    def __init__(self, system_fonts: Callable[[], Iterable[str]] = font_manager.findSystemFonts) -> None:
        default = str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
        self._faces = [_Face(default, _DEFAULT, _characters(FT2Font(default)))]
        for font in devanagari_fonts.fonts():
            if font.source == "bundled" and font.name.endswith("-Regular"):
                self._faces.append(_register(str(font.path)))
        self._system_fonts = system_fonts
        self._sought: set[str] = set()
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def families_for(self, texts: Iterable[str]) -> list[str]:
        """The families to draw `texts` with, matplotlib's default first. See the function of this name."""
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

    def font_for(self, texts: Iterable[str]) -> FT2Font:
        """A font object that draws `texts`. See the function of this name."""
        faces = self._known(self.families_for(texts))
        return font_manager.get_font([face.path for face in faces])

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
        return _separate_marks("".join(drawn), faces)

    def _known(self, families: Sequence[str]) -> list[_Face]:
        with self._lock:
            return [face for face in self._faces if face.family in families]

    def _seek(self, missing: set[str]) -> None:
        """Search the system fonts for `missing`, script by script; warn about what is not found."""
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
    """The font file that covers most of the characters `wanted`, or None if none covers any."""
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
    """The matplotlib font families to draw `texts` with, in order of preference.

    The first is matplotlib's default, DejaVu Sans. System fonts are searched only if a character needs
    one, and only once. If no font has a character, a warning names its script and the package to
    install, once per script and process.
    """
    return _BOOK.families_for(texts)


def font_for(texts: Iterable[str]) -> FT2Font:
    """The families of `families_for(texts)` as one font object, to draw text to a bitmap. It is shared within
    a thread: set its size before use.
    """
    return _BOOK.font_for(texts)


def missing_characters(texts: Iterable[str], families: Sequence[str]) -> set[str]:
    """The characters of `texts` that none of `families` (from `families_for`) can draw.

    Joiners, control and format characters, variation selectors and spaces never count as missing.
    """
    return _BOOK.missing_characters(texts, families)


def drawable(text: str, families: Sequence[str]) -> str:
    """`text` adapted so that `families` can draw it without warnings from matplotlib.

    A character that no family has becomes a box, and its marks are removed; so are control characters,
    and format characters that no family has. Any white space becomes a plain space.
    """
    return _BOOK.drawable(text, families)
