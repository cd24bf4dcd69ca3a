"""What of a growing translation can be shown: the part that no further tokens change."""

from collections.abc import Sequence

from nmt.data.text import clean
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.constraints.characters import may_change

_UNDECODED = "\ufffd"


def settled(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """The part of the cleaned text that stays as it is whatever tokens follow: without its last character,
    with which a mark could still compose, and white space, which is removed at the end.

    Args:
        tokenizer: of the translation.
        tokens: its first ones, without end-of-sentence.
    """
    text = clean(tokenizer.decode(tokens).rstrip(_UNDECODED))
    end = len(text) - 1
    while end > 0 and may_change(text[end]):
        end -= 1
    return text[: max(end, 0)].rstrip()
