"""What a model reads for a source sentence: its pieces, after the tag for the language of the translation
(Johnson et al. 2017).

The tag is a piece of the source vocabulary that no text is encoded as, so the vocabulary knows the target
languages of its model; the first is that of the main direction.
"""

import re

from nmt.data.text import clean
from nmt.data.tokenizer import UNK, Tokenizer, Tokens
from nmt.errors import ConfigError

_TAG = re.compile(r"<to:(.+)>")  # no tag of the user's has a colon


def target_tag(language: str) -> str:
    """The tag for a language."""
    return f"<to:{language}>"


def is_target_tag(piece: str) -> bool:
    """Whether a piece of a vocabulary is such a tag."""
    return _TAG.fullmatch(piece) is not None


class SourceEncoder:
    """Encodes source sentences, with the tag for the language of their translation if the model has tags.

    Args:
        tokenizer: of the source.

    Attributes:
        targets: codes of the target languages, that of the main direction first; none: without tags.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tags = {
            match[1]: number for piece, number in tokenizer.tags().items() if (match := _TAG.fullmatch(piece))
        }
        self.targets = tuple(self._tags)

    def check(self, to: str | None, option: str = "to=") -> None:
        """Check that the model translates to a language; None: the main direction.

        Args:
            to: the language.
            option: how the user gave it, for the message.

        Raises:
            ConfigError: if it does not.
        """
        if to is None or to in self._tags:
            return
        if not self._tags:
            raise ConfigError(
                f"{option}{to}: the model translates in one direction; leave it out, or train a model with "
                "data.both_directions=true"
            )
        main, *others = self.targets
        known = f"{main} (the default) or {' or '.join(others)}"
        raise ConfigError(f"{option}{to}: the model does not know this language; choose {known}")

    def __call__(self, text: str, to: str | None = None) -> Tokens:
        """A text, which is cleaned, as pieces.

        A text in capitals only is read as a sentence (`WHERE IS HE?` as `Where is he?`) if the vocabulary
        knows that better: if it has fewer unknown pieces, or as many and fewer pieces. The result's text
        stays in capitals, and the offsets are of it.

        Args:
            text: any.
            to: the language of its translation; None: that of the main direction.

        Raises:
            ConfigError: as `check`.
        """
        self.check(to)
        text = clean(text)
        tokens = self._tokenizer.encode_with_offsets(text)
        if text.isupper():
            sentence = self._tokenizer.encode_with_offsets(text.capitalize())
            if len(sentence.text) == len(tokens.text) and _cost(sentence) < _cost(tokens):
                tokens = sentence._replace(text=tokens.text)
        return tokens._replace(tag=self._tags[to or self.targets[0]]) if self._tags else tokens


def _cost(tokens: Tokens) -> tuple[int, int]:
    return tokens.ids.count(UNK), len(tokens.ids)
