"""What a `Translator` is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.library.collecting import Finishing

PARALLEL = 2
"""Batches that are translated at a time on a CPU, at most. Much of a step is one thread's work, the same for
small batches and large ones; more threads than two wait for one another, as only one runs Python at a time.
"""


@dataclass(frozen=True)
class Loaded:
    """What a translator is made of.

    Attributes:
        name: of the run, or of all runs of an ensemble, joined by "+".
        make: a translator for other settings of the search, with the same model.
        decoding: the settings of the run.
        source: its tokenizer.
        heads: number of attention heads.
        finishing: tokenizer and calibration of translations.
        limit: input of more source subwords than this is split.
        languages: codes of the source and the target language, as in the settings; None: unknown.
        parallel: how many batches at a time take less time than one after the other.
        share_threads: called with how many batches are translated at a time: lets the calling thread use its
            share of the CPU threads.
    """

    name: str
    make: Callable[[DecodingConfig], SearchTranslator]
    decoding: DecodingConfig
    source: Tokenizer
    heads: int
    finishing: Finishing
    limit: int
    languages: tuple[str, str] | None
    parallel: int = 1
    share_threads: Callable[[int], None] = lambda batches: None
