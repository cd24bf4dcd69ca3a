"""Verb groups: tense, questions and negation, with agreement.

Tags: `v` verb, `a` auxiliary, `n` negation, `q` question marker. Do-support is linked to what it supports:
in a negated sentence to the negation (did not ↔ नाही), in a yes/no question to का; in a wh-question it is
unaligned.
"""

from typing import NamedTuple

from sample_grammar.agreement import Agreement, declining
from sample_grammar.verbs import Verb

PLAIN, NEGATED, ASKED, WH = "plain", "negated", "asked", "wh"
TENSES = ("habitual", "progressive", "past", "future")
_WAS, _WAS_NOT = declining("होत"), declining("नव्हत")


class Group(NamedTuple):
    """Templates: English auxiliary (may be empty), rest of the English verb group, Marathi verb group."""

    auxiliary: str
    rest: str
    marathi: str


def _person(agreement: Agreement) -> int:
    """Index of the person: I, he or she, we, you, they are 0 to 4."""
    if agreement.person == 1:
        return 2 if agreement.plural else 0
    if agreement.person == 2:
        return 3
    return 4 if agreement.plural else 1


def english_be(agreement: Agreement, past: bool) -> str:
    """am, is or are; was or were."""
    person = _person(agreement)
    if past:
        return "was" if person < 2 else "were"
    return ("am", "is", "are", "are", "are")[person]


def marathi_be(agreement: Agreement) -> str:
    """The present of असणे."""
    return ("आहे", "आहे", "आहोत", "आहात", "आहेत")[_person(agreement)]


def marathi_not(agreement: Agreement) -> str:
    """नाही, or नाहीत in the plural."""
    return "नाहीत" if _person(agreement) == 4 else "नाही"


def marathi_was(agreement: Agreement, negated: bool = False) -> str:
    """The past of असणे, and of its negation."""
    if agreement.person == 1:
        return "नव्हतो" if negated else "होतो"
    if agreement.person == 2:
        return "नव्हता" if negated else "होता"
    return (_WAS_NOT if negated else _WAS).agreeing(agreement)


def future_be(agreement: Agreement) -> Group:
    """`will be`, for the location of somebody or something."""
    marathi = ("असेन", "असेल", "असू", "असाल", "असतील")[_person(agreement)]
    return Group("will/b", "be/b", f"{marathi}/b")


def english_do(agreement: Agreement, past: bool) -> str:
    """do, does or did."""
    return "did" if past else "does" if _person(agreement) == 1 else "do"


def copula(agreement: Agreement, past: bool, mood: str) -> Group:
    """`be` as the main verb."""
    be = english_be(agreement, past)
    if mood == NEGATED:
        marathi = marathi_was(agreement, negated=True) if past else marathi_not(agreement)
        return Group(f"{be}/n", "not/n", f"{marathi}/n")
    marathi = marathi_was(agreement) if past else marathi_be(agreement)
    if mood == ASKED:
        return Group(f"{be}/aq", "", f"{marathi}/a का/q")
    return Group(f"{be}/a", "", f"{marathi}/a")


def _habitual(verb: Verb, agreement: Agreement) -> str:
    feminine = agreement.gender != "m"
    endings = ("तो", "ते" if feminine else "तो", "तो", "ता", "तात")
    return verb.habitual + endings[_person(agreement)]


def _past(verb: Verb, agreement: Agreement) -> str:
    if agreement.person < 3:
        return verb.past + ("ो" if agreement.person == 1 else "ात")
    return declining(verb.past).agreeing(agreement)


def _progressive(agreement: Agreement, mood: str) -> Group:
    """The auxiliary of the progressive; negated with नाहीये or its plural."""
    be = english_be(agreement, past=False)
    if mood == NEGATED:
        assert agreement.person == 3 or not agreement.plural, "we and you are not negated here"
        return Group(f"{be}/n", "not/n", ("नाहीयेत" if agreement.plural else "नाहीये") + "/n")
    tags = "aq" if mood == ASKED else "a"
    return Group(f"{be}/{tags}", "", f"{marathi_be(agreement)}/a")


def _do(verb: Verb, agreement: Agreement, past: bool, mood: str) -> tuple[str, str]:
    """The English auxiliary and main verb of the habitual and the past."""
    if mood == PLAIN:
        english = verb.english_past if past else verb.third if _person(agreement) == 1 else verb.base
        return "", f"{english}/v"
    do = english_do(agreement, past)
    if mood == NEGATED:
        return f"{do}/n", f"not/n {verb.base}/v"
    return f"{do}/q", f"{verb.base}/v"


def verb_group(verb: Verb, tense: str, mood: str, subject: Agreement, past_agrees_with: Agreement) -> Group:
    """The verb group; the transitive past agrees with the object, everything else with the subject."""
    agreement = past_agrees_with if tense == "past" else subject
    ask = " का/q" if mood == ASKED else ""
    fixed = f"{verb.fixed}/v " if verb.fixed else ""
    if tense == "progressive":
        auxiliary, rest, marathi = _progressive(subject, mood)
        return Group(auxiliary, f"{rest} {verb.ing}/v", f"{fixed}{verb.imperfect}/v {marathi}{ask}")
    if tense == "future":
        if mood == NEGATED:
            marathi = f"{fixed}{verb.prospective}/vf {marathi_not(subject)}/n"
            return Group("will/f", f"not/n {verb.base}/v", marathi)
        tags = "vq" if mood == ASKED else "v"
        return Group(f"will/{tags}", f"{verb.base}/v", f"{fixed}{verb.future[_person(subject)]}/v{ask}")
    auxiliary, rest = _do(verb, subject, tense == "past", mood)
    if tense == "past":
        marathi = _past(verb, agreement)
    else:
        marathi = verb.imperfect if mood == NEGATED else _habitual(verb, subject)
    negation = f" {marathi_not(agreement)}/n" if mood == NEGATED else ""
    return Group(auxiliary, rest, f"{fixed}{marathi}/v{negation}{ask}")
