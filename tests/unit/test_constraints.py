"""Constraints, with whatever a model might say: random tokens that are allowed make texts that meet them."""

import random
import re
import unicodedata

import numpy as np
import pytest
from tiny import MARATHI

from nmt.config.data import TokenizerConfig
from nmt.data.text import clean
from nmt.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer, train_tokenizer
from nmt.decoding.constraint import Except, Only
from nmt.decoding.constraints.alternatives import next_word
from nmt.decoding.constraints.builder import ConstraintBuilder
from nmt.decoding.constraints.glossary import Glossary, read_glossary
from nmt.decoding.constraints.kept import find_kept
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.placeholders import Placeholders
from nmt.decoding.constraints.prefix import clean_prefix
from nmt.decoding.constraints.repeated_ngrams import NoRepeatedNgrams
from nmt.decoding.constraints.request import KINDS, ConstraintRequest
from nmt.decoding.constraints.well_formed import WellFormedBytes, _is_text
from nmt.decoding.result import Translation
from nmt.errors import ConfigError, DataError

TEXTS = [*MARATHI, "ऱ्हास होतो.", "le café d'été, naïve x 12", "५ घरे"]
ODD = [
    "https://a.b/c?x=1",
    "😀",
    "👍🏽",
    "ऱ",
    "ऱ्या",
    "क",
    "猫",
    "?",
    "५००",
    "été",
    "मांजर लहान",
    "घर*",
    "x y",
    "a@b.c",
]


@pytest.fixture(scope="module")
def target() -> Tokenizer:
    return Tokenizer(train_tokenizer(TEXTS * 3, TokenizerConfig(kind="bpe", vocab_size=380), "t"))


@pytest.fixture(scope="module")
def pieces(target: Tokenizer) -> Pieces:
    return Pieces(target)


@pytest.fixture(scope="module")
def without_bytes() -> Pieces:
    config = TokenizerConfig(kind="bpe", vocab_size=120, byte_fallback=False)
    return Pieces(Tokenizer(train_tokenizer(TEXTS * 3, config, "t")))


def request(**asked) -> ConstraintRequest:
    return ConstraintRequest(**asked)


def walk(constraint, limit: int, size: int, rng: random.Random, likely: list[int]) -> list[int] | None:
    """Random tokens that are allowed, up to the end; None: there are none left."""
    state, tokens = constraint.start(), []
    while len(tokens) < limit:
        allowed, wanted = constraint.allowed(state), constraint.wanted(state)
        if isinstance(allowed, Only):
            choices = list(allowed.tokens)
        else:
            banned = {PAD, UNK, BOS, *(allowed.tokens if isinstance(allowed, Except) else ())}
            pool = rng.choice([wanted, likely, [EOS], range(size), range(4, 260)])
            choices = [token for token in pool if token not in banned]
            choices = choices or [token for token in range(size) if token not in banned]
        if not choices:
            return None
        token = rng.choice(choices)
        if token == EOS:
            break
        met, before, state = constraint.met_after(state)(token), state, constraint.advance(state, token)
        assert met == constraint.met(state) >= 0
        check_what_need_not_be_looked_at(constraint, before, token, tokens, state)
        tokens.append(token)
    return tokens


def check_what_need_not_be_looked_at(constraint, before, token: int, tokens: list[int], after) -> None:
    usual, watch = constraint.usual_met(before), constraint.watch()
    if usual is not None and (usual.unless is None or not usual.unless[token]):
        assert usual.met == constraint.met(after)
    if watch is None or not watch.is_quiet(before):
        return
    if not (watch.tokens is not None and watch.tokens[token]) and not (watch.repeated and token in tokens):
        assert watch.is_quiet(after)
        assert not watch.excludes(before, token)
        assert not watch.excludes(before, EOS)


def has(text: str, phrase: str) -> bool:
    """Whether a text has a phrase as whole words: a search, and what is left and right of each place."""
    phrase, is_open = (phrase[:-1], True) if phrase.endswith("*") else (phrase, False)
    letter = r"(?!猫)[^\W_]|[\u0900-\u0963\u0966-\u096f\u0300-\u036f\u200c\u200d]"
    for found in re.finditer(re.escape(phrase), text):
        before, after = text[: found.start()][-1:], text[found.end() :][:1]
        starts = not (re.match(letter, before) and re.match(letter, phrase[0]))
        ends = not (re.match(letter, after) and re.match(letter, phrase[-1]))
        if starts and (ends or is_open):
            return True
    return False


