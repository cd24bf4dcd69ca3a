"""Neural machine translation with attention: train, translate, evaluate, align.

    import nmt

    translator = nmt.Translator.load("runs/latest")
    print(translator.translate(["Rahul is a good boy."])[0].text)

`Translator`, `Translation` and `TranslationOptions` are those of `nmt.library`, imported when first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.library.api import Translator
    from nmt.library.options import TranslationOptions
    from nmt.library.translated import Token, Translation, Word

__version__ = "0.1.0"
__all__ = ["Token", "Translation", "TranslationOptions", "Translator", "Word"]
_HOME = {
    "Translator": "nmt.library.api",
    "TranslationOptions": "nmt.library.options",
    "Token": "nmt.library.translated",
    "Translation": "nmt.library.translated",
    "Word": "nmt.library.translated",
}


def __getattr__(name: str) -> Any:
    """The classes of the library, on first use, so that `import nmt` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
