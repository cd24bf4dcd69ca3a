"""Names, cities, pronouns, adjectives and times of day: everything but nouns and verbs."""

from typing import NamedTuple

from sample_grammar.agreement import Agreement, Modifier, declining, possessive, unchanging
from sample_grammar.phrases import Phrase, build

_MEN = """
Rahul राहुल Amit अमित Sachin सचिन Rohan रोहन Vijay विजय Sanjay संजय Ajay अजय Ganesh गणेश Suresh सुरेश
Ramesh रमेश Mahesh महेश Anil अनिल Sunil सुनील Prakash प्रकाश Vikas विकास Nitin नितीन
"""
_WOMEN = """
Sita सीता Priya प्रिया Anita अनिता Sunita सुनीता Meena मीना Asha आशा Pooja पूजा Neha नेहा Smita स्मिता
Lata लता Sneha स्नेहा Rekha रेखा Maya माया Seema सीमा Swati स्वाती Radha राधा
"""
_DECLINING = """
good चांगल haptrfdqloxyi
small छोट haptrxoyi
big मोठ aptroxwy
old जुन tpqox
elderly म्हातार g
black काळ at
white पांढर at
yellow पिवळ tr
green हिरव tr
blue निळ to
light हलक v
dirty घाणेरड tpox
wet ओल tox
dry कोरड tx
broken मोडक to
empty रिकाम c
open उघड o
wise शहाण h
short बुटक h
crazy वेड h
hungry भुकेल hai
tired थकलेल hai
fresh ताज rfd
raw कच्च r
ripe पिकलेल r
simple साध q
easy सोप q
"""
_UNCHANGING = """
beautiful सुंदर haptqlxoyi
clever हुशार ha
red लाल tro
new नवीन tpqo
hot गरम fd
cold थंड d
sweet गोड rd
tall उंच hy
long लांब lq
heavy जड v
clean स्वच्छ ptoxw
brave शूर h
poor गरीब h
rich श्रीमंत h
lazy आळशी ha
honest प्रामाणिक h
happy आनंदी hi
sad दुःखी hi
famous प्रसिद्ध hpq
difficult अवघड q
tasty चविष्ट rfd
expensive महाग t
cheap स्वस्त t
round गोल b
deep खोल w
"""


class Name(NamedTuple):
    """A person's name; endings are added without changing it."""

    english: str
    marathi: str
    gender: str


class City(NamedTuple):
    """A city: its name, and the forms for `in`, `to` and `from`."""

    english: str
    inside: str
    towards: str
    away: str


class Pronoun(NamedTuple):
    """A personal pronoun: English subject, object and possessive; Marathi forms; agreement.

    `genitive` is without its agreement ending; `ergative` is the subject of a past transitive verb.
    """

    english: str
    english_object: str
    english_possessive: str
    direct: str
    ergative: str
    dative: str
    genitive: str
    agreement: Agreement


def _names(table: str, gender: str) -> tuple[Name, ...]:
    words = table.split()
    return tuple(
        Name(english, marathi, gender) for english, marathi in zip(words[::2], words[1::2], strict=True)
    )


def _adjectives(table: str, decline: bool) -> tuple[Modifier, ...]:
    forms = declining if decline else unchanging
    rows = (line.split() for line in table.strip().splitlines())
    return tuple(
        Modifier(f"{english}/j", f"{english}/j", forms(marathi), kinds) for english, marathi, kinds in rows
    )


MEN, WOMEN = _names(_MEN, "m"), _names(_WOMEN, "f")
NAMES = MEN + WOMEN
ADJECTIVES = _adjectives(_DECLINING, True) + _adjectives(_UNCHANGING, False)
CITIES = (
    City("Mumbai", "मुंबईत", "मुंबईला", "मुंबईहून"),
    City("Pune", "पुण्यात", "पुण्याला", "पुण्याहून"),
    City("Delhi", "दिल्लीत", "दिल्लीला", "दिल्लीहून"),
    City("Goa", "गोव्यात", "गोव्याला", "गोव्याहून"),
    City("Nagpur", "नागपुरात", "नागपूरला", "नागपूरहून"),
    City("Satara", "सातार्‍यात", "सातार्‍याला", "सातार्‍याहून"),
)
PRONOUNS = (
    Pronoun("I", "me", "my", "मी", "मी", "मला", "माझ", Agreement("m", False, 1)),
    Pronoun("we", "us", "our", "आम्ही", "आम्ही", "आम्हाला", "आमच", Agreement("m", True, 1)),
    Pronoun("you", "you", "your", "तुम्ही", "तुम्ही", "तुम्हाला", "तुमच", Agreement("m", True, 2)),
    Pronoun("he", "him", "his", "तो", "त्याने", "त्याला", "त्याच", Agreement("m")),
    Pronoun("she", "her", "her", "ती", "तिने", "तिला", "तिच", Agreement("f")),
    Pronoun("they", "them", "their", "ते", "त्यांनी", "त्यांना", "त्यांच", Agreement("m", True)),
)
POSSESSIVES = tuple(possessive(f"{p.english_possessive}/d", p.genitive) for p in PRONOUNS)

YESTERDAY = build("yesterday/t", "काल/t")
TODAY = build("today/t", "आज/t")
TOMORROW = build("tomorrow/t", "उद्या/t")
NOW = build("now/t", "आता/t")
_DAILY = (
    build("every/t day/t", "रोज/t"),
    build("in/t the morning/t", "सकाळी/t"),
    build("in/t the evening/t", "संध्याकाळी/t"),
    build("at/t night/t", "रात्री/t"),
)
TIMES: dict[str, tuple[Phrase, ...]] = {
    "habitual": _DAILY,
    "progressive": (NOW,),
    "past": (YESTERDAY, TODAY),
    "future": (TOMORROW, TODAY),
}


def suiting(kinds: str) -> tuple[Modifier, ...]:
    """The adjectives that can modify a noun of these kinds."""
    return tuple(adjective for adjective in ADJECTIVES if set(adjective.domain) & set(kinds))