def has_number(text: str, number: str) -> bool:
    """Whether a text has a number: by what is left and right of each place where it could be."""

    def digit(at: int) -> bool:
        return 0 <= at < len(text) and text[at].isdecimal()

    def kind(at: int) -> str:
        return unicodedata.category(text[at])[0] if 0 <= at < len(text) else ""

    for found in re.finditer(f"(?={re.escape(number)})", text):
        left, right = found.start() - 1, found.start() + len(number)
        before, after = text[left : left + 1] if left >= 0 else "", text[right : right + 1]
        inside = kind(left) in [*"LMN"] and before != "猫"
        part = before in [*".,"] or (before in [*":/"] and digit(left - 1))
        other = kind(right) in [*"MN"] or (after in [*".,:/"] and digit(right + 1))
        if not (inside or part or other):
            return True
    return False


def asked_at_random(rng: random.Random) -> ConstraintRequest:
    text = rng.choice(TEXTS)
    words = text.split()

    def some(most: int) -> list[str]:
        return [rng.choice([*words, *ODD]) for _ in range(rng.randint(0, most))]

    prefix = rng.choice(["", text[: rng.randint(0, len(text))], rng.choice(ODD).rstrip("*")])
    return request(
        prefix=prefix,
        required=some(3),
        forbidden=some(2),
        no_repeat_ngram=rng.choice([0, 3]),
        keep=rng.choice([(), ("number",)]),
    )


def test_whatever_is_allowed_meets_what_is_asked(target, pieces):
    rng, size, ends, checked = random.Random(1), len(target), 0, 0
    for _ in range(120):
        asked = asked_at_random(rng)
        try:
            built = ConstraintBuilder(pieces, asked).build("x 12, 1.5", rng.choice([2, 8, 30]), 150)
        except ConfigError:
            continue
        if built.constraint is None:
            continue
        likely = [token for text in [*asked.required, *asked.forbidden] for token in target.encode(text)]
        tokens = walk(built.constraint, built.limit, size, rng, likely)
        ends, checked = ends + (tokens is None), checked + 1
        if tokens is None:
            continue
        text = clean(target.decode(tokens))
        assert text.startswith(clean_prefix(asked.prefix))
        assert all(has(text, phrase) for phrase in asked.required), (text, asked)
        assert not any(has(text, phrase) for phrase in asked.forbidden), (text, asked)
        for forms in find_kept("x 12, 1.5", asked.keep, pieces.zeros):
            assert any(has_number(text, form) for form in forms), (text, forms)
    assert checked > 50
    assert ends < 0.05 * checked  # what is required can be forbidden in the order in which it comes


def test_a_prefix_may_end_at_any_character(target, pieces):
    rng = random.Random(2)
    for text in [*TEXTS, "हे  \u00a0 घर 👍🏽!", "e\u0301t"]:
        for end in range(len(text) + 1):
            asked = ConstraintBuilder(pieces, request(prefix=text[:end])).build("x", 40, 100)
            prefix = clean_prefix(text[:end])
            assert prefix.rstrip() == clean(text[:end])
            assert (asked.constraint is None) == (prefix == "")
            if asked.constraint is not None:
                tokens = walk(asked.constraint, asked.limit, len(target), rng, [])
                assert clean(target.decode(tokens)).startswith(prefix)


def test_nothing_that_follows_changes_a_prefix(pieces):
    """A mark may compose with its last character, and the end would take its last space away."""
    for prefix, mark in (("र", "\u093c"), ("e", "\u0301"), ("घर ", "")):
        constraint = ConstraintBuilder(pieces, request(prefix=prefix)).build("x", 40, 100).constraint
        state = constraint.start()
        for character in " " + prefix:
            state = constraint.advance(state, pieces.token(character))
        banned = constraint.allowed(state).tokens if constraint.allowed(state) else ()
        assert (EOS in banned) == prefix.endswith(" ")
        if mark:
            *first, last = mark.encode()
            for byte in first:
                state = constraint.advance(state, pieces.byte_tokens[byte])
            assert pieces.byte_tokens[last] in constraint.allowed(state).tokens
            assert pieces.byte_tokens[last - 2] not in constraint.allowed(state).tokens


