"""Text that a model cannot translate: most of its characters are none that it has ever seen.

They reach the model as bytes, each a subword, and what it makes of them has nothing to do with the text. So
a segment in a script that the vocabulary does not have, or of symbols only, is copied.
"""

from collections.abc import Callable, Iterable

from nmt.data.tokenizer import Tokenizer

_MOST = 0.5


def nothing_unknown(text: str) -> bool:
    """False: a model may know the characters of any text, for all that is known of it."""
    return False


def unknown_text(tokenizer: Tokenizer, examples: Iterable[str]) -> Callable[[str], bool]:
    """Whether most characters of a cleaned text, spaces aside, are not in the vocabulary.

    Args:
        tokenizer: of the source.
        examples: sources that the model should translate. If it is so of one of them, the model has learnt to
            translate from bytes, and no text is unknown.
    """
    known = set().union(*tokenizer.texts().values())

    def is_unknown(text: str) -> bool:
        there = [character in known for character in text if not character.isspace()]
        return sum(there) < (1 - _MOST) * len(there)

    return nothing_unknown if any(map(is_unknown, examples)) else is_unknown
