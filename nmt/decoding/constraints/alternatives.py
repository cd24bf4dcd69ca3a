"""The next word after a prefix, in which alternatives differ."""

from nmt.decoding.constraints.characters import is_inside


def next_word(text: str, prefix: str) -> str:
    """What a text that begins with a prefix goes on with, up to the end of a word; "" if it ends there."""
    end = len(prefix)
    while end < len(text) and text[end] == " ":
        end += 1
    end += 1
    while end < len(text) and is_inside(text[end - 1], text[end]):
        end += 1
    return text[len(prefix) : end]
