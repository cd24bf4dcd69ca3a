"""Which searches there are for the sentences of a batch, and which result stands.

A sentence with a constraint may be searched without it, too: what it would be translated to anyway stands if
it meets the constraint (see `SearchOptions.free`). The search with the number of the sentence is then the one
without; that with the constraint has a number of its own, after those of the sentences, and begins where the
two differ.
"""

from collections.abc import Callable, Collection

import numpy as np

from nmt.decoding.hypothesis import BackPointer
from nmt.decoding.interface import SearchOptions

Tokens = Callable[[BackPointer], list[int]]
"""A hypothesis → its tokens."""


class Branches:
    """The searches of a batch: their numbers and their results.

    Args:
        sentences: B.
        options: the constraints, which sentences are searched without, and n.
        tokens: those of a hypothesis that has ended.

    Attributes:
        constrained: sentence → the number of the search with its constraint.
        sentence_of: the sentence of each search, [B + branches].
        begun: the searches with a constraint that have begun besides those without.
        chosen: sentence that is done → the search that was the last one needed.
    """

    def __init__(self, sentences: int, options: SearchOptions, tokens: Tokens) -> None:
        free = [*options.free]
        self._free, self._nbest, self._tokens = options.free, options.nbest, tokens
        self.constrained = {number: number for number in options.constraints}
        self.constrained |= {sentence: sentences + index for index, sentence in enumerate(free)}
        self.sentence_of = np.concatenate((np.arange(sentences), np.array(free, np.int64)))
        self.chosen: dict[int, int] = {}
        self._following = frozenset(self.constrained.values())
        self._left: dict[int, list[BackPointer]] = {}
        self.begun: set[int] = set()
        self._met: dict[BackPointer, bool] = {}

    def begin(self, numbers: Collection[int]) -> None:
        """Searches with a constraint have begun, besides those without."""
        self.begun.update(numbers)

    def follows(self, number: int) -> bool:
        """Whether a search has a constraint to follow."""
        return number in self._following

    def is_contested(self, number: int) -> bool:
        """Whether a search is the one without the constraint of a sentence, and that with it has begun."""
        return self.constrained.get(number, -1) in self.begun

    def open(self, sentence: int) -> list[int]:
        """The searches whose result may be that of a sentence that is not done."""
        if not self.is_contested(sentence):
            return [sentence]
        branch = self.constrained[sentence]
        return [branch] if self._left.get(sentence) == [] else [sentence, branch]

    def left(self, number: int) -> list[BackPointer] | None:
        """What counts of the result of a search; None: it is not done."""
        return self._left.get(number)

    def leave(self, number: int, found: list[BackPointer]) -> None:
        """A search is done, with this result; without the constraint, what meets it, if the best does."""
        found = found[: self._nbest]
        if self.is_contested(number):
            met = [one for one in found if self.is_met_by(number, one)]
            found = met if met and met[0] is found[0] else []
        self._left[number] = found

    def is_met_by(self, sentence: int, pointer: BackPointer) -> bool:
        """Whether a hypothesis of the search without the constraint of a sentence meets it."""
        key = pointer._replace(log_probability=0.0, score=0.0)
        if key not in self._met:
            self._met[key] = self._free[sentence](self._tokens(pointer))
        return self._met[key]

    def result(self, sentence: int) -> list[BackPointer] | None:
        """The n best hypotheses of a sentence; None: it is not done."""
        found = self._left.get(sentence)
        self.chosen[sentence] = sentence
        if found is None:
            return None
        if sentence in self._free and not self.is_contested(sentence):  # both searches are this one
            return self._met_first(sentence, found)
        if len(found) >= self._nbest or not self.is_contested(sentence):
            return found
        self.chosen[sentence] = branch = self.constrained[sentence]
        if branch not in self._left:
            return None
        if not found:
            return self._left[branch]
        known = [self._tokens(one) for one in found]
        others = [one for one in self._left[branch] if self._tokens(one) not in known]
        return [*found, *others][: self._nbest]

    def _met_first(self, sentence: int, found: list[BackPointer]) -> list[BackPointer]:
        """What meets the constraint first, if the best does: what was cut at the length limit may not."""
        if not found or not self.is_met_by(sentence, found[0]):
            return found
        return sorted(found, key=lambda one: not self.is_met_by(sentence, one))
