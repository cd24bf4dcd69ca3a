"""Gender, number and person, and the endings that mark them."""

from dataclasses import dataclass
from typing import NamedTuple

_ENDINGS = ("ा", "ी", "े", "े", "्या", "ी", "्या")
_EYELASH = "्\u200dया"  # the oblique ending after र: the joiner makes the eyelash reph, as in दुसर्‍या


class Agreement(NamedTuple):
    """What verbs and adjectives agree with: gender (m, f, n), number, person (1, 2, 3)."""

    gender: str
    plural: bool = False
    person: int = 3


MASCULINE, NEUTER = Agreement("m"), Agreement("n")


class Forms(NamedTuple):
    """The seven forms of a Marathi word that agrees with its noun."""

    masculine: str
    feminine: str
    neuter: str
    masculine_plural: str
    feminine_plural: str
    neuter_plural: str
    oblique: str

    def agreeing(self, agreement: Agreement, oblique: bool = False) -> str:
        """The form that agrees with a noun of that gender and number, in the direct or oblique case."""
        if oblique:
            return self.oblique
        return self["mfn".index(agreement.gender) + (3 if agreement.plural else 0)]


def declining(stem: str) -> Forms:
    """The forms of a word that declines: चांगल → चांगला, चांगली, चांगले; चांगले, चांगल्या, चांगली; चांगल्या."""
    endings = (_EYELASH if stem.endswith("र") and ending == "्या" else ending for ending in _ENDINGS)
    return Forms(*(stem + ending for ending in endings))


def unchanging(word: str) -> Forms:
    """The forms of a word that does not decline."""
    return Forms(*[word] * 7)


@dataclass(frozen=True)
class Modifier:
    """A determiner, possessor or adjective: English singular and plural templates, and Marathi forms."""

    english: str
    english_plural: str
    forms: Forms
    domain: str = ""  # adjectives: the kinds of noun they can modify


def possessive(english: str, stem: str) -> Modifier:
    """A possessor: its English template, tagged `d`, and its Marathi genitive without the ending."""
    return Modifier(english, english, declining(stem))


NOTHING = unchanging("")
BARE = Modifier("", "", NOTHING)
THE = Modifier("the", "the", NOTHING)
A = Modifier("a", "", NOTHING)
THIS = Modifier("this/d", "these/d", Forms("हा", "ही", "हे", "हे", "या", "ही", "या"))
THAT = Modifier("that/d", "those/d", Forms("तो", "ती", "ते", "ते", "त्या", "ती", "त्या"))
FIRST = Modifier("the first/d", "the first/d", declining("पहिल"))
SECOND = Modifier("the second/d", "the second/d", declining("दुसर"))
THIRD = Modifier("the third/d", "the third/d", declining("तिसर"))
NUMBERS = tuple(
    Modifier("", f"{english}/d", unchanging(marathi))
    for english, marathi in (
        ("two", "दोन"),
        ("three", "तीन"),
        ("four", "चार"),
        ("five", "पाच"),
        ("ten", "दहा"),
    )
)
