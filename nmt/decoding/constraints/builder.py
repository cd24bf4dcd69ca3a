"""From what is asked of a translation to the constraint that the search follows."""

from typing import NamedTuple

from nmt.data.tokenizer import Tokenizer
from nmt.decoding.constraints.request import ConstraintRequest
from nmt.decoding.interface import Constraint


class Built(NamedTuple):
    """The constraint of a sentence.

    Attributes:
        constraint: None: anything may be said.
        limit: maximum number of tokens of the translation, end-of-sentence included: as given, and as many
            more as the constraint needs, but not more than the maximum.
    """

    constraint: Constraint | None
    limit: int


class ConstraintBuilder:
    """Makes the constraints for a target tokenizer. Several threads can use it at the same time.

    Args:
        tokenizer: of the target.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def build(self, source: str, request: ConstraintRequest, limit: int, max_length: int) -> Built:
        """The constraint for the translation of one sentence.

        Args:
            source: the cleaned source, for glossary and things that are kept.
            request: what is asked.
            limit: maximum length that the sentence has without a constraint, in tokens.
            max_length: maximum length that it can have with one, at least `limit`.

        Raises:
            ConfigError: if nothing meets the request, naming what: characters that the tokenizer cannot
                produce, more than the maximum length, a phrase that is required and forbidden.
        """
        raise NotImplementedError