def test_phrases_are_forbidden_in_any_subwords(target, pieces):
    constraint = ConstraintBuilder(pieces, request(forbidden=["घर"])).build("x", 9, 9).constraint
    state = constraint.start()
    for token in (pieces.token(" "), *pieces.spelt("घ"), *pieces.spelt("र")[:-1]):
        assert token not in (constraint.allowed(state) or Except(())).tokens
        state = constraint.advance(state, token)
    assert pieces.spelt("र")[-1] in constraint.allowed(state).tokens
    text = target.encode("घरी")  # another word
    state = constraint.start()
    for token in text:
        assert token not in (constraint.allowed(state) or Except(())).tokens
        state = constraint.advance(state, token)


def test_whole_words_and_words_that_begin_with_a_phrase(pieces):
    with pytest.raises(ConfigError, match="has 'cat', which is forbidden"):
        ConstraintBuilder(pieces, request(required=["the cat"], forbidden=["cat"]))
    with pytest.raises(ConfigError, match=r"has 'cat\*', which is forbidden"):
        ConstraintBuilder(pieces, request(required=["the cats"], forbidden=["cat*"]))
    ConstraintBuilder(pieces, request(required=["the cats"], forbidden=["cat"]))


@pytest.mark.parametrize("phrase", ["ऱ", "कऱ", "र", "घर*", "été", "?", "猫", "लहान मांजर", "ौ"])
def test_the_tokens_that_matter_to_a_forbidden_phrase(pieces, phrase):
    """In any text that is read token by token; others are neither excluded nor begin the phrase."""
    rng, tokens = random.Random(phrase), [*pieces.texts, *pieces.byte_tokens.values()]
    constraint = ConstraintBuilder(pieces, request(forbidden=[phrase])).build("x", 9, 9).constraint
    watch, matter = constraint.watch(), 0
    likely = [token for token in tokens if set(phrase[:2]) & set(pieces.text(token))] or tokens
    near = [token for character in "रक\u093c\u094dौ " for token in pieces.having(character)]
    for _ in range(400):
        state = constraint.start()
        for token in rng.choices(rng.choice([likely, near, tokens]), k=3):
            quiet, excluded = watch.is_quiet(state), watch.excludes(state, token)
            allowed = constraint.allowed(state)
            assert excluded == (token in (allowed.tokens if allowed else ()))
            assert watch.breaks(state, token) == (token in (constraint.never(state) or Except(())).tokens)
            if watch.breaks(state, token):
                break
            state = constraint.advance(state, token)
            if quiet and not watch.tokens[token]:
                assert not excluded
                assert watch.is_quiet(state)
            matter += watch.tokens[token]
    assert matter


def test_ngrams_are_compared_with_all_before():
    for n in (1, 2, 3):
        constraint, rng = NoRepeatedNgrams(n), random.Random(n)
        for _ in range(50):
            tokens = [rng.randrange(3) for _ in range(rng.randrange(9))]
            state = constraint.start()
            for token in tokens:
                state = constraint.advance(state, token)
            ngrams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
            repeating = [t for t in range(3) if tuple([*tokens, t][-n:]) in ngrams and len(tokens) >= n - 1]
            assert list((constraint.allowed(state) or Except(())).tokens) == repeating


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"required": ["x", " "]}, "required: a phrase is blank"),
        ({"forbidden": [""]}, "forbidden: a phrase is blank"),
        ({"keep": ["dates"]}, "keep=dates: must be one of url, email, number, emoji"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram=-1: must be at least 0"),
        ({"required": ["घर"], "forbidden": ["घर"]}, "required 'घर': has 'घर', which is forbidden"),
        (
            {"glossary": {"a": "घर"}, "forbidden": ["घर*"]},
            r"glossary 'a' → 'घर': has 'घर\*', which is forbidden",
        ),
        ({"prefix": "माझे घर ", "forbidden": ["घर"]}, "prefix 'माझे घर ': has 'घर', which is forbidden"),
        ({"required": ["\ud800"]}, r"required '\\ud800': the vocabulary of the translation cannot produce"),
    ],
)
def test_what_is_impossible_is_named(pieces, asked, message):
    with pytest.raises(ConfigError, match="^" + message) as error:
        ConstraintBuilder(pieces, request(**asked))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["prefix", "required"])
