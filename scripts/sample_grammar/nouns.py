"""The nouns: English singular and plural, gender, Marathi direct singular and plural, oblique singular and
plural, kinds.

`-` marks an unused form. Kinds control which patterns and words may be combined with the noun:
h human, g grown up, k kin, i infant, a animal, r fruit, f food, d drink, t thing, v heavy or light thing,
b round thing, G large thing, p place one is in, q text, l long, w deep, c empty or full, o open or closed,
x and y parts of house and landscape, W nobody's own, m mass (no plural, no "a").
"""

from typing import NamedTuple

_TABLE = """
boy boys m मुलगा मुलगे मुला मुलां h
teacher teachers m शिक्षक शिक्षक शिक्षका शिक्षकां hg
doctor doctors m डॉक्टर डॉक्टर डॉक्टर डॉक्टरां hg
farmer farmers m शेतकरी शेतकरी शेतकर्‍या शेतकर्‍यां hg
student students m विद्यार्थी विद्यार्थी विद्यार्थ्या विद्यार्थ्यां h
friend friends m मित्र मित्र मित्रा मित्रां h
king kings m राजा राजे राजा राजां hg
brother brothers m भाऊ भाऊ भावा भावां hk
girl girls f मुलगी मुली मुली मुलीं h
woman women f स्त्री स्त्रिया स्त्री स्त्रियां hg
queen queens f राणी राण्या राणी राण्यां hg
sister sisters f बहीण बहिणी बहिणी बहिणीं hk
mother - f आई - आई - hkg
grandmother - f आजी - आजी - hkg
aunt aunts f मावशी मावश्या मावशी मावश्यां hkg
baby babies n बाळ बाळे बाळा बाळां i
dog dogs m कुत्रा कुत्रे कुत्र्या कुत्र्यां a
horse horses m घोडा घोडे घोड्या घोड्यां a
tiger tigers m वाघ वाघ वाघा वाघां aW
elephant elephants m हत्ती हत्ती हत्ती हत्तीं aW
rabbit rabbits m ससा ससे सशा सशां a
mouse mice m उंदीर उंदीर उंदरा उंदरां aW
cow cows f गाय गाई गाई गाईं a
goat goats f शेळी शेळ्या शेळी शेळ्यां a
cat cats n मांजर मांजरे मांजरा मांजरां a
monkey monkeys n माकड माकडे माकडा माकडां aW
donkey donkeys n गाढव गाढवे गाढवा गाढवां a
mango mangoes m आंबा आंबे आंब्या आंब्यां r
potato potatoes m बटाटा बटाटे बटाट्या बटाट्यां f
laddu laddus m लाडू लाडू लाडवा लाडवां f
rice - m भात - भाता - fm
tea - m चहा - चहा - dm
juice - m रस - रसा - dm
chapati chapatis f पोळी पोळ्या पोळी पोळ्यां f
vegetable vegetables f भाजी भाज्या भाजी भाज्यां f
coffee - f कॉफी - कॉफी - dm
banana bananas n केळे केळी केळ्या केळ्यां r
apple apples n सफरचंद सफरचंदे सफरचंदा सफरचंदां r
orange oranges n संत्रे संत्री संत्र्या संत्र्यां r
egg eggs n अंडे अंडी अंड्या अंड्यां f
milk - n दूध - दुधा - dm
water - n पाणी - पाण्या - dm
shirt shirts m सदरा सदरे सदर्‍या सदर्‍यां t
knife knives m चाकू चाकू चाकू चाकूं t
ball balls m चेंडू चेंडू चेंडू चेंडूं tb
lamp lamps m दिवा दिवे दिव्या दिव्यां tb
door doors m दरवाजा दरवाजे दरवाजा दरवाजां o
stone stones m दगड दगड दगडा दगडां tvb
map maps m नकाशा नकाशे नकाशा नकाशां t
question questions m प्रश्न प्रश्न प्रश्ना प्रश्नां q
chair chairs f खुर्ची खुर्च्या खुर्ची खुर्च्यां tvG
box boxes f पेटी पेट्या पेटी पेट्यां tcv
bag bags f पिशवी पिशव्या पिशवी पिशव्यां tcv
saree sarees f साडी साड्या साडी साड्यां t
window windows f खिडकी खिडक्या खिडकी खिडक्यां o
key keys f किल्ली किल्ल्या किल्ली किल्ल्यां t
bicycle bicycles f सायकल सायकली सायकली सायकलीं tG
car cars f गाडी गाड्या गाडी गाड्यां tG
umbrella umbrellas f छत्री छत्र्या छत्री छत्र्यां t
cap caps f टोपी टोप्या टोपी टोप्यां t
ring rings f अंगठी अंगठ्या अंगठी अंगठ्यां tb
doll dolls f बाहुली बाहुल्या बाहुली बाहुल्यां t
pencil pencils f पेन्सिल पेन्सिली पेन्सिली पेन्सिलीं t
story stories f गोष्ट गोष्टी गोष्टी गोष्टीं q
poem poems f कविता कविता कविते कवितां q
wall walls f भिंत भिंती भिंती भिंतीं xW
book books n पुस्तक पुस्तके पुस्तका पुस्तकां tv
letter letters n पत्र पत्रे पत्रा पत्रां q
song songs n गाणे गाणी गाण्या गाण्यां q
picture pictures n चित्र चित्रे चित्रा चित्रां t
table tables n टेबल टेबले टेबला टेबलां tvbG
flower flowers n फूल फुले फुला फुलां t
tree trees n झाड झाडे झाडा झाडां y
clock clocks n घड्याळ घड्याळे घड्याळा घड्याळां t
toy toys n खेळणे खेळणी खेळण्या खेळण्यां t
plate plates n ताट ताटे ताटा ताटां tvb
market markets m बाजार बाजार बाजारा बाजारां pW
palace palaces m राजवाडा राजवाडे राजवाड्या राजवाड्यां pW
road roads m रस्ता रस्ते रस्त्या रस्त्यां lxW
hill hills m डोंगर डोंगर डोंगरा डोंगरां yW
room rooms f खोली खोल्या खोली खोल्यां pc
school schools f शाळा शाळा शाळे शाळां p
garden gardens f बाग बागा बागे बागां p
river rivers f नदी नद्या नदी नद्यां lwxW
well wells f विहीर विहिरी विहिरी विहिरीं wx
house houses n घर घरे घरा घरां pc
village villages n गाव गावे गावा गावां p
city cities n शहर शहरे शहरा शहरां pW
temple temples n मंदिर मंदिरे मंदिरा मंदिरां pW
field fields n शेत शेते शेता शेतां p
forest forests n जंगल जंगले जंगला जंगलां pW
hospital hospitals n रुग्णालय रुग्णालये रुग्णालया रुग्णालयां pW
shop shops n दुकान दुकाने दुकाना दुकानां pc
library libraries n ग्रंथालय ग्रंथालये ग्रंथालया ग्रंथालयां pW
"""


class Noun(NamedTuple):
    """A row of the table."""

    english: str
    english_plural: str
    gender: str
    direct: str
    direct_plural: str
    oblique: str
    oblique_plural: str
    kinds: str

    @property
    def countable(self) -> bool:
        """Whether the noun has a plural."""
        return self.english_plural != "-"


NOUNS = tuple(Noun(*line.split()) for line in _TABLE.strip().splitlines())
_BY_ENGLISH = {noun.english: noun for noun in NOUNS}


def nouns(words: str) -> tuple[Noun, ...]:
    """The nouns of these English words, separated by spaces."""
    return tuple(_BY_ENGLISH[word] for word in words.split())


def of_kind(*kinds: str) -> tuple[Noun, ...]:
    """The nouns that have one of these kinds, in the order of the table."""
    return tuple(noun for noun in NOUNS if any(kind in noun.kinds for kind in kinds))
