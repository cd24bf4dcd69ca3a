"""Embedded web font: a subset of a Devanagari font, for systems without one."""

import base64
import io
from collections.abc import Iterable

import devanagari_fonts

_FILE = "Shobhika-Regular.otf"  # SIL Open Font License; the subset keeps its name
_DEVANAGARI = frozenset(map(chr, range(0x0900, 0x0980)))
_JOINERS = "\u200c\u200d\u25cc"


def font_face(texts: Iterable[str]) -> str:
    """A CSS rule that embeds the family "Devanagari" with the letters of `texts` and all their conjuncts, or
    "" if there are none.
    """
    letters = _DEVANAGARI.intersection("".join(texts))
    if not letters:
        return ""
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
    data = base64.b64encode(content.getvalue()).decode("ascii")
    return f'@font-face {{ font-family: "Devanagari"; src: url(data:font/woff;base64,{data}); }}'