def test_characters_that_the_vocabulary_does_not_have(without_bytes, option):
    for text in ("घर 猫", "猫"):
        with pytest.raises(ConfigError, match=r"cannot produce '猫'; .*byte_fallback"):
            ConstraintBuilder(without_bytes, request(**{option: text if option == "prefix" else [text]}))
    ConstraintBuilder(without_bytes, request(required=[("猫", "घर")]))  # one of them is enough


def test_what_does_not_fit_is_impossible(pieces):
    for asked in (request(prefix="क" * 60), request(required=["क" * 30, "ल" * 30])):
        builder = ConstraintBuilder(pieces, asked)
        with pytest.raises(ConfigError, match=r"subwords, more than the maximum length \(20\)"):
            builder.build("x", 5, 20)
        assert 5 < builder.build("x", 5, 200).limit < 200


def test_nothing_asked_is_no_constraint(pieces):
    builder = ConstraintBuilder(pieces, request(glossary={"house": "घर"}, keep=KINDS))
    assert builder.build("The dog sees.", 7, 50)[:2] == (None, 7)
    assert builder.build("Tom's House!", 7, 50).constraint is not None


def test_a_glossary_finds_whole_words_and_the_longest_term(tmp_path):
    glossary = Glossary({"machine": "a", "Machine learning": ("b", "c"), "C++": "d", "猫": "e"})
    assert glossary.find("Learning machine learning, with machines") == [("Machine learning", ("b", "c"))]
    assert glossary.find("MACHINE'S C++") == [("machine", ("a",)), ("C++", ("d",))]
    assert glossary.find("黒猫だ") == [("猫", ("e",))]
    file = tmp_path / "terms.tsv"
    file.write_text("\ufeffhouse\tघर\n\n# big ones\n#1\tएक\nbig  house\tवाडा\tमहाल\n", encoding="utf-8")
    assert read_glossary(file) == {"house": ("घर",), "#1": ("एक",), "big house": ("वाडा", "महाल")}
    for wrong, message in (("house\n", "line 1: must be"), ("a\tb\na\tc\n", "line 2: 'a' has an entry")):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_glossary(file)


def test_things_that_are_kept():
    text = "See (https://a.b/c?x=1), www.x.org. Mail me@a-b.co.uk: 12,000 or 3 cats 👍🏽👨‍👩‍👧 🇮🇳!"
    assert find_kept(text, ["url"], []) == [("https://a.b/c?x=1",), ("www.x.org",)]
    assert find_kept(text, ["email"], []) == [("me@a-b.co.uk",)]
    assert find_kept(text, ["number"], ["०"]) == [("12,000", "१२,०००"), ("3", "३")]
    assert find_kept(text, ["emoji"], []) == [("👍🏽",), ("👨‍👩‍👧",), ("🇮🇳",)]
    assert find_kept("1.5kg, A4, 3rd, x1/2, 3.5², $7", ["number"], []) == [("7",)]


COUNTS = "3", "$3", "3.", "(3)", "3kg", "3पेक्षा", "$३पेक्षा", "x, 3", "3, 5", "३.५ ३", "3-5", "5 3", "3猫", "猫3"
OTHERS = "13", "33", "3.5", "1.3", "3,000", "1,3", ".3", "3:30", "1/3", "3²", "3½", "3\u0305", "x3", "टी3"


def test_what_counts_as_a_number_that_is_kept(target, pieces):
    built = ConstraintBuilder(pieces, request(keep=["number"])).build("3 cats", 40, 90)
    for text in (*COUNTS, *OTHERS):
        assert built.is_met_by(target.encode(clean(text))) == (text in COUNTS), text
        assert any(has_number(clean(text), form) for form in ("3", "३")) == (text in COUNTS), text


def test_numbers_of_random_characters(target, pieces):
    """All kinds of characters around numbers, and numbers in one another."""
    rng = random.Random(5)
    built = ConstraintBuilder(pieces, request(keep=["number"])).build("3 and 3.5", 90, 90)
    found = {True: 0, False: 0}
    for _ in range(600):
        text = clean("".join(rng.choice("33355. ,:/xक猫²\u0305\u093f$३") for _ in range(rng.randint(1, 9))))
        text = text + " 3.5" if rng.random() < 0.5 else text
        expected = all(any(has_number(text, f) for f in forms) for forms in (("3", "३"), ("3.5", "३.५")))
        assert built.is_met_by(target.encode(text)) == expected, text
        found[expected] += 1
    assert min(found.values()) > 50


NAMES = [f"{name} likes {other}." for name in ("Mary", "Boston") for other in ("cats", "tea")] * 9


