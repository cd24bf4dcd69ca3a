"""The beam of a search as a tree: every hypothesis that was in it, and what became of each.

Shapes: b active sentences, K slots per sentence.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nmt.decoding.beam import Extensions
from nmt.decoding.hypothesis import BackPointer, Doubles
from nmt.decoding.interface import Integers

EXTENDED, PRUNED, GIVEN_UP = "extended", "pruned", "given up"
FINISHED, TRUNCATED = "finished", "truncated"


@dataclass(frozen=True)
class Node:
    """A hypothesis at a step.

    Attributes:
        step: counted from 0.
        parent: index of its parent among the nodes; -1: the beginning of the sentence.
        token: the last one, EOS if finished.
        log_probability: of this token.
        total: log-probability of the hypothesis.
        fate: "extended" if it has children; "pruned" if others were better; "given up" if it could not become
            one of the n best; "finished" with EOS; "truncated" at the maximum length.
        score: of a finished hypothesis.
        rank: among the n best, from 0; None: it is not one of them.
    """

    step: int
    parent: int
    token: int
    log_probability: float
    total: float
    fate: str
    score: float | None = None
    rank: int | None = None


@dataclass(frozen=True)
class SearchTree:
    """The beam of a sentence.

    Attributes:
        nodes: by step and in the order of the beam, at each step first those without EOS. Parents come before
            their children.
    """

    nodes: tuple[Node, ...]


class _Places(NamedTuple):
    """Where a node was: its step, and its slot (of the parent, if it is finished)."""

    step: int
    slot: int
    finished: bool


class TreeRecorder:
    """Records the beams of some sentences of a search.

    Args:
        sentences: those to record.
        eos: the token that ends a sentence.
    """

    def __init__(self, sentences: Collection[int], eos: int) -> None:
        self._eos = eos
        self._nodes: dict[int, list[Node]] = {sentence: [] for sentence in sentences}
        self._places: dict[int, dict[_Places, int]] = {sentence: {} for sentence in sentences}

    def branch(self, sentence: int, number: int) -> None:
        """A search begins with this number that so far has the nodes of another one."""
        if sentence in self._nodes:
            self._nodes[number] = [*self._nodes[sentence]]
            self._places[number] = {**self._places[sentence]}

    def append(
        self, step: int, sentences: Sequence[int], extensions: Extensions, scores: Doubles, live: Integers
    ) -> None:
        """Record a step.

        Args:
            step: counted from 0.
            sentences: the b active ones.
            extensions: of all of them.
            scores: of those that end, [b, K].
            live: the number of hypotheses to go on with, of each sentence, [b].
        """
        for index, sentence in enumerate(sentences):
            if sentence not in self._nodes:
                continue
            totals, tokens, origins, ended, parents = (column[index].tolist() for column in extensions)
            for slot, (total, token, origin) in enumerate(zip(totals, tokens, origins, strict=True)):
                fate = PRUNED if slot < live[index] else GIVEN_UP
                self._add(sentence, _Places(step, slot, False), origin, token, total, fate)
            for total, origin, score in zip(ended, parents, scores[index].tolist(), strict=True):
                place = _Places(step, origin, True)
                self._add(sentence, place, origin, self._eos, total, FINISHED, score)

    def _add(
        self,
        sentence: int,
        place: _Places,
        origin: int,
        token: int,
        total: float,
        fate: str,
        score: float | None = None,
    ) -> None:
        if total == -float("inf"):
            return
        nodes, places = self._nodes[sentence], self._places[sentence]
        parent = places[_Places(place.step - 1, origin, False)] if place.step else -1
        before = 0.0
        if parent >= 0:
            before = nodes[parent].total
            nodes[parent] = replace(nodes[parent], fate=EXTENDED)
        places[place] = len(nodes)
        nodes.append(Node(place.step, parent, token, total - before, total, fate, score))

    def tree(self, sentence: int, best: Sequence[BackPointer]) -> SearchTree:
        """The tree of a sentence that is done.

        Args:
            sentence: one of those recorded.
            best: its n best hypotheses.
        """
        nodes = list(self._nodes[sentence])
        for rank, one in enumerate(best):
            index = self._places[sentence][_Places(one.step, one.slot, one.finished)]
            fate = FINISHED if one.finished else TRUNCATED
            nodes[index] = replace(nodes[index], fate=fate, rank=rank, score=one.score)
        return SearchTree(tuple(nodes))
