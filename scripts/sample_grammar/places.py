"""Locations: postpositions on the oblique, and places suitable for people, things and large things."""

from sample_grammar.agreement import THAT, THE, THIS, Modifier
from sample_grammar.choices import Chooser, owner, quality
from sample_grammar.lexicon import CITIES, City
from sample_grammar.nominals import Nominal, noun_phrase
from sample_grammar.nouns import Noun, nouns, of_kind
from sample_grammar.phrases import Phrase, build

Spots = tuple[tuple[str, str, tuple[Noun, ...]], ...]

_BUILDINGS = of_kind("p")
_AROUND: Spots = (
    ("under", "खाली", nouns("tree")),
    ("on", "वर", nouns("road hill")),
    ("near", "जवळ", nouns("well river")),
    ("near", "जवळ", nouns("house tree well river school temple door window shop hill")),
    ("behind", "मागे", nouns("house temple school tree shop palace")),
    ("in front of", "समोर", nouns("house temple school shop hospital palace library")),
)
_FOR_LARGE: Spots = (
    ("in", "त", nouns("room house shop")),
    ("under", "खाली", nouns("tree")),
    ("near", "जवळ", nouns("door window wall tree")),
    ("behind", "मागे", nouns("door house shop")),
    ("in front of", "समोर", nouns("house temple school shop")),
)
_FOR_SMALL: Spots = (
    ("in", "त", nouns("box bag room")),
    ("on", "वर", nouns("table chair box")),
    ("under", "खाली", nouns("table chair tree")),
    ("near", "जवळ", nouns("door window table box wall")),
    ("behind", "मागे", nouns("door box chair")),
)


def _place(
    preposition: str, ending: str, noun: Noun, determiner: Modifier, adjective: Modifier | None
) -> Phrase:
    """A location; the English preposition is linked to the Marathi noun with its ending."""
    tagged = " ".join(f"{word}/p" for word in preposition.split())
    phrase = noun_phrase(noun, False, determiner, adjective, ending)
    return build(f"{tagged} {{noun}}", "{noun}/p", noun=phrase)


def _some_place(
    choose: Chooser, preposition: str, ending: str, noun: Noun, subject: Nominal | None
) -> Phrase:
    kind = choose.pick(("the", "the", "this", "that", "own"))
    if kind == "own" and "W" not in noun.kinds:
        determiner = owner(choose, subject)
    else:
        determiner = {"this": THIS, "that": THAT}.get(kind, THE)
    return _place(preposition, ending, noun, determiner, quality(choose, noun))


def _city(choose: Chooser, preposition: str) -> Phrase:
    city: City = choose.pick(CITIES)
    forms = {"in": city.inside, "to": city.towards, "from": city.away}
    return build(f"{preposition}/p {city.english}/p", f"{forms[preposition]}/p")


def inside(choose: Chooser, subject: Nominal | None = None) -> Phrase:
    """In a city, building, garden or the like, not owned by `subject`."""
    if choose.chance(15):
        return _city(choose, "in")
    return _some_place(choose, "in", "त", choose.pick(_BUILDINGS), subject)


def somewhere(choose: Chooser, subject: Nominal | None = None) -> Phrase:
    """A location for a person or animal."""
    if choose.chance(60):
        return inside(choose, subject)
    preposition, ending, options = choose.pick(_AROUND)
    return _some_place(choose, preposition, ending, choose.pick(options), subject)


def place_of_thing(choose: Chooser, thing: Noun | None = None, subject: Nominal | None = None) -> Phrase:
    """A location for a thing, but not in or on another of its own kind."""
    while True:
        large = thing is not None and "G" in thing.kinds
        preposition, ending, options = choose.pick(_FOR_LARGE if large else _FOR_SMALL)
        noun = choose.pick(options)
        if noun != thing:
            return _some_place(choose, preposition, ending, noun, subject)


def seat(choose: Chooser) -> Phrase:
    """On something to sit on."""
    return _some_place(choose, "on", "वर", choose.pick(nouns("chair box stone")), None)


def way(choose: Chooser, subject: Nominal) -> Phrase:
    """A destination or origin."""
    preposition = choose.pick(("to", "to", "from"))
    if choose.chance(25):
        return _city(choose, preposition)
    ending = "त" if preposition == "to" else "तून"
    return _some_place(choose, preposition, ending, choose.pick(_BUILDINGS), subject)
