"""Web font: a subset of a Devanagari font, for systems without one."""

import base64
import functools
import io
from collections.abc import Iterable

import devanagari_fonts

_FILE = "Shobhika-Regular.otf"  # SIL Open Font License; the subset keeps its name
DEVANAGARI = frozenset(map(chr, range(0x0900, 0x0980)))
_JOINERS = "\u200c\u200d\u25cc"


def font_face(texts: Iterable[str]) -> str:
    """A CSS rule that embeds the family "Devanagari" with the letters of `texts` and all their conjuncts, or
    "" if there are none.

    The family is limited to these characters, so that it can be named before the others: a browser without a
    Devanagari font may not look for an embedded one behind a generic family.
    """
    letters = DEVANAGARI.intersection("".join(texts))
    if not letters:
        return ""
    data = base64.b64encode(devanagari_woff(letters)).decode("ascii")
    return (
        '@font-face { font-family: "Devanagari"; unicode-range: U+0900-097F, U+200C-200D, U+25CC; '
        f"src: url(data:font/woff;base64,{data}); }}"
    )


@functools.lru_cache(maxsize=4)
def devanagari_woff(letters: frozenset[str]) -> bytes:
    """A WOFF font with `letters`, the joiners and all their conjuncts; letters that the font lacks are left
    out. It takes a second, so the last ones are kept: several pages often have the same letters.
    """
    from fontTools import subset  # slow to import

    (path,) = (font.path for font in devanagari_fonts.fonts() if font.filename == _FILE)
    options = subset.Options()
    options.flavor, options.layout_features = "woff", ["*"]
    font = subset.load_font(str(path), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(sorted(letters)) + _JOINERS)
    subsetter.subset(font)
    content = io.BytesIO()
    subset.save_font(font, content, options)
    return content.getvalue()
