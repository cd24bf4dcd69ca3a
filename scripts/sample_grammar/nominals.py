"""Noun phrases: determiner, adjective and noun in agreement, subjects and objects in their cases."""

from dataclasses import dataclass

from sample_grammar.agreement import BARE, Agreement, Modifier, possessive
from sample_grammar.lexicon import Name, Pronoun
from sample_grammar.nouns import Noun
from sample_grammar.phrases import Phrase, build

_PLURAL_ENDINGS = {"ने": "नी", "ला": "ना"}


def with_article(english: str) -> str:
    """Turn `a` into `an` where the next word begins with a vowel (or with the h of honest)."""
    first, _, rest = english.partition(" ")
    return f"an {rest}" if first == "a" and rest.startswith((*"aeiou", "honest")) else english


def agreement_of(noun: Noun, plural: bool) -> Agreement:
    """The agreement features of the noun, for verbs and adjectives."""
    return Agreement(noun.gender, plural)


def noun_phrase(
    noun: Noun,
    plural: bool = False,
    determiner: Modifier = BARE,
    adjective: Modifier | None = None,
    ending: str = "",
) -> Phrase:
    """A noun with its modifiers: in the direct case, or in the oblique with a case ending or postposition.

    The noun is the last word on each side.
    """
    agreement, oblique = agreement_of(noun, plural), bool(ending)
    modifiers = [determiner, *([adjective] if adjective else [])]
    english = [modifier.english_plural if plural else modifier.english for modifier in modifiers]
    english.append((noun.english_plural if plural else noun.english) + "/h")
    marathi = []
    for modifier, tag in zip(modifiers, "dj", strict=False):
        form = modifier.forms.agreeing(agreement, oblique)
        if form:
            marathi.append(f"{form}/{tag}")
    if oblique:
        stem = noun.oblique_plural if plural else noun.oblique
        marathi.append(stem + (_PLURAL_ENDINGS.get(ending, ending) if plural else ending) + "/h")
    else:
        marathi.append((noun.direct_plural if plural else noun.direct) + "/h")
    return build(with_article(" ".join(word for word in english if word)), " ".join(marathi))


@dataclass(frozen=True)
class Nominal:
    """A person or thing in every case that a sentence may need, with its agreement features.

    `ergative` ends in -ने, `dative` in -ला, `having` in -कडे; `owner` is the possessive (his, Rahul's).
    """

    agreement: Agreement
    direct: Phrase
    ergative: Phrase
    dative: Phrase
    object: Phrase
    having: Phrase
    owner: Modifier

    @property
    def third_singular(self) -> bool:
        """Whether this is third person singular."""
        return self.agreement.person == 3 and not self.agreement.plural

    @property
    def is_we_or_you(self) -> bool:
        """Whether this is `we` or `you`, whose negated progressive and past vary in Marathi."""
        return self.agreement.person < 3 and self.agreement.plural


def of_name(name: Name) -> Nominal:
    """A person by name; names take endings unchanged."""
    direct, ergative, dative, having = (
        build(f"{name.english}/h", f"{name.marathi}{ending}/h") for ending in ("", "ने", "ला", "कडे")
    )
    owner = possessive(f"{name.english}'s/d", f"{name.marathi}च")
    return Nominal(Agreement(name.gender), direct, ergative, dative, dative, having, owner)


def of_pronoun(pronoun: Pronoun) -> Nominal:
    """A personal pronoun."""
    english = f"{pronoun.english}/h"
    return Nominal(
        pronoun.agreement,
        build(english, f"{pronoun.direct}/h"),
        build(english, f"{pronoun.ergative}/h"),
        build(english, f"{pronoun.dative}/h"),
        build(f"{pronoun.english_object}/h", f"{pronoun.dative}/h"),
        build(english, f"{pronoun.genitive}्याकडे/h"),
        possessive(f"{pronoun.english_possessive}/d", pronoun.genitive),
    )


def of_noun(noun: Noun, plural: bool, determiner: Modifier, adjective: Modifier | None = None) -> Nominal:
    """A noun phrase in all its cases; as an owner it is singular, with `the`."""
    direct, ergative, dative, having = (
        noun_phrase(noun, plural, determiner, adjective, ending) for ending in ("", "ने", "ला", "कडे")
    )
    owner = possessive(f"the {noun.english}'s/d", f"{noun.oblique}च")
    return Nominal(agreement_of(noun, plural), direct, ergative, dative, dative, having, owner)
