"""What a translation must be like, as its reader asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KINDS = ("url", "email", "number", "emoji")
"""Of things that can be kept as they are."""


@dataclass(frozen=True)
class ConstraintRequest:
    """Constraints on the translation of one text; the default is none.

    A phrase of `required`, `forbidden` and `glossary` stands for whole words, with case: "cat" is not in
    "category". With an asterisk at its end it also stands for words that begin with it: "cat*".

    Attributes:
        prefix: the translation begins with these characters; it may end inside a word. White space at its end
            is one space, which the translation has as well.
        required: phrases that the translation has. A tuple: at least one of its phrases.
        forbidden: phrases that it has not.
        glossary: source term → target term (or several, of which one is enough) that the translation has if
            the source has the source term, as whole words, without case. Of terms that overlap the one that
            begins first counts, and of these the longest.
        keep: the kinds of things, of `KINDS`, that the translation has exactly as the source. A number may
            have other digits, such as १२३ for 123, and letters directly behind it.
        no_repeat_ngram: no sequence of this many subwords occurs twice; 0: any may. A prefix, and phrases
            that must appear, may repeat one.
        excluded: continuations of the prefix, up to the end of a word, with which the translation does not
            go on; "": it does not end after the prefix.
    """

    prefix: str = ""
    required: Sequence[str | tuple[str, ...]] = ()
    forbidden: Sequence[str] = ()
    glossary: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    keep: Sequence[str] = ()
    no_repeat_ngram: int = 0
    excluded: Sequence[str] = ()
