"""The bundled corpus: it is what the grammar generates, and its Marathi and alignments are right.

The expected sentences, alignments and agreement tables here were written by hand, without the grammar.
"""

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from nmt.data.text import canonical_key, clean, words

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "data" / "sample" / "corpus.tsv"
SCRIPTS = ROOT / "scripts"

CHECKED = """
Rahul is a good boy.|राहुल चांगला मुलगा आहे.|0-0 1-3 3-1 4-2 5-4
Those bags were not red.|त्या पिशव्या लाल नव्हत्या.|0-0 1-1 2-3 3-3 4-2 5-4
The cat was not tired.|मांजर थकलेले नव्हते.|1-0 2-2 3-2 4-1 5-3
Mahesh's sisters are very tired.|महेशच्या बहिणी खूप थकलेल्या आहेत.|0-0 1-1 2-4 3-2 4-3 5-5
They were not tired farmers.|ते थकलेले शेतकरी नव्हते.|0-0 1-3 2-3 3-1 4-2 5-4
Is Sita an elderly woman?|सीता म्हातारी स्त्री आहे का?|0-3 0-4 1-0 3-1 4-2 5-5
Whose bicycles are those?|त्या कोणाच्या सायकली आहेत?|0-1 1-2 2-3 3-0 4-4
The windows of the temple were not open.|मंदिराच्या खिडक्या उघड्या नव्हत्या.|1-1 2-0 4-0 5-3 6-3 7-2 8-4
Sachin was not in this clean house.|सचिन या स्वच्छ घरात नव्हता.|0-0 1-4 2-4 3-3 4-1 5-2 6-3 7-5
There are two mangoes behind the box.|पेटीमागे दोन आंबे आहेत.|1-3 2-1 3-2 4-0 6-0 7-4
There is a goat in front of the small school.|छोट्या शाळेसमोर शेळी आहे.|1-3 3-2 4-1 5-1 6-1 8-0 9-1 10-4
I had a bicycle.|माझ्याकडे सायकल होती.|0-0 1-0 1-2 3-1 4-3
I have three sisters.|मला तीन बहिणी आहेत.|0-0 1-0 1-3 2-1 3-2 4-4
His teacher likes mangoes.|त्याच्या शिक्षकाला आंबे आवडतात.|0-0 1-1 2-3 3-2 4-4
He wants three ripe bananas.|त्याला तीन पिकलेली केळी हवी आहेत.|0-0 1-4 1-5 2-1 3-2 4-3 5-6
I do not want a new bicycle.|मला नवीन सायकल नको आहे.|0-0 1-3 2-3 3-3 3-4 5-1 6-2 7-5
Did you eat rice?|तुम्ही भात खाल्ला का?|0-3 1-0 2-2 3-1 4-4
Did the goats eat this chapati?|शेळ्यांनी ही पोळी खाल्ली का?|0-4 2-0 3-3 4-1 5-2 6-5
Who ate the orange yesterday?|काल संत्रे कोणी खाल्ले?|0-2 1-3 3-1 4-0 5-4
Her brother did not eat my apple.|तिच्या भावाने माझे सफरचंद खाल्ले नाही.|0-0 1-1 2-5 3-5 4-4 5-2 6-3 7-6
Seema kept my rings near the door.|सीमाने माझ्या अंगठ्या दरवाजाजवळ ठेवल्या.|0-0 1-4 2-1 3-2 4-3 6-3 7-5
You gave the letter to Amit yesterday.|तुम्ही काल अमितला पत्र दिले.|0-0 1-4 3-3 4-2 5-2 6-1 7-5
We saw the farmer's maps.|आम्ही शेतकर्‍याचे नकाशे पाहिले.|0-0 1-3 3-1 4-2 5-4
I met Anita yesterday.|मी काल अनिताला भेटलो.|0-0 1-3 2-2 3-1 4-4
Asha did not meet the second boy today.|आशा आज दुसर्‍या मुलाला भेटली नाही.|0-0 1-5 2-5 3-4 5-2 6-3 7-1 8-6
They are not going to this market now.|ते आता या बाजारात जात नाहीयेत.|0-0 1-5 2-5 3-4 4-3 5-2 6-3 7-1 8-6
Did your aunts go to the library?|तुमच्या मावश्या ग्रंथालयात गेल्या का?|0-4 1-0 2-1 3-3 4-2 6-2 7-5
When did they go to Satara?|ते सातार्‍याला केव्हा गेले?|0-2 2-0 3-3 4-1 5-1 6-4
Will they come from that garden?|ते त्या बागेतून येतील का?|0-3 0-4 1-0 2-3 3-2 4-1 5-2 6-5
Pooja will not read two famous poems.|पूजा दोन प्रसिद्ध कविता वाचणार नाही.|0-0 1-4 2-5 3-4 4-1 5-2 6-3 7-6
Where do we go?|आम्ही कुठे जातो?|0-1 2-0 3-2 4-3
What did Sneha close?|स्नेहाने काय बंद केले?|0-1 2-0 3-2 3-3 4-4
"""

