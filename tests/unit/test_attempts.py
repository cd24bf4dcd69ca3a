"""Which searches of a segment are made, and which result stands."""

from nmt.data.tokenizer import Tokens
from nmt.decoding.constraints.builder import Built
from nmt.decoding.constraints.repeated_ngrams import NoRepeatedNgrams
from nmt.decoding.result import Translation
from nmt.library.attempts import Attempt, Tried, first_attempt, meeting, next_attempt

ONCE = NoRepeatedNgrams(1)


def found(*tokens: int) -> Translation:
    return Translation(Tokens("", [], [], []), Tokens("", list(tokens), [], []), 0.0, 0.0, None, True, [])


class Every(NoRepeatedNgrams):
    """A constraint to which every token matters."""

    def watch(self):
        return None


def test_a_search_without_comes_first_where_it_will_do():
    """Or at the same time, if that is nearly the same."""
    without, both = Attempt(constrained=False), Attempt(constrained=True, free=True)
    assert first_attempt(Built(Every(1), 9, True), "beam") == without
    assert first_attempt(Built(ONCE, 9, True), "beam") == both
    assert first_attempt(Built(ONCE, 9, True), "beam", replacing=True) == without
    for built in (Built(ONCE, 9, False), Built(Every(1), 9, False), Built(None, 9, True), None):
        assert first_attempt(built, "beam") == Attempt()
    assert first_attempt(Built(ONCE, 9, True), "sample") == Attempt()


def test_what_meets_the_constraint_stands_and_others_follow():
    good, bad, other = found(4, 5), found(4, 4), found(5, 4)
    built = Built(ONCE, 9, True)
    assert meeting([good, bad, other], built) == [good, other]
    assert meeting([bad, good], built) == []
    tried = Tried(free=[good])
    assert next_attempt(Attempt(constrained=False), tried, 1, True) is None
    assert next_attempt(Attempt(constrained=False), tried, 2, True) == Attempt()
    tried.constrained = [other, good]
    assert tried.best(1) == [good]
    assert tried.best(2) == [good, other]
    assert next_attempt(Attempt(), tried, 2, True) is None
    assert next_attempt(Attempt(), tried, 2, restored=False) == Attempt(replacing=False)
