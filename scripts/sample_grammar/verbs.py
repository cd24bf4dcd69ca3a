"""The verbs, their Marathi stems, and their allowed objects, recipients and places."""

from typing import NamedTuple

from sample_grammar.nouns import Noun, nouns, of_kind


class Verb(NamedTuple):
    """A verb's English and Marathi forms; `fixed` is a word that precedes every Marathi form.

    `imperfect` (खात) forms the progressive and the negated habitual, `habitual` (खा) takes -तो and the
    like, `past` (खाल्ल) and `prospective` (खाणार) form the tenses of their names. `future` has five forms:
    I, he or she, we, you, they.
    """

    base: str
    third: str
    ing: str
    english_past: str
    fixed: str
    habitual: str
    imperfect: str
    past: str
    prospective: str
    future: tuple[str, ...]
    objects: tuple[Noun, ...] = ()


def _regular(english: str, stem: str, objects: tuple[Noun, ...] = (), past: str = "") -> Verb:
    """A verb whose Marathi stem ends in a consonant; only its past may be irregular."""
    base, third, ing, english_past = english.split()
    future = tuple(stem + ending for ending in ("ेन", "ेल", "ू", "ाल", "तील"))
    forms = (stem, f"{stem}त", past or f"{stem}ल", f"{stem}णार", future)
    return Verb(base, third, ing, english_past, "", *forms, objects)


def _irregular(english: str, marathi: str, objects: tuple[Noun, ...] = (), fixed: str = "") -> Verb:
    """A verb from its forms: habitual, imperfect, past, prospective, then the five of the future."""
    base, third, ing, english_past = english.split()
    habitual, imperfect, past, prospective, *future = marathi.split()
    forms = (habitual, imperfect, past, prospective, tuple(future))
    return Verb(base, third, ing, english_past, fixed, *forms, objects)


_GHE = "घे घेत घेतल घेणार घेईन घेईल घेऊ घ्याल घेतील"
_KAR = "कर करत केल करणार करेन करेल करू कराल करतील"
_DE = "दे देत दिल देणार देईन देईल देऊ द्याल देतील"
_SMALL_THINGS = nouns("book ball key umbrella pencil doll ring toy cap flower clock map knife lamp")

EAT = _irregular(
    "eat eats eating ate",
    "खा खात खाल्ल खाणार खाईन खाईल खाऊ खाल खातील",
    of_kind("r") + nouns("chapati egg laddu rice"),
)
DRINK = _irregular("drink drinks drinking drank", "पि पीत प्यायल पिणार पिईन पिईल पिऊ प्याल पितील", of_kind("d"))
SEE = _irregular(
    "see sees seeing saw",
    "पाह पाहत पाहिल पाहणार पाहीन पाहील पाहू पाहाल पाहतील",
    nouns("picture house temple palace garden river well road hill map clock flower tiger elephant"),
)

TRANSITIVE = (
    EAT,
    DRINK,
    SEE,
    _regular("read reads reading read", "वाच", nouns("book letter story poem question")),
    _irregular(
        "write writes writing wrote",
        "लिहि लिहीत लिहिल लिहिणार लिहीन लिहील लिहू लिहाल लिहितील",
        nouns("letter story poem song book question"),
    ),
    _irregular("buy buys buying bought", _GHE, of_kind("t", "r"), fixed="विकत"),
    _irregular("take takes taking took", _GHE, _SMALL_THINGS + nouns("bag box")),
    _regular("sell sells selling sold", "विक", of_kind("t", "r") + nouns("cow goat horse milk")),
    _regular("cut cuts cutting cut", "काप", of_kind("r") + nouns("potato vegetable")),
    _regular(
        "make makes making made",
        "बनव",
        nouns("chair table toy box bag lamp ring tea coffee chapati"),
    ),
    _regular("open opens opening opened", "उघड", nouns("door window box bag umbrella book")),
    _irregular("close closes closing closed", _KAR, nouns("door window box bag umbrella book"), fixed="बंद"),
    _regular("bring brings bringing brought", "आण", _SMALL_THINGS + of_kind("r", "d") + nouns("chair plate")),
    _regular("hear hears hearing heard", "ऐक", nouns("song story poem question")),
    _regular("throw throws throwing threw", "फेक", nouns("ball stone flower cap key")),
    _regular("break breaks breaking broke", "मोड", nouns("chair toy doll pencil umbrella table clock")),
    _regular("draw draws drawing drew", "काढ", nouns("picture map")),
    _regular("hide hides hiding hid", "लपव", _SMALL_THINGS + nouns("letter box bag")),
    _regular("wipe wipes wiping wiped", "पुस", nouns("table chair window plate door lamp box")),
    _regular("paint paints painting painted", "रंगव", nouns("wall door house room chair table picture box")),
    _regular("catch catches catching caught", "पकड", nouns("ball mouse cat rabbit horse")),
)
GIVING = (
    _irregular("give gives giving gave", _DE, _SMALL_THINGS + of_kind("r") + nouns("letter milk water")),
    _regular("show shows showing showed", "दाखव", nouns("picture book map house letter ring doll clock")),
    _regular("send sends sending sent", "पाठव", nouns("letter book picture flower box ring saree")),
    _regular("tell tells telling told", "सांग", nouns("story"), past="सांगितल"),
    _regular("ask asks asking asked", "विचार", nouns("question")),
)
KEEP = _regular("keep keeps keeping kept", "ठेव", _SMALL_THINGS + nouns("letter plate picture bag"))
CALL = _regular("call calls calling called", "बोलाव", past="बोलावल")
MEET = _regular("meet meets meeting met", "भेट")

GO = _irregular("go goes going went", "जा जात गेल जाणार जाईन जाईल जाऊ जाल जातील")
COME = _irregular("come comes coming came", "ये येत आल येणार येईन येईल येऊ याल येतील")
RUN = _regular("run runs running ran", "धाव")
SLEEP = _regular("sleep sleeps sleeping slept", "झोप")
SIT = _regular("sit sits sitting sat", "बस")
PLAY = _regular("play plays playing played", "खेळ")
STAYING = (
    SLEEP,
    SIT,
    RUN,
    PLAY,
    _regular("dance dances dancing danced", "नाच"),
    _regular("walk walks walking walked", "चाल"),
    _regular("laugh laughs laughing laughed", "हस"),
    _regular("cry cries crying cried", "रड"),
    _regular("wait waits waiting waited", "थांब"),
)
LIVE = _irregular("live lives living lived", "राह राहत राहिल राहणार राहीन राहील राहू राहाल राहतील")
_LIKED = of_kind("r", "f", "d", "q", "a") + nouns("book picture flower toy")
LIKE = _regular("like likes liking liked", "आवड", _LIKED)

# Verbs without a progressive: at least one of the languages avoids it.
MOMENTARY = ("see", "hear", "sleep", "sit", "wait", "break")