NOUN_AGREEMENT = {  # direct forms of a single gender and number
    "मुलगा": "ms", "आंबा": "ms", "दिवा": "ms", "घोडा": "ms", "कुत्रा": "ms", "नकाशा": "ms",
    "मुलगे": "mp", "आंबे": "mp", "दिवे": "mp", "घोडे": "mp", "कुत्रे": "mp", "नकाशे": "mp", "बटाटे": "mp",
    "पोळी": "fs", "खुर्ची": "fs", "पेटी": "fs", "गोष्ट": "fs", "बाग": "fs", "गाय": "fs", "अंगठी": "fs",
    "पोळ्या": "fp", "खुर्च्या": "fp", "पेट्या": "fp", "मुली": "fp", "अंगठ्या": "fp", "साड्या": "fp",
    "पुस्तक": "ns", "पत्र": "ns", "केळे": "ns", "गाणे": "ns", "फूल": "ns", "सफरचंद": "ns", "खेळणे": "ns",
    "पुस्तके": "np", "पत्रे": "np", "केळी": "np", "गाणी": "np", "फुले": "np", "चित्रे": "np", "खेळणी": "np",
}  # fmt: skip
ENDING = {"ms": "ा", "mp": "े", "fs": "ी", "fp": "्या", "ns": "े", "np": "ी"}
MODIFIERS = ("चांगल", "मोठ", "छोट", "माझ", "तुमच", "त्यांच", "राहुलच", "सीताच", "काळ", "हिरव", "पहिल")
PASTS = (
    *("खाल्ल", "वाचल", "लिहिल", "घेतल", "दिल", "केल", "आणल", "सांगितल", "लपवल", "फेकल", "पाहिल"),
    *("बनवल", "कापल", "विकल", "ठेवल", "पाठवल", "दाखवल", "मोडल", "उघडल", "पुसल"),
)


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, list[tuple[int, int]]]]:
    pairs = []
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        english, marathi, alignment = line.split("\t")
        links = [(int(i), int(j)) for i, j in (link.split("-") for link in alignment.split(" "))]
        pairs.append((english, marathi, links))
    return pairs


