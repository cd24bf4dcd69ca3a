"""Patterns with `be`: what something is like, who or what it is, where it is."""

from sample_grammar.agreement import BARE, THAT, THE, THIS, A, declining
from sample_grammar.choices import Chooser, indefinite, mood, owner, person, quality, some_noun, time
from sample_grammar.clauses import ASKED, PLAIN, Group, copula, english_be, future_be
from sample_grammar.lexicon import MEN, NAMES, PRONOUNS, suiting
from sample_grammar.nominals import agreement_of, noun_phrase, of_name, of_pronoun
from sample_grammar.nouns import NOUNS, nouns, of_kind
from sample_grammar.phrases import Phrase, build, sentence
from sample_grammar.places import place_of_thing, somewhere

_MALE_ROLES = nouns("boy teacher doctor farmer student king")
_FEMALE_ROLES = nouns("girl woman queen")
_MALE_OWNED, _FEMALE_OWNED = nouns("friend teacher brother doctor"), nouns("sister aunt")
_WHOLES, _PARTS = nouns("house room school temple palace shop library hospital"), nouns("door window wall")
_GENITIVE = declining("च")


def statement(
    group: Group, how: str, subject: Phrase, english: str, marathi: str, ending: str = "", **parts: Phrase
) -> Phrase:
    """A clause, from what follows the English verb and what comes between Marathi subject and verb.

    `ending` is a tag for the Marathi subject's last word.
    """
    if how == ASKED:
        order = f"{group.auxiliary} {{s}} {group.rest} {english} ?"
    else:
        order = f"{{s}} {group.auxiliary} {group.rest} {english} ."
    return sentence(order, f"{{s}}/{ending} {marathi} {group.marathi}", s=subject, **parts)


def adjective(choose: Chooser) -> Phrase:
    """The house is big."""
    if choose.chance(65):
        noun = choose.pick(NOUNS)
        subject, kinds = some_noun(choose, noun, adjectives=0), noun.kinds
    else:
        subject = of_name(choose.pick(NAMES)) if choose.chance(60) else of_pronoun(choose.pick(PRONOUNS))
        kinds = "h"
    how, past = mood(choose), choose.chance(30)
    word = choose.pick(suiting(kinds))
    form = word.forms.agreeing(subject.agreement)
    predicate = build(word.english, f"{form}/j")
    if how == PLAIN and choose.chance(35):
        predicate = build(f"very/e {word.english}", f"खूप/e {form}/j")
    group = copula(subject.agreement, past, how)
    return statement(group, how, subject.direct, "{x}", "{x}", x=predicate)


def role(choose: Chooser) -> Phrase:
    """Rahul is a good boy; he is my friend."""
    if choose.chance(70):
        name = choose.pick(NAMES)
        subject, male = of_name(name), name in MEN
    else:
        subject = of_pronoun(choose.pick(PRONOUNS))
        male = subject.agreement.gender == "m"
    if choose.chance(35):
        noun, determiner = choose.pick(_MALE_OWNED if male else _FEMALE_OWNED), owner(choose, subject)
        word = quality(choose, noun)
    else:
        noun, determiner = choose.pick(_MALE_ROLES if male else _FEMALE_ROLES), A
        word = quality(choose, noun, 85)
    how, past = mood(choose), choose.chance(25)
    predicate = noun_phrase(noun, subject.agreement.plural, determiner, word)
    return statement(copula(subject.agreement, past, how), how, subject.direct, "{x}", "{x}", x=predicate)


def identity(choose: Chooser) -> Phrase:
    """This is my book."""
    noun = choose.pick(of_kind("t", "q", "a", "r", "o", "p", "y", "l", "w"))
    plural, pointer = choose.chance(40), choose.pick((THIS, THAT))
    agreement = agreement_of(noun, plural)
    owned = "W" not in noun.kinds and choose.chance(70)
    determiner = owner(choose) if owned else BARE if plural else A
    pointing = pointer.english_plural if plural else pointer.english
    subject = build(pointing, f"{pointer.forms.agreeing(agreement)}/d")
    how = mood(choose)
    predicate = noun_phrase(noun, plural, determiner, quality(choose, noun, 40))
    return statement(copula(agreement, False, how), how, subject, "{x}", "{x}", x=predicate)


def part(choose: Chooser) -> Phrase:
    """The door of the house is red."""
    whole, piece, plural = choose.pick(_WHOLES), choose.pick(_PARTS), choose.chance(35)
    agreement = agreement_of(piece, plural)
    kind = choose.pick(("the", "this", "that", "own"))
    if kind == "own" and "W" not in whole.kinds:
        determiner = owner(choose)
    else:
        determiner = {"this": THIS, "that": THAT}.get(kind, THE)
    subject = build(
        f"the {piece.english_plural if plural else piece.english}/h of/g {{whole}}",
        f"{{whole}}/g {piece.direct_plural if plural else piece.direct}/h",
        whole=noun_phrase(whole, False, determiner, None, _GENITIVE.agreeing(agreement)),
    )
    how, past = mood(choose), choose.chance(25)
    word = choose.pick(suiting(piece.kinds))
    predicate = build(word.english, f"{word.forms.agreeing(agreement)}/j")
    return statement(copula(agreement, past, how), how, subject, "{x}", "{x}", x=predicate)


def location(choose: Chooser) -> Phrase:
    """The book is on the table."""
    kind = choose.pick(("person", "person", "animal", "thing", "thing"))
    if kind == "person":
        subject = person(choose)
        where = somewhere(choose, subject)
    elif kind == "animal":
        subject, where = some_noun(choose, choose.pick(of_kind("a", "i"))), somewhere(choose)
    else:
        noun = choose.pick(of_kind("t", "r"))
        subject, where = some_noun(choose, noun), place_of_thing(choose, noun)
    tense = choose.pick(("present", "present", "past", "future"))
    if tense == "future":
        how, group = PLAIN, future_be(subject.agreement)
    else:
        how = mood(choose)
        group = copula(subject.agreement, tense == "past", how)
    when = time(choose, "progressive", 10) if tense == "present" else time(choose, tense, 30)
    return statement(group, how, subject.direct, "{p} {t}", "{t} {p}", p=where, t=when)


def existence(choose: Chooser) -> Phrase:
    """There are two books on the table."""
    thing = choose.chance(60)
    noun = choose.pick(of_kind("t", "r") if thing else of_kind("a"))
    what, plural = indefinite(choose, noun)
    where = place_of_thing(choose, noun) if thing else somewhere(choose)
    how, past = choose.pick((PLAIN, PLAIN, ASKED)), choose.chance(25)
    agreement = agreement_of(noun, plural)
    be = english_be(agreement, past)
    english = f"{be}/aq there {{x}} {{p}} ?" if how == ASKED else f"there {be}/a {{x}} {{p}} ."
    return sentence(english, f"{{p}} {{x}} {copula(agreement, past, how).marathi}", x=what, p=where)
