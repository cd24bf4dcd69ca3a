"""Sub-word sampling: the distribution of the segmentations, what they depend on, and batches of them."""

import itertools
import math
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tiny import MARATHI

from nmt.config.data import TokenizerConfig
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.batching import TrainingBatches
from nmt.data.bpe_dropout import BpeDropout
from nmt.data.ragged import Ragged, ragged
from nmt.data.sources.sample import SampleSource
from nmt.data.subword_sampling import SampledPairs, _Side
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.data.unigram_sampling import UnigramSampling
from nmt.errors import ConfigError

KINDS = ("bpe", "unigram")
STORED = Path(__file__).parents[1] / "data" / "format-1" / "last" / "source.model"
ODD = ["a 🙂 b", "žluťoučký kůň", "🙂🙂", "漢字 is kanji.", "x" * 40, "aaaa aaaaa"]


@cache
def sample() -> tuple[list[str], list[str]]:
    """Both sides of the bundled corpus."""
    config = Config()
    config.data.source = "sample"
    source = SampleSource(config.data)
    pairs = list(source.pairs(source.files()))
    return [pair.source for pair in pairs], [pair.target for pair in pairs]


@cache
def trained(kind: str, side: int, size: int = 600) -> Tokenizer:
    """Trained on every third sentence, so that some characters of the others are bytes."""
    config = TokenizerConfig(kind=kind, vocab_size=size)
    return Tokenizer(train_tokenizer(sample()[side][::3], config, "data.tokenizer"))


def segment(
    tokenizer: Tokenizer, segmenter, texts: list[str], seed: int = 1, epoch: int = 0
) -> list[list[int]]:
    side = _Side(ragged(tokenizer.encode_all(texts)), tokenizer, segmenter, None, (seed, 0))
    found = side.segmented(epoch)
    return [found[k].tolist() for k in range(len(found))]


# ---------------------------------------------------------------- against SentencePiece


@pytest.mark.parametrize("side", [0, 1])
def test_bpe_without_dropout_is_sentencepiece(side):
    """On every sentence of the bundled corpus, and on characters that are bytes."""
    tokenizer = trained("bpe", side)
    texts = [*sample()[side], *ODD]
    encoded = tokenizer.encode_all(texts)
    assert segment(tokenizer, BpeDropout(tokenizer, 0.0), texts) == encoded
    assert any(tokenizer._processor.is_byte(one) for ids in encoded for one in ids)
    assert max(map(len, encoded)) > 10


