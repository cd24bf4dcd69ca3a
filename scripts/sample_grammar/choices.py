"""Seeded random choices that use every option about equally often, and choices shared by several patterns."""

import random
from collections.abc import Hashable, Sequence
from typing import TypeVar

from sample_grammar.agreement import BARE, FIRST, NUMBERS, SECOND, THAT, THE, THIRD, THIS, A, Modifier
from sample_grammar.clauses import ASKED, NEGATED, PLAIN
from sample_grammar.lexicon import NAMES, POSSESSIVES, PRONOUNS, TIMES, suiting
from sample_grammar.nominals import Nominal, noun_phrase, of_name, of_noun, of_pronoun
from sample_grammar.nouns import Noun, nouns, of_kind
from sample_grammar.phrases import EMPTY, Phrase
from sample_grammar.verbs import MOMENTARY, Verb

T = TypeVar("T", bound=Hashable)

PEOPLE = of_kind("h")
_OWNED = nouns("friend teacher brother sister mother grandmother aunt")
_SEVERAL = tuple(noun for noun in PEOPLE if noun.countable)
_OWNERS = tuple(noun for noun in PEOPLE if noun not in _OWNED)


class Chooser:
    """Choices from a seed: each list of options is drawn like a shuffled deck, then reshuffled."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._decks: dict[tuple[Hashable, ...], list[int]] = {}

    def below(self, limit: int) -> int:
        """A random integer from 0 to limit - 1."""
        return int(self._random.random() * limit)  # the only method that is stable across Python versions

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`, without repeats until all have been drawn."""
        deck = self._decks.setdefault(tuple(options), [])
        if not deck:
            deck.extend(range(len(options)))
            for last in range(len(deck) - 1, 0, -1):
                other = self.below(last + 1)
                deck[last], deck[other] = deck[other], deck[last]
        return options[deck.pop()]

    def chance(self, percent: int) -> bool:
        """True with a probability of `percent` / 100."""
        return self.below(100) < percent


def mood(choose: Chooser) -> str:
    """A mood: plain twice as often as negated or interrogative."""
    return choose.pick((PLAIN, PLAIN, NEGATED, ASKED))


def quality(choose: Chooser, noun: Noun, percent: int = 30) -> Modifier | None:
    """An adjective that suits the noun with a probability of `percent` / 100, otherwise None."""
    options = suiting(noun.kinds)
    return choose.pick(options) if options and choose.chance(percent) else None


def person(choose: Chooser) -> Nominal:
    """A person: a name, a pronoun or a noun."""
    kind = choose.pick(("name", "name", "name", "pronoun", "pronoun", "pronoun", "noun", "noun"))
    if kind == "name":
        return of_name(choose.pick(NAMES))
    if kind == "pronoun":
        return of_pronoun(choose.pick(PRONOUNS))
    return some_noun(choose, choose.pick(PEOPLE))


def other_person(choose: Chooser, subject: Nominal) -> Nominal:
    """A person other than the subject, by name or noun."""
    while True:
        if choose.pick(("name", "name", "noun")) == "name":
            other = of_name(choose.pick(NAMES))
        else:
            other = some_noun(choose, choose.pick((*PEOPLE, *of_kind("i"))), subject=subject)
        if other.direct.english[-1] != subject.direct.english[-1]:
            return other


def owner(choose: Chooser, subject: Nominal | None = None) -> Modifier:
    """A possessor other than the subject, for which Marathi would use आपला."""
    kind = choose.pick(("name", "name", "name", "pronoun", "pronoun", "pronoun", "noun"))
    if kind == "pronoun" and subject is not None:
        return choose.pick(POSSESSIVES[:3] if subject.agreement.person == 3 else POSSESSIVES[3:])
    if kind == "pronoun":
        return choose.pick(POSSESSIVES)
    while True:
        modifier = of_name(choose.pick(NAMES)).owner
        if kind == "noun":
            modifier = of_noun(choose.pick(_OWNERS), False, THE).owner
        if subject is None or modifier != subject.owner:
            return modifier


