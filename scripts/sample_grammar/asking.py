"""Patterns with question words: काय, कोण, कुठे, केव्हा, कोणाचा. The Marathi word comes before the verb."""

from sample_grammar.agreement import MASCULINE, NEUTER, THAT, THIS, declining
from sample_grammar.choices import (
    Chooser,
    object_phrase,
    owner,
    person,
    some_noun,
    time,
)
from sample_grammar.clauses import PLAIN, TENSES, WH, copula, english_be, verb_group
from sample_grammar.nominals import agreement_of, noun_phrase, of_noun
from sample_grammar.nouns import of_kind
from sample_grammar.phrases import Phrase, sentence
from sample_grammar.places import place_of_thing, somewhere, way
from sample_grammar.verbs import COME, GO, LIVE, MOMENTARY, STAYING, TRANSITIVE, Verb

_WHOSE = declining("कोणाच")
_OWNABLE = tuple(noun for noun in of_kind("t", "a", "p", "q") if "W" not in noun.kinds)


def where_is(choose: Chooser) -> Phrase:
    """Where is Rahul?"""
    subject = some_noun(choose, choose.pick(of_kind("t", "a", "p"))) if choose.chance(60) else person(choose)
    group = copula(subject.agreement, choose.chance(30), WH)
    return sentence(f"where/w {group.auxiliary} {{s}} ?", f"{{s}} कुठे/w {group.marathi}", s=subject.direct)


def who_is(choose: Chooser) -> Phrase:
    """Who is that boy?"""
    noun, plural = choose.pick(of_kind("h")), choose.chance(35)
    determiner = choose.pick((THIS, THAT)) if choose.chance(65) else owner(choose)
    subject = of_noun(noun, plural and noun.countable, determiner)
    group = copula(subject.agreement, choose.chance(30), WH)
    return sentence(f"who/w {group.auxiliary} {{s}} ?", f"{{s}} कोण/w {group.marathi}", s=subject.direct)


def who_is_where(choose: Chooser) -> Phrase:
    """What is in the box? Who is in the house?"""
    thing = choose.chance(50)
    english, marathi = ("what", "काय") if thing else ("who", "कोण")
    group = copula(NEUTER if thing else MASCULINE, choose.chance(30), WH)
    where = place_of_thing(choose) if thing else somewhere(choose)
    return sentence(f"{english}/w {group.auxiliary} {{p}} ?", f"{{p}} {marathi}/w {group.marathi}", p=where)


def _tense(choose: Chooser, verb: Verb) -> str:
    return choose.pick(tuple(t for t in TENSES if t != "progressive" or verb.base not in MOMENTARY))


def what(choose: Chooser) -> Phrase:
    """What is Rahul eating?"""
    verb, subject = choose.pick(TRANSITIVE), person(choose)
    tense = _tense(choose, verb)
    group = verb_group(verb, tense, WH, subject.agreement, NEUTER)
    return sentence(
        f"what/w {group.auxiliary} {{s}} {group.rest} {{t}} ?",
        f"{{s}} {{t}} काय/w {group.marathi}",
        s=subject.ergative if tense == "past" else subject.direct,
        t=time(choose, tense),
    )


def who(choose: Chooser) -> Phrase:
    """Who ate the mango?"""
    verb = choose.pick(TRANSITIVE)
    noun, tense = choose.pick(verb.objects), _tense(choose, verb)
    thing, plural = object_phrase(choose, noun)
    group = verb_group(verb, tense, PLAIN, MASCULINE, agreement_of(noun, plural))
    return sentence(
        f"who/w {group.auxiliary} {group.rest} {{o}} {{t}} ?",
        f"{{t}} {{o}} {'कोणी' if tense == 'past' else 'कोण'}/w {group.marathi}",
        o=thing,
        t=time(choose, tense),
    )


def when(choose: Chooser) -> Phrase:
    """When will Rahul go to the market?"""
    verb, subject = choose.pick((GO, COME)), person(choose)
    tense = choose.pick(("habitual", "past", "future"))
    group = verb_group(verb, tense, WH, subject.agreement, subject.agreement)
    return sentence(
        f"when/w {group.auxiliary} {{s}} {group.rest} {{p}} ?",
        f"{{s}} {{p}} केव्हा/w {group.marathi}",
        s=subject.direct,
        p=way(choose, subject),
    )


def where(choose: Chooser) -> Phrase:
    """Where did Rahul go?"""
    verb, subject = choose.pick((GO, LIVE, *STAYING)), person(choose)
    tense = _tense(choose, verb)
    group = verb_group(verb, tense, WH, subject.agreement, subject.agreement)
    return sentence(
        f"where/w {group.auxiliary} {{s}} {group.rest} {{t}} ?",
        f"{{s}} {{t}} कुठे/w {group.marathi}",
        s=subject.direct,
        t=time(choose, tense),
    )


def whose(choose: Chooser) -> Phrase:
    """Whose book is this?"""
    noun = choose.pick(_OWNABLE)
    plural, pointer = choose.chance(40), choose.pick((THIS, THAT))
    agreement = agreement_of(noun, plural)
    pointing = pointer.english_plural if plural else pointer.english
    return sentence(
        f"whose/w {{x}} {english_be(agreement, False)}/a {pointing} ?",
        f"{pointer.forms.agreeing(agreement)}/d {_WHOSE.agreeing(agreement)}/w {{x}} "
        f"{copula(agreement, False, WH).marathi}",
        x=noun_phrase(noun, plural),
    )
