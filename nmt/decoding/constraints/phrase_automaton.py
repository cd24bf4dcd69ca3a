"""Finds many phrases in a text as it grows: the automaton of Aho and Corasick (1975), Efficient string
matching.

So that a phrase is found as whole words, the text is read with a symbol, `EDGE`, wherever a word may begin or
end, and a phrase has one at its beginning and end. Then a phrase is found as any other string.
"""

from collections.abc import Sequence

from nmt.data.text import clean
from nmt.decoding.constraints.characters import EDGE, is_word_character, with_edges

START, END = "\ud801", "\ud802"  # surrogates, which no decoded text has
ROOT = 0
OPEN = "*"


def pattern(phrase: str) -> str:
    """A cleaned phrase as it is found in a text with edges; an asterisk at its end leaves its end open.

    Args:
        phrase: with a character other than the asterisk.
    """
    text = bare(phrase)
    ends = is_open(phrase) or not is_word_character(text[-1])  # or else there is an edge whatever follows
    return EDGE + with_edges(text) + ("" if ends else EDGE)


def bare(phrase: str) -> str:
    """A phrase without the asterisk."""
    return phrase[:-1].rstrip() if is_open(phrase) else phrase


def is_open(phrase: str) -> bool:
    """Whether a phrase may go on inside a word."""
    return len(phrase) > 1 and phrase.endswith(OPEN) and clean(phrase[:-1]) != ""


def without_edges(string: str) -> str:
    """The characters of a string that are text."""
    return "".join(character for character in string if character not in (EDGE, START, END))


class PhraseAutomaton:
    """Finds strings in a text that is read character by character.

    A node is the longest end of the text that begins one of the strings; `ROOT` is the empty one.

    Args:
        strings: not empty.

    Attributes:
        found: node → the indices of the strings that end there.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = tuple(strings)
        self._next: list[dict[str, int]] = [{}]
        self._depths, self._through = (
            [0],
            [""],
        )  # of each node: its length, and the strings that begin with it
        for index, string in enumerate(strings):
            node = ROOT
            for depth, character in enumerate(string, 1):
                if character not in self._next[node]:
                    self._next[node][character] = len(self._next)
                    self._next.append({})
                    self._depths.append(depth)
                    self._through.append("")
                node = self._next[node][character]
                self._through[node] += chr(index)
        self._fallback = [ROOT] * len(self._next)
        self._partial: dict[int, tuple[tuple[int, int], ...]] = {}
        self._link()

    def _link(self) -> None:
        """Set where to go on from each node, in breadth-first order, and what is found there."""
        self.found: list[tuple[int, ...]] = [()] * len(self._next)
        queue = [ROOT]
        for node in queue:
            if node != ROOT:
                own = map(ord, self._through[node])
                complete = [index for index in own if len(self.strings[index]) == self._depths[node]]
                self.found[node] = (*complete, *self.found[self._fallback[node]])
            for character, child in self._next[node].items():
                if node != ROOT:
                    self._fallback[child] = self._step(self._fallback[node], character)
                queue.append(child)

    def partial(self, node: int) -> tuple[tuple[int, int], ...]:
        """The strings that have begun at a node, longest beginning first: index and how many characters."""
        if node not in self._partial:
            found, last = [], node
            while last != ROOT:
                depth = self._depths[last]
                found += [(i, depth) for i in map(ord, self._through[last]) if depth < len(self.strings[i])]
                last = self._fallback[last]
            self._partial[node] = tuple(found)
        return self._partial[node]

    def _step(self, node: int, character: str) -> int:
        while character not in self._next[node]:
            if node == ROOT:
                return ROOT
            node = self._fallback[node]
        return self._next[node][character]

    def start(self) -> int:
        """The node at the beginning of a text."""
        return self._step(ROOT, START)

    def read(self, node: int, text: str) -> tuple[int, tuple[int, ...]]:
        """The node after more of a text, with its edges, and the strings that are found in it."""
        found: tuple[int, ...] = ()
        for character in text:
            node = self._step(node, character)
            if self.found[node]:
                found += self.found[node]
        return node, found

    def begins_nothing(self, node: int) -> bool:
        """Whether no character of a string is at the end of the text, but for an edge."""
        return all(length == 1 and self.strings[index][0] == EDGE for index, length in self.partial(node))
