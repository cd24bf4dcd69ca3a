"""Patterns whose Marathi subject is the thing: has (-कडे, for relatives -ला), likes and wants (-ला)."""

from sample_grammar.agreement import NUMBERS, Agreement, declining
from sample_grammar.choices import Chooser, indefinite, mood, object_phrase, person
from sample_grammar.clauses import ASKED, NEGATED, PLAIN, Group, copula, english_do, verb_group
from sample_grammar.describing import statement
from sample_grammar.nominals import Nominal, agreement_of
from sample_grammar.nouns import nouns, of_kind
from sample_grammar.phrases import Phrase
from sample_grammar.verbs import LIKE

_WANTED = declining("हव")
_BELONGINGS = (*(noun for noun in of_kind("t", "a", "r") if "W" not in noun.kinds), *nouns("letter"))


def _having(
    subject: Nominal, holder: Phrase, what: Phrase, agreement: Agreement, past: bool, how: str
) -> Phrase:
    """`have` in any mood: the English verb agrees with the subject, the Marathi one with `what`.

    Tag `k` also links `have` to the possessor's ending.
    """
    do = english_do(subject.agreement, past)
    if how == PLAIN:
        english = ("", ("had" if past else "has" if subject.third_singular else "have") + "/ka")
    else:
        english = (f"{do}/n", "not/n have/kn") if how == NEGATED else (f"{do}/q", "have/ka")
    group = Group(*english, copula(agreement, past, how).marathi)
    return statement(group, how, holder, "{x}", "{x}", ending="k", x=what)


def possession(choose: Chooser) -> Phrase:
    """Rahul has a red book."""
    noun = choose.pick(_BELONGINGS)
    what, plural = indefinite(choose, noun)
    subject = person(choose)
    return _having(subject, subject.having, what, agreement_of(noun, plural), choose.chance(25), mood(choose))


def relatives(choose: Chooser) -> Phrase:
    """Rahul has two brothers."""
    noun = choose.pick(nouns("brother sister aunt"))
    what, plural = indefinite(choose, noun, NUMBERS[:3])
    subject = person(choose)
    how = choose.pick((PLAIN, PLAIN, ASKED))
    return _having(subject, subject.dative, what, agreement_of(noun, plural), False, how)


def liking(choose: Chooser) -> Phrase:
    """Rahul likes mangoes."""
    subject, noun = person(choose), choose.pick(LIKE.objects)
    what, plural = object_phrase(choose, noun, subject)
    agreement = agreement_of(noun, plural)
    how, tense = mood(choose), "past" if choose.chance(30) else "habitual"
    english = verb_group(LIKE, tense, how, subject.agreement, subject.agreement)
    marathi = verb_group(LIKE, tense, how, agreement, agreement).marathi
    group = Group(english.auxiliary, english.rest, marathi)
    return statement(group, how, subject.dative, "{x}", "{x}", x=what)


def wanting(choose: Chooser) -> Phrase:
    """Sita wants a mango."""
    subject, noun = person(choose), choose.pick(of_kind("r", "d", "t", "f"))
    what, plural = indefinite(choose, noun, NUMBERS, 30)
    how, be, do = mood(choose), "आहेत" if plural else "आहे", english_do(subject.agreement, past=False)
    marathi = f"{_WANTED.agreeing(agreement_of(noun, plural))}/v {be}/v"
    if how == NEGATED:
        group = Group(f"{do}/n", "not/n want/v", f"नको/nv {be}/v")
    elif how == ASKED:
        group = Group(f"{do}/q", "want/v", f"{marathi} का/q")
    else:
        group = Group("", ("wants" if subject.third_singular else "want") + "/v", marathi)
    return statement(group, how, subject.dative, "{x}", "{x}", x=what)