def some_noun(
    choose: Chooser, noun: Noun, *, subject: Nominal | None = None, adjectives: int = 20, plurals: int = 35
) -> Nominal:
    """A definite noun phrase; relatives and friends have a possessor other than the subject.

    `adjectives` and `plurals` are the percentages of phrases with an adjective and in the plural.
    """
    plural = noun.countable and choose.chance(plurals)
    if noun in _OWNED:
        return of_noun(noun, plural, owner(choose, subject))
    if "m" in noun.kinds:
        determiner = choose.pick((THE, THIS))
    elif plural:
        determiner = choose.pick((THE, THE, THIS, THAT))
    else:
        determiner = choose.pick((THE, THE, THE, THIS, THAT, FIRST, SECOND, THIRD))
    return of_noun(noun, plural, determiner, quality(choose, noun, adjectives))


def actor(choose: Chooser, verb: Verb, tense: str) -> Nominal:
    """A subject, chosen so that each tense of the verb occurs with every person and number."""
    persons = ("I", "we", "you", "many", "one", "one", "one", "one")
    _, _, kind = choose.pick(tuple((verb.base, tense, person) for person in persons))
    if kind in persons[:3]:
        return of_pronoun(PRONOUNS[persons.index(kind)])
    if kind == "many":
        if choose.chance(40):
            return of_pronoun(PRONOUNS[5])
        return some_noun(choose, choose.pick(_SEVERAL), plurals=100)
    form = choose.pick(("name", "name", "name", "name", "noun", "noun", "pronoun"))
    if form == "name":
        return of_name(choose.pick(NAMES))
    if form == "pronoun":
        return of_pronoun(choose.pick(PRONOUNS[3:5]))
    return some_noun(choose, choose.pick(PEOPLE), plurals=0)


def _determiner(choose: Chooser, noun: Noun, plural: bool, subject: Nominal | None) -> Modifier:
    """Any determiner that the noun allows."""
    kind = choose.pick(("open", "the", "this", "that", "own", "own" if "W" not in noun.kinds else "the"))
    if kind == "own" and "W" not in noun.kinds:
        return owner(choose, subject)
    if kind == "open" and plural:
        return choose.pick((BARE, *NUMBERS[:2]))
    if kind == "open":
        return A if noun.countable else BARE
    return {"this": THIS, "that": THAT}.get(kind, THE)


def object_phrase(choose: Chooser, noun: Noun, subject: Nominal | None = None) -> tuple[Phrase, bool]:
    """A noun phrase in the direct case, not owned by `subject`, and whether it is plural."""
    plural = noun.countable and choose.chance(35)
    determiner = _determiner(choose, noun, plural, subject)
    return noun_phrase(noun, plural, determiner, quality(choose, noun)), plural


def indefinite(
    choose: Chooser, noun: Noun, numbers: tuple[Modifier, ...] = NUMBERS, plurals: int = 45
) -> tuple[Phrase, bool]:
    """An indefinite phrase (`a new book`, `two books`), and whether it is plural."""
    plural = noun.countable and choose.chance(plurals)
    determiner = choose.pick(numbers) if plural else A if noun.countable else BARE
    return noun_phrase(noun, plural, determiner, quality(choose, noun, 45)), plural


def tense_of(choose: Chooser, verb: Verb) -> str:
    """A tense that the verb allows; the progressive, which has only one form, less often."""
    tenses: tuple[str, ...] = ("habitual", "habitual", "past", "past", "future", "future")
    if verb.base not in MOMENTARY:
        tenses += ("progressive",)
    return choose.pick(tuple((verb.base, tense) for tense in tenses))[1]


def mood_of(choose: Chooser, tense: str, subject: Nominal) -> str:
    """A mood that the tense allows with this subject."""
    if tense in ("progressive", "past") and subject.is_we_or_you:
        return choose.pick((PLAIN, PLAIN, ASKED))
    return mood(choose)


def time(choose: Chooser, tense: str, percent: int = 35) -> Phrase:
    """A time expression, or nothing."""
    return choose.pick(TIMES[tense]) if choose.chance(percent) else EMPTY


def time_of(choose: Chooser, verb: Verb, tense: str, subject: Nominal) -> Phrase:
    """A time expression, or nothing; always one if English past and present look the same (`they cut`)."""
    unclear = tense == "past" and verb.base == verb.english_past and not subject.third_singular
    return time(choose, tense, 100 if unclear else 35)
