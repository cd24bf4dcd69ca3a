"""Extensions: data sources and attention scores, each a class in a module of its own, found by file name.

    setting                             module                                    class
    data.source=tsv                     nmt/data/sources/tsv.py                   TsvSource
    model.attention.score=scaled_dot    nmt/model/attention/scores/scaled_dot.py  ScaledDotScore

A new one is a new file (docs/extending.md). The names are read from the folder and a class is imported only
when it is needed, so settings can be listed without torch.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from nmt.errors import ConfigError

_ROOT = Path(__file__).resolve().parent.parent


class Extension(Protocol):
    """What validation asks of a class.

    Attributes:
        requires: dotted keys of the settings with `used_by` that must be given with it.
        uses: those that have an effect with it besides.
    """

    requires: Sequence[str]
    uses: Sequence[str]

    @staticmethod
    def conflicts(config: Any) -> list[str]:
        """What is wrong with the settings (`Config.data` or `Config.model`), one message each."""


class AlignedCorpus(Extension, Protocol):
    """What validation asks of a data source besides.

    Attributes:
        alignments: whether it has word alignments, or the dotted key of the setting that says where.
        location: the name of the setting (in `DataConfig`) that says where the corpus is.
    """

    alignments: bool | str
    location: str

    @staticmethod
    def languages(data: Any) -> tuple[str, str] | None:
        """Codes of the languages of a corpus with these settings (`DataConfig`), in the order of its files;
        None: not known.
        """


class MultiHeadScore(Extension, Protocol):
    """What validation asks of an attention score besides.

    Attributes:
        divided: dotted key of the size that is split among the heads, besides `model.encoder.size`.
    """

    divided: str | None


@dataclass(frozen=True)
class ExtensionPoint:
    """A setting whose choices are modules of a package.

    Attributes:
        key: the dotted key of the setting.
        package: the package with one module per choice.
        suffix: what a class is called besides the name of its module; in lower case, the module of the base
            class.
    """

    key: str
    package: str
    suffix: str

    def names(self) -> tuple[str, ...]:
        """The choices, in alphabetical order; nothing is imported."""
        folder = _ROOT.joinpath(*self.package.split(".")[1:])
        found = (module.name for module in pkgutil.iter_modules([str(folder)]))
        return tuple(sorted(name for name in found if name != self.suffix.lower()))

    def load(self, name: str) -> type[Extension]:
        """Import the class of a choice: of "scaled_dot", `ScaledDotScore` in the module `scaled_dot`.

        Raises:
            ConfigError: if there is no such module, as for a run made with an extension that is not here.
        """
        return _load(self, name)

    def using(self, key: str) -> tuple[str, ...]:
        """The choices with which the setting `key` has an effect."""
        found = ((name, self.load(name)) for name in self.names())
        return tuple(name for name, one in found if key in one.uses or key in one.requires)

    def requiring(self, key: str) -> tuple[str, ...]:
        """The choices with which the setting `key` must be given."""
        return tuple(name for name in self.names() if key in self.load(name).requires)


@cache
def _load(point: ExtensionPoint, name: str) -> type[Extension]:
    if name not in point.names():
        raise ConfigError(f"{point.key}={name}: no such choice; available: {', '.join(point.names())}")
    module = importlib.import_module(f"{point.package}.{name}")
    title = "".join(word.capitalize() for word in name.split("_"))
    return cast(type[Extension], getattr(module, title + point.suffix))


SOURCES = ExtensionPoint("data.source", "nmt.data.sources", "Source")
SCORES = ExtensionPoint("model.attention.score", "nmt.model.attention.scores", "Score")
EXTENSION_POINTS = {point.key: point for point in (SOURCES, SCORES)}