@pytest.mark.parametrize("side", [0, 1])
def test_a_high_power_finds_the_best_unigram_segmentation(side):
    """Or another of the same probability."""
    tokenizer = trained("unigram", side)
    texts = [*sample()[side][::5], *ODD]
    found = segment(tokenizer, UnigramSampling(tokenizer, 1000.0), texts)

    def probability(ids: list[int]) -> float:
        return sum(tokenizer.score(one) for one in ids)

    for one, best in zip(found, tokenizer.encode_all(texts), strict=True):
        assert probability(one) == pytest.approx(probability(best), abs=1e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("side", [0, 1])
def test_the_text_stays(kind, strength, side):
    tokenizer = trained(kind, side)
    make = BpeDropout if kind == "bpe" else UnigramSampling
    texts = [*sample()[side][::20], *ODD]
    found = segment(tokenizer, make(tokenizer, strength), texts)
    assert [tokenizer.decode(ids) for ids in found] == texts
    assert found != tokenizer.encode_all(texts)


# ---------------------------------------------------------------- the distribution


def outcomes(word: tuple[str, ...], ranks: dict[str, int], p: float) -> dict[tuple[str, ...], float]:
    """Algorithm 1 of Provilkov et al. 2020: the probability of each segmentation."""
    candidates = sorted(
        (ranks[a + b], k) for k, (a, b) in enumerate(itertools.pairwise(word)) if a + b in ranks
    )
    found: Counter[tuple[str, ...]] = Counter()
    for number, (_, k) in enumerate(candidates):  # the first that is not left out
        merged = (*word[:k], word[k] + word[k + 1], *word[k + 2 :])
        for result, probability in outcomes(merged, ranks, p).items():
            found[result] += p**number * (1 - p) * probability
    found[word] += p ** len(candidates)
    return found


def segmentations(word: str, scores: dict[str, float], alpha: float) -> dict[tuple[str, ...], float]:
    """Every segmentation, with P(x)^α normalised."""
    found = {}
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        ends = [*(k for k, cut in enumerate(cuts, 1) if cut), len(word)]
        pieces = tuple(word[a:b] for a, b in zip([0, *ends], ends, strict=False))
        if all(piece in scores for piece in pieces):
            found[pieces] = math.exp(alpha * sum(scores[piece] for piece in pieces))
    return {pieces: weight / sum(found.values()) for pieces, weight in found.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [0.1, 0.4])
@pytest.mark.parametrize("word", ["house", "aaaa", "school"])
def test_segmentations_have_the_probabilities_of_the_paper(kind, strength, word):
    tokenizer = trained(kind, 0)
    texts = tokenizer.texts()
    scores = {text: tokenizer.score(number) for number, text in texts.items()}
    draws = 20_000
    if kind == "bpe":
        ordered = sorted((text for text in scores if len(text) > 1), key=lambda text: -scores[text])
        ranks = {text: rank for rank, text in enumerate(ordered)}
        expected, segmenter = outcomes(tuple("▁" + word), ranks, strength), BpeDropout(tokenizer, strength)
    else:
        expected = segmentations("▁" + word, scores, strength)
        segmenter = UnigramSampling(tokenizer, strength)
    assert sum(expected.values()) == pytest.approx(1)
    found = Counter(
        tuple(texts[one] for one in ids) for ids in segment(tokenizer, segmenter, [f"{word} {word}"] * draws)
    )
    halves: Counter[tuple[str, ...]] = Counter()
    for pieces, count in found.items():
        second = pieces.index(next(one for one in pieces[1:] if one.startswith("▁")), 1)
        halves[pieces[:second]] += count
        halves[pieces[second:]] += count
    assert halves.keys() <= expected.keys()
    for pieces, probability in expected.items():
        deviation = math.sqrt(2 * draws * probability * (1 - probability))
        assert halves[pieces] == pytest.approx(2 * draws * probability, abs=4.5 * deviation + 4)
    likely = max(expected, key=expected.__getitem__)  # two words of a sentence are independent
    both = found[likely + likely] / draws
    assert both == pytest.approx(expected[likely] ** 2, abs=0.02)


# ---------------------------------------------------------------- what it depends on


def pairs(kind: str, seed: int = 1, below: int | None = None, count: int = 300, strength: float = 0.2):
    tokenizers = trained(kind, 0), trained(kind, 1)
    sides = [ragged(one.encode_all(texts[:count])) for one, texts in zip(tokenizers, sample(), strict=True)]
    return SampledPairs(*sides, tokenizers, kind, strength, below, seed, 6), sides


def same(one: Ragged, other: Ragged) -> bool:
    return np.array_equal(one.values, other.values) and np.array_equal(one.offsets, other.offsets)


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_is_a_pure_function_of_seed_and_epoch(kind, monkeypatch):
    monkeypatch.setattr("nmt.data.subword_sampling._CHUNK", 64)
    sampled, _ = pairs(kind)
    epochs = [sampled.at(epoch) for epoch in range(3)]
    for order in ([2, 0, 1], [1, 2, 1]):
        again, _ = pairs(kind)
        for epoch in order:
            assert all(map(same, again.at(epoch), epochs[epoch]))
    for one, other in itertools.combinations([*epochs, pairs(kind, seed=2)[0].at(0)], 2):
        assert not same(one.sources, other.sources)
        assert not same(one.targets, other.targets)
    for side, tokens in enumerate(epochs[0]):
        assert tokens.values.dtype == np.uint16
        tokenizer = trained(kind, side)
        texts = [tokenizer.decode(tokens[k].tolist()) for k in range(len(tokens))]
        assert texts == sample()[side][:300]


def test_the_draws_are_the_same_on_every_machine():
    """As computed when this was written, with a stored model."""
    tokenizer = Tokenizer(STORED.read_bytes())
    (found,) = segment(tokenizer, BpeDropout(tokenizer, 0.5), ["Radha was hungry today."])
    assert (
        " ".join(tokenizer.pieces()[one] for one in found) == "▁ R a d ha ▁w a s ▁ h u n g r y ▁ t o d a y ."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_only_rare_words_are_segmented_anew(kind):
    below = 8
    sampled, sides = pairs(kind, below=below, strength=0.5)
    changed = kept = 0
    for side, (found, before) in enumerate(zip(sampled.at(0), sides, strict=True)):
        texts, tokenizer = sample()[side][:300], trained(kind, side)
        counts = Counter(word for text in texts for word in text.split(" "))
        for k, text in enumerate(texts):
            pieces = [tokenizer.pieces()[one] for one in found[k].tolist()]
            usual = [tokenizer.pieces()[one] for one in before[k].tolist()]
            for word, now, then in zip(text.split(" "), by_word(pieces), by_word(usual), strict=True):
                assert now == then or counts[word] < below
                changed += now != then
                kept += counts[word] >= below
    assert changed > 100
    assert kept > 100


def by_word(pieces: list[str]) -> list[list[str]]:
    found: list[list[str]] = []
    for piece in pieces:
        if piece.startswith("▁"):
            found.append([])
        found[-1].append(piece)
    return found


def test_an_error_in_the_background_is_raised(monkeypatch):
    sampled, _ = pairs("bpe")
    monkeypatch.setattr(BpeDropout, "__call__", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sampled.at(0)


# ---------------------------------------------------------------- batches and settings


def test_batches_are_made_from_the_sampled_lengths():
    sampled, sides = pairs("bpe", strength=0.3)
    batches = TrainingBatches(*sides, 200, 1, batches_per_update=2, sampled=sampled)
    segmented = pairs("bpe", strength=0.3)[0]
    for epoch in range(2):
        plan, expected = batches.plan(epoch), segmented.at(epoch)
        assert sorted(np.concatenate(list(plan.batches)).tolist()) == list(range(300))
        assert int(plan.tokens.sum()) == len(expected.targets.values) + 300
        assert int(plan.tokens.sum()) > len(sides[1].values) + 300
        seen = 0
        for update, _ in batches.epoch(epoch):
            for batch in update.batches:
                longest = max(batch.source.shape[1], batch.target.shape[1])
                assert len(batch.source) * longest <= 200
                seen += batch.tokens
        assert seen == plan.tokens.sum()
        assert batches.count(epoch) == batches.count(5) == len(plan.batches)


def test_settings():
    config = Config()
    config.training.subword_sampling = 0.1
    check(config, {"training.subword_sampling"})
    config.training.guided_alignment = 0.1
    config.data.source, config.data.path, config.data.alignment_column = "tsv", "x.tsv", 3
    with pytest.raises(
        ConfigError, match=r"^training\.guided_alignment=0\.1: cannot be combined with training\.sub"
    ):
        check(config)


def test_words_are_split_in_marathi_too():
    tokenizer = Tokenizer(train_tokenizer(MARATHI, TokenizerConfig(vocab_size=310), "data.tokenizer"))
    found = segment(tokenizer, BpeDropout(tokenizer, 0.5), MARATHI)
    assert [tokenizer.decode(ids) for ids in found] == MARATHI