class Attending(Translation):
    """Each target word attends to the source word in the same place."""

    def words(self, shift=0):
        return np.eye(9), [], []


def test_names_stand_for_addresses_in_what_a_model_reads():
    config = TokenizerConfig(kind="bpe", vocab_size=320)
    source = Tokenizer(train_tokenizer(NAMES, config, "t"))
    placeholders = Placeholders(source)
    text = "😀 Mary, see https://a.b/c?x=1 🇮🇳 and tea 👍🏽 😀"
    replaced = placeholders.replace(text, KINDS)
    assert replaced.text == "Mary, see Boston and tea"
    assert placeholders.replace("Mary likes tea.", KINDS) is None
    assert placeholders.replace(text, ["number"]) is None
    said = Attending(
        *[source.encode_with_offsets(t) for t in (replaced.text, "Mary, x y z")], 0, 0, None, True, []
    )
    assert placeholders.restore(said, replaced) == "😀 Mary, x https://a.b/c?x=1 🇮🇳 z 👍🏽 😀"
    assert placeholders.is_all("😀 https://a.b!", KINDS)
    assert not placeholders.is_all("😀 a", KINDS)
    assert not placeholders.is_all("!", KINDS)


def test_a_translation_that_meets_what_is_asked(target, pieces):
    built = ConstraintBuilder(pieces, request(required=["घर"], forbidden=["लहान"])).build("x", 20, 30)
    assert built.is_met_by(target.encode("माझे घर."))
    assert not built.is_met_by(target.encode("माझे घरी."))
    assert not built.is_met_by(target.encode("लहान घर."))
    built = ConstraintBuilder(pieces, request(forbidden=["लहा"])).build("x", 20, 30)
    assert built.is_met_by(target.encode("लहान घर."))  # though search might avoid it
    assert built.often_met
    number = ConstraintBuilder(pieces, request(keep=["number"])).build("x 12", 20, 30)
    assert [number.is_assured_by(target.encode(text)) for text in ("x", "x 12", "x 12 x")] == [
        False,
        False,
        True,
    ]
    assert not built.is_assured_by(target.encode("घर."))
    both = ConstraintBuilder(pieces, request(keep=["number"], glossary={"house": "घर"}))
    assert [both.build(text, 20, 30).often_met for text in ("3 cats", "3 houses", "a house")] == [1, 1, 0]


def test_samples_are_valid_utf_8(target, pieces):
    """Of bytes at random only those that are characters, up to the end."""
    rng, free, characters = random.Random(4), WellFormedBytes(pieces.byte_tokens), set()
    for limit in [1, 2, 3, 4, 5, 12] * 30:
        tokens = walk(free.within(limit), limit, len(target), rng, list(pieces.byte_tokens.values()))
        text = target.decode(tokens)
        assert "\ufffd" not in text
        characters.update(text)
    assert {len(character.encode()) for character in characters} == {1, 2, 3, 4}


def test_within_a_character_there_is_always_a_byte_to_go_on_with(pieces):
    """All characters can be drawn: any beginning of the UTF-8 of one, and no others."""
    valid, tokens = WellFormedBytes(pieces.byte_tokens).within(30), pieces.byte_tokens
    codes = [*range(0x80, 0x800), *range(0x800, 0xD800, 64), *range(0xE000, 0x110000, 64)]
    spelt = [chr(code).encode() for code in codes]  # of the others, only the last byte differs
    beginnings = {one[:size] for one in spelt for size in range(1, len(one))}
    chosen = [one for one in beginnings if len(one) == 1] + random.Random(1).sample(sorted(beginnings), 400)
    for start in [b"", *chosen]:
        state = valid.start()
        for byte in start:
            state = valid.advance(state, tokens[byte])
        following = [start + bytes([byte]) for byte in range(256)]
        going_on = {one[-1] for one in following if one in beginnings or _is_text(one)}
        expected = going_on if start else set(range(256)) - going_on
        assert set(valid.allowed(state).tokens) == {tokens[byte] for byte in expected}, start


def test_the_next_word():
    assert next_word("मी घरी जातो.", "मी ") == "घरी"
    assert next_word("मी घरी जातो.", "मी") == " घरी"
    assert next_word("मी घरी जातो.", "मी घ") == "री"
    assert next_word("मी घरी जातो.", "मी घरी जातो") == "."
    assert next_word("मी", "मी") == ""
