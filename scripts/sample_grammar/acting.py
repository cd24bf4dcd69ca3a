"""Patterns with full verbs: who does what, to whom, where and when."""

from sample_grammar.agreement import NEUTER
from sample_grammar.choices import (
    Chooser,
    actor,
    mood_of,
    object_phrase,
    other_person,
    some_noun,
    tense_of,
    time_of,
)
from sample_grammar.clauses import verb_group
from sample_grammar.describing import statement
from sample_grammar.nominals import Nominal, agreement_of
from sample_grammar.nouns import nouns, of_kind
from sample_grammar.phrases import EMPTY, Phrase
from sample_grammar.places import inside, place_of_thing, seat, somewhere, way
from sample_grammar.verbs import (
    CALL,
    COME,
    DRINK,
    EAT,
    GIVING,
    GO,
    KEEP,
    LIVE,
    MEET,
    PLAY,
    SEE,
    SIT,
    SLEEP,
    STAYING,
    TRANSITIVE,
)

_TO_EAT = nouns("banana apple chapati potato egg rice")
_OF_ALL = (SLEEP, SIT, PLAY)  # verbs that animals and babies can have as subjects too


def _doer(subject: Nominal, tense: str) -> Phrase:
    """The subject of a transitive verb: ergative in the past."""
    return subject.ergative if tense == "past" else subject.direct


def doing(choose: Chooser) -> Phrase:
    """Rahul ate the mango yesterday."""
    verb = choose.pick(TRANSITIVE)
    tense = tense_of(choose, verb)
    subject, noun = actor(choose, verb, tense), choose.pick(verb.objects)
    if verb in (EAT, DRINK) and choose.chance(35):
        subject = some_noun(choose, choose.pick(of_kind("a", "i")))
        noun = choose.pick(_TO_EAT if verb == EAT else nouns("water milk"))
    what, plural = object_phrase(choose, noun, subject)
    how = mood_of(choose, tense, subject)
    group = verb_group(verb, tense, how, subject.agreement, agreement_of(noun, plural))
    when = time_of(choose, verb, tense, subject)
    return statement(group, how, _doer(subject, tense), "{o} {t}", "{t} {o}", o=what, t=when)


def giving(choose: Chooser) -> Phrase:
    """Rahul gave the book to Sita; Rahul told Sita a story."""
    verb = choose.pick(GIVING)
    tense = tense_of(choose, verb)
    subject = actor(choose, verb, tense)
    other = other_person(choose, subject)
    noun = choose.pick(verb.objects)
    what, plural = object_phrase(choose, noun, subject)
    how = mood_of(choose, tense, subject)
    group = verb_group(verb, tense, how, subject.agreement, agreement_of(noun, plural))
    when = time_of(choose, verb, tense, subject)
    english = "{r} {o} {t}" if verb.base in ("tell", "ask") else "{o} to/r {r} {t}"
    return statement(
        group, how, _doer(subject, tense), english, "{t} {r}/r {o}", o=what, r=other.object, t=when
    )


def keeping(choose: Chooser) -> Phrase:
    """Sita kept the book on the table."""
    tense = tense_of(choose, KEEP)
    subject, noun = actor(choose, KEEP, tense), choose.pick(KEEP.objects)
    what, plural = object_phrase(choose, noun, subject)
    how = mood_of(choose, tense, subject)
    group = verb_group(KEEP, tense, how, subject.agreement, agreement_of(noun, plural))
    where = place_of_thing(choose, noun, subject)
    return statement(group, how, _doer(subject, tense), "{o} {p}", "{o} {p}", o=what, p=where)


def meeting(choose: Chooser) -> Phrase:
    """Rahul saw Sita: the object takes -ला, so the past is neuter; the past of `meet` is not ergative."""
    verb = choose.pick((CALL, SEE, MEET))
    tense = tense_of(choose, verb)
    subject = actor(choose, verb, tense)
    other = other_person(choose, subject)
    how = mood_of(choose, tense, subject)
    group = verb_group(verb, tense, how, subject.agreement, subject.agreement if verb == MEET else NEUTER)
    doer = subject.direct if verb == MEET else _doer(subject, tense)
    when = time_of(choose, verb, tense, subject)
    return statement(group, how, doer, "{r} {t}", "{t} {r}", r=other.object, t=when)


def moving(choose: Chooser) -> Phrase:
    """Rahul goes to school every day."""
    verb = choose.pick((GO, COME))
    tense = tense_of(choose, verb)
    subject = actor(choose, verb, tense)
    how = mood_of(choose, tense, subject)
    group = verb_group(verb, tense, how, subject.agreement, subject.agreement)
    when = time_of(choose, verb, tense, subject)
    return statement(group, how, subject.direct, "{p} {t}", "{t} {p}", p=way(choose, subject), t=when)


def staying(choose: Chooser) -> Phrase:
    """The boys play in the garden."""
    verb = choose.pick((*STAYING, LIVE))
    tense = tense_of(choose, verb)
    if verb in _OF_ALL and choose.chance(35):
        subject = some_noun(choose, choose.pick(of_kind("a", "i")))
    else:
        subject = actor(choose, verb, tense)
    how = mood_of(choose, tense, subject)
    group = verb_group(verb, tense, how, subject.agreement, subject.agreement)
    if verb == LIVE:
        where, when = inside(choose, subject), EMPTY
    else:
        seated = verb == SIT and choose.chance(40)
        where = seat(choose) if seated else somewhere(choose, subject)
        when = time_of(choose, verb, tense, subject)
    return statement(group, how, subject.direct, "{p} {t}", "{t} {p}", p=where, t=when)
