"""What a `Translator` is made of."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.library.collecting import Finishing
from nmt.library.unknown import nothing_unknown


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
        directions: those of each direction of a model with several target languages, the main one first.
        is_unknown: whether the model cannot know a text, which is copied: see `nmt.library.unknown`.
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
    directions: tuple[tuple[str, str], ...] = ()
    is_unknown: Callable[[str], bool] = nothing_unknown
    share_threads: Callable[[int], None] = lambda batches: None

    def with_batch_tokens(self, batch_tokens: int) -> "Loaded":
        """With another batch size."""
        return replace(self, decoding=replace(self.decoding, batch_tokens=batch_tokens))
