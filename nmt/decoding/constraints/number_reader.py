"""Whole numbers in a text as it grows.

A number is a run of digits, where one separator may stand between two of them: 3, 12,000, 2:30. Letters may
follow it (३००पेक्षा), but no mark and no other kind of digit (3², 3½); no letter, mark, digit or decimal point
comes directly before it. So 3 is in $3 and in 3rd, but not in 13, 3.5, 1,3, .3 or A3.
"""

import unicodedata
from collections.abc import Mapping, Sequence

from nmt.decoding.constraints.characters import EDGE, is_word_character

SEPARATORS = frozenset(".,:/")
OUTSIDE, WORD = "", "w"
_POINT, _OTHER, _SEPARATED = ".", "x", "x."

State = str
"""What a text ends with. A number that is looked for, or the beginning of one, with the separator after it:
these characters. `OUTSIDE`: a number may begin here; `WORD`: it may after an edge; `_POINT`: a decimal point;
`_OTHER`, `_SEPARATED`: another number, without and with a separator."""


class NumberReader:
    """Finds numbers in a text with edges (see `nmt.decoding.constraints.phrase_automaton`).

    Args:
        values: number → what is found with it, one bit each.
    """

    def __init__(self, values: Mapping[str, int]) -> None:
        self._values = values
        self._known = {number[:end] for number in values for end in range(1, len(number) + 1)}
        self._known |= {number + separator for number in values for separator in SEPARATORS}

    def read(self, state: State, text: str) -> tuple[State, int]:
        """The state after more of a text, and what has been found in it: numbers that cannot go on."""
        found = 0
        for character in text:
            following = self._next(state, character)
            if not _is_number(following) and not (state in self._values and _spoils(character)):
                found |= self.unless_it_goes_on(state)
            state = following
        return state, found

    def unless_it_goes_on(self, state: State) -> int:
        """What is found if no digit follows."""
        return self._values.get(state[:-1] if state[-1:] in SEPARATORS else state, 0)

    def _next(self, state: State, character: str) -> State:
        if character == EDGE:
            return OUTSIDE if state == WORD else state
        if character.isdecimal():
            begins = state == OUTSIDE or _is_number(state)
            return state + character if begins and state + character in self._known else _OTHER
        if character in SEPARATORS and _is_number(state) and state[-1] not in SEPARATORS:
            return state + character if state + character in self._known else _SEPARATED
        if is_word_character(character):
            return WORD
        return _POINT if character in (".", ",") else OUTSIDE


def _is_number(state: State) -> bool:
    return state[:1].isdecimal() or state[:1] == _OTHER


def _spoils(character: str) -> bool:
    """Whether a number with this character behind it is another one."""
    return unicodedata.category(character)[0] in "MN"


def reader_of(numbers: Sequence[tuple[int, str]]) -> NumberReader | None:
    """What finds numbers, given with the groups that they are of; None: there are none."""
    values: dict[str, int] = {}
    for group, number in numbers:
        values[number] = values.get(number, 0) | 1 << group
    return NumberReader(values) if values else None
