"""What can be asked of a translation: one validated dataclass for the library, the command and the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TranslationOptions:
    """Options of one translation. None: as the run's own `decoding.*` settings say.

    Attributes:
        nbest: how many translations; all but the best are its `alternatives`. The beam is at least as large.
        beam_size, length_penalty: of the search; see `nmt.config.training.DecodingConfig`.
        prefix: characters that the translation begins with, exactly.
        required: phrases that must appear in the translation.
        forbidden: phrases that must not.
        glossary: source term → target term that must translate it wherever it occurs.
        attention: whether translations have their attention and coverage.
        sample: draw a random translation instead of searching for the best one.
        temperature, top_k, top_p, seed: of sampling.
        tree: whether translations have the beam as a tree.
    """

    nbest: int = 1
    beam_size: int | None = None
    length_penalty: float | None = None
    prefix: str = ""
    required: Sequence[str] = ()
    forbidden: Sequence[str] = ()
    glossary: Mapping[str, str] = field(default_factory=dict)
    attention: bool = False
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    tree: bool = False