@pytest.fixture
def grammar(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from sample_grammar import lexicon, nouns, verbs

    return lexicon, nouns, verbs


def test_regenerating_gives_the_committed_bytes(tmp_path):
    output = tmp_path / "corpus.tsv"
    subprocess.run(
        [sys.executable, str(SCRIPTS / "make_sample_corpus.py"), "--output", str(output)],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
    )
    assert output.read_bytes() == CORPUS.read_bytes()


def test_size_and_form(rows):
    data = CORPUS.read_bytes()
    assert len(data) < 2_000_000
    assert b"\r" not in data
    assert data.endswith(b"\n")
    assert 8_000 <= len(rows) <= 12_000
    for side in (0, 1):
        assert all(clean(row[side]) == row[side] for row in rows)
        assert 5 <= sum(len(words(row[side])) for row in rows) / len(rows) <= 7


def test_one_sentence_in_eight_has_no_sign_at_its_end(rows):
    signed = [(english[-1] in ".?", marathi[-1] in ".?") for english, marathi, _ in rows]
    assert set(signed) == {(True, True), (False, False)}
    assert signed.count((False, False)) == len(rows) // 8


def test_every_sentence_of_either_language_stands_once(rows):
    for side in (0, 1):
        assert len({canonical_key(row[side]) for row in rows}) == len(rows)


def test_vocabulary_is_rich_enough_and_used(grammar, rows):
    lexicon, nouns, verbs = grammar
    genders = Counter(noun.gender for noun in nouns.NOUNS)
    assert len(nouns.NOUNS) >= 60
    assert min(genders[gender] for gender in "mfn") >= 15
    assert len(lexicon.ADJECTIVES) >= 30
    assert min(len(lexicon.MEN), len(lexicon.WOMEN)) >= 15
    assert len({verb.base for verb in (*verbs.TRANSITIVE, *verbs.GIVING, *verbs.STAYING)}) >= 25
    seen = Counter(word.lower() for row in rows for word in words(row[0]))
    expected = [noun.english for noun in nouns.NOUNS] + [name.english.lower() for name in lexicon.NAMES]
    expected += [adjective.english.split("/")[0] for adjective in lexicon.ADJECTIVES]
    assert [word for word in expected if seen[word] < 5] == []


def test_alignments_are_sorted_in_range_and_end_in_the_punctuation(rows):
    for english, marathi, links in rows:
        source, target = words(english), words(marathi)
        assert links == sorted(set(links))
        assert all(0 <= i < len(source) and 0 <= j < len(target) for i, j in links)
        if source[-1] in ".?":
            assert links[-1] == (len(source) - 1, len(target) - 1)
            assert source[-1] == target[-1]


def test_only_articles_and_bare_auxiliaries_have_no_counterpart(rows):
    lone = {"a", "an", "the", "there", "do", "does", "did"}
    for english, marathi, links in rows:
        source, linked = words(english), {i for i, _ in links}
        assert {source[i].lower() for i in range(len(source)) if i not in linked} <= lone
        assert {source[i].lower() for i in linked} & {"a", "an"} == set()
        assert {j for _, j in links} == set(range(len(words(marathi))))


@pytest.mark.parametrize("line", CHECKED.strip().splitlines())
def test_hand_checked_pair(line, rows):
    english, marathi, alignment = line.split("|")
    links = [tuple(map(int, link.split("-"))) for link in alignment.split()]
    unsigned = (english[:-1], marathi[:-1], links[:-1])
    assert (english, marathi, links) in rows or unsigned in rows


def stem_of(word: str, stems: tuple[str, ...]) -> str | None:
    """The stem of which `word` is one of the agreeing forms."""
    return next((stem for stem in stems if word in [stem + ending for ending in ENDING.values()]), None)


def test_modifiers_agree_with_the_noun_they_stand_before(rows):
    checked = Counter()
    for _, marathi, _ in rows:
        text = words(marathi)
        for modifier, noun in pairwise(text):
            stem = stem_of(modifier, MODIFIERS)
            if stem and noun in NOUN_AGREEMENT:
                assert modifier == stem + ENDING[NOUN_AGREEMENT[noun]], marathi
                checked[NOUN_AGREEMENT[noun]] += 1
    assert min(checked[kind] for kind in ENDING) >= 10


def test_transitive_past_agrees_with_its_object_and_has_an_ergative_subject(rows):
    checked = Counter()
    ergative = ("ने", "नी", "कोणी", "मी", "आम्ही", "तुम्ही")
    for _, marathi, _ in rows:
        text = words(marathi)
        for noun, verb in pairwise(text):
            stem = stem_of(verb, PASTS)
            if stem and noun in NOUN_AGREEMENT:
                assert verb == stem + ENDING[NOUN_AGREEMENT[noun]], marathi
                assert any(word.endswith(ergative) for word in text), marathi
                checked[NOUN_AGREEMENT[noun]] += 1
    assert min(checked[kind] for kind in ENDING) >= 5


def test_eyelash_reph_is_written_with_the_joiner(rows):
    text = CORPUS.read_text(encoding="utf-8")
    assert text.count("र्\u200dय") > 200
    assert "\u0931" not in text  # the other encoding of the same letter
    assert text.count("\u200d") == text.count("र्\u200dय")


def test_all_patterns_are_there(rows):
    openings = Counter(row[0].split()[0] for row in rows)
    for first in ("Is", "Does", "Did", "Will", "Who", "What", "Where", "When", "Whose", "There", "This"):
        assert openings[first] >= 50, first
    marathi = Counter(word for row in rows for word in words(row[1]))
    for word in ("नाही", "नाहीत", "नाहीये", "नाहीयेत", "नव्हता", "का", "काय", "कोण", "कुठे", "केव्हा", "नको"):
        assert marathi[word] >= 20, word
