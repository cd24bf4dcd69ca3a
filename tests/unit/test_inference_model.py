"""What a translator can use: a model in NumPy, an ensemble, a model in evaluation mode; and from several
threads at the same time.
"""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sacrebleu.metrics.chrf import CHRF
from tiny import ENGLISH, MARATHI, TINY, tiny_model, with_decoder
from torch import Tensor, nn

from nmt.config.decoding import DecodingConfig, MbrConfig, SamplingConfig
from nmt.data.tokenizer import BOS, EOS
from nmt.decoding.arrays import ArrayAttention, ArrayStep
from nmt.decoding.interface import Query, Rows
from nmt.decoding.result import Translation
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.model.inference.step_model import InferenceModel, MemoryT, StateT
from nmt.model.mode import check_evaluating, evaluating
from nmt.model.translation import DropoutRates, TranslationModel

DECODING = DecodingConfig(beam_size=3, max_length_factor=2.0, max_length_extra=4)


def sampling(batch_tokens: int = 4096, **changes: float) -> DecodingConfig:
    """Settings that draw translations."""
    config = SamplingConfig(**changes)
    return dataclasses.replace(DECODING, method="sample", batch_tokens=batch_tokens, sampling=config)


TARGETS = ["घर", "कुत्रा मांजर पाहतो.", "तो", "माझे घर कुठे आहे?", "मांजर"]


# ---------------------------------------------------------------- a model in NumPy


class CopyState(NamedTuple):
    position: int
    tokens: np.ndarray  # [B, S]


class CopyModel:
    """Copies the source token by token through a table, token i to `table[i]`; then end-of-sentence.

    The next token has probability 0.9, the other tokens share the rest. Attention is one at the token copied.
    """

    heads = 1

    def __init__(self, table: dict[int, int], size: int) -> None:
        self.table, self.size = table | {EOS: EOS}, size

    def encode(self, source: np.ndarray, mask: np.ndarray) -> CopyState:
        return CopyState(0, source * mask)

    def step(self, state: CopyState, rows: Rows) -> ArrayStep[CopyState]:
        sentences = state.tokens if rows.going is None else state.tokens[rows.going]
        N, S = len(rows.tokens), sentences.shape[1]
        predicted = np.full((N, self.size), math.log(0.1 / (self.size - 1)), np.float32)
        attention = np.zeros((N, 1, S), np.float32)
        for row, sentence in enumerate(sentences[rows.sentences]):
            position = min(state.position, int((sentence == EOS).argmax()))
            predicted[row, self.table[int(sentence[position])]] = math.log(0.9)
            attention[row, 0, position] = 1.0
        return ArrayStep(predicted, CopyState(state.position + 1, sentences), ArrayAttention(attention))

    def score(self, source, source_mask, previous, target, target_mask, attention: bool):
        state, (N, T) = self.encode(source, source_mask), target.shape
        scores, weights = np.zeros((N, T), np.float32), np.zeros((N, 1, T, source.shape[1]), np.float32)
        for t in range(T):
            one = np.ones(N, np.int64)
            step = self.step(state, Rows(previous[:, t], np.arange(N), one, None, 1))
            scores[:, t] = step.read(Query(1, one[:0], named=(np.arange(N), target[:, t]))).named
            state, weights[:, :, t] = step.state, step.attention.numpy()
        return scores, weights if attention else None


def forced(
    model: InferenceModel[StateT, MemoryT], source: Tensor, mask: Tensor, previous: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """`score` of any model, step by step."""
    state, memory = model.encode(source, mask)
    scores, rows = [], []
    for read, written in zip(previous.T, target.T, strict=True):
        predicted, state, attention = model.step(read, state, memory)
        scores.append(predicted.gather(1, written[:, None]).squeeze(1))
        rows.append(attention)
    return torch.stack(scores, dim=1), torch.stack(rows, dim=2)


def test_a_model_in_numpy_translates_and_aligns(tokenizers):
    source, _ = tokenizers
    swapped = {source.encode("a")[-1]: source.encode("o")[-1]}
    model = CopyModel({token: token for token in range(len(source))} | swapped, len(source))
    translator = Translator(model, source, source, DECODING)
    texts = ["go", "a go", "", "The dog sees the cat."]
    found = translator.translate(texts, attention=True)
    for text, (one,) in zip(texts, found, strict=True):
        expected = [swapped.get(token, token) for token in source.encode(text)]
        assert one.target.ids == expected
        assert one.finished == bool(text)
        length = len(expected) + 1
        assert one.log_probability == pytest.approx(bool(text) * length * math.log(0.9), rel=1e-5)
        if text:
            assert np.array_equal(one.mean_attention, np.eye(length))
    pairs = [texts[i] for i in (1, 3)], [found[i][0].text for i in (1, 3)]
    for one, i in zip(translator.align(*pairs, attention=True), (1, 3), strict=True):
        assert one.log_probability == pytest.approx(found[i][0].log_probability)
        assert np.array_equal(one.mean_attention, np.eye(len(found[i][0].target.ids) + 1))
    likely = Translator(model, source, source, sampling(temperature=0.01)).translate(texts)
    assert [one.target for (one,) in likely] == [one.target for (one,) in found]


# ---------------------------------------------------------------- an ensemble


@dataclass(frozen=True)
class MemberStates:
    """States, or memories, of the models of an ensemble."""

    of: tuple

    def select(self, index: Tensor) -> "MemberStates":
        return MemberStates(tuple(one.select(index) for one in self.of))


class Average:
    """Averages the probabilities, and the attention, of two models."""

    def __init__(self, *models: TranslationModel) -> None:
        self.models = models
        self.device, self.heads = models[0].device, models[0].heads

    def encode(self, source: Tensor, mask: Tensor) -> tuple[MemberStates, MemberStates]:
        states, memories = zip(*(model.encode(source, mask) for model in self.models), strict=True)
        return MemberStates(states), MemberStates(memories)

    def step(
        self, tokens: Tensor, state: MemberStates, memory: MemberStates
    ) -> tuple[Tensor, MemberStates, Tensor]:
        found = [
            model.step(tokens, *own) for model, *own in zip(self.models, state.of, memory.of, strict=True)
        ]
        predicted, states, attention = zip(*found, strict=True)
        average = torch.stack(predicted).exp().mean(dim=0).log()
        return average, MemberStates(states), torch.stack(attention).mean(dim=0)

    def score(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        return forced(self, source, source_mask, previous, target)


def models(tokenizers, *configs) -> list[TranslationModel]:
    sizes = [len(one) for one in tokenizers]
    return [tiny_model(*sizes, config, seed) for seed, config in enumerate(configs, 1)]


def test_two_models_translate_together(tokenizers):
    """Models with different states. An ensemble of a model with itself is that model."""
    recurrent, other = models(tokenizers, TINY, with_decoder(TINY, style="luong"))
    alone, doubled, mixed = (
        Translator(TorchModel(model), *tokenizers, DECODING)
        for model in (recurrent, Average(recurrent, recurrent), Average(recurrent, other))
    )
    for one, two in zip(*(t.translate(ENGLISH, 3, attention=True) for t in (alone, doubled)), strict=True):
        assert [item.target for item in one] == [item.target for item in two]
        for item, again in zip(one, two, strict=True):
            assert item.score == pytest.approx(again.score, abs=1e-5)
            assert item.attention == pytest.approx(again.attention, abs=1e-5)
    both = [Translator(TorchModel(model), *tokenizers, DECODING) for model in (recurrent, other)]
    together = mixed.align(ENGLISH, TARGETS, attention=True)
    apart = [one.align(ENGLISH, TARGETS, attention=True) for one in both]
    for found, one, two in zip(together, *apart, strict=True):
        assert found.attention[:, 0] == pytest.approx(
            (one.attention[:, 0] + two.attention[:, 0]) / 2, abs=1e-5
        )
        assert found.log_probability > (one.log_probability + two.log_probability) / 2  # by Jensen
    for best in mixed.translate(ENGLISH, 2, attention=True):
        assert all(item.mean_attention.sum(axis=1) == pytest.approx(1, abs=1e-5) for item in best)


def test_scores_are_those_of_the_steps(tokenizers):
    """The parallel pass of a model is the step-by-step pass of the tests above."""
    for model in models(tokenizers, TINY, with_decoder(TINY, style="transformer", heads=3)):
        source, target = (
            torch.tensor([[5, 6, 7, EOS], [8, EOS, 0, 0]]),
            torch.tensor([[9, 4, EOS], [EOS, 0, 0]]),
        )
        mask, real = source > 0, target > 0
        previous = torch.tensor([[BOS, 9, 4], [BOS, 0, 0]])
        with torch.inference_mode():
            scores, weights = model.score(source, mask, previous, target, real)
            expected, rows = forced(model, source, mask, previous, target)
        torch.testing.assert_close(scores, expected * real, atol=1e-5, rtol=0)
        torch.testing.assert_close(weights[0], rows[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(weights[1, :, 0], rows[1, :, 0], atol=1e-5, rtol=0)


# ---------------------------------------------------------------- training and evaluation mode


def test_a_model_in_training_mode_is_refused(tokenizers):
    """Also if only one module of it is: dropout would change the results."""
    (model,) = models(tokenizers, TINY)
    translator, sampler = (
        Translator(TorchModel(model), *tokenizers, config) for config in (DECODING, sampling())
    )
    calls = (
        lambda: translator.translate(ENGLISH),
        lambda: sampler.translate(ENGLISH),
        lambda: translator.align(ENGLISH, MARATHI),
    )
    for module in (model, model.decoder, model.source):
        module.train()
        for call in calls:
            with pytest.raises(RuntimeError, match="training mode"):
                call()
        assert module.training
        model.eval()
    for call in calls:
        assert len(call()) == len(ENGLISH)


def test_evaluating_turns_dropout_off_and_restores_every_module(tokenizers):
    sizes = [len(one) for one in tokenizers]
    model = tiny_model(*sizes, dropout=DropoutRates(0.5, 0.5)).train()
    model.encoder.eval()
    before = [module.training for module in model.modules()]
    assert len(set(before)) == 2
    translator = Translator(TorchModel(model), *tokenizers, DECODING)
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        first, second = (translator.align(ENGLISH, MARATHI) for _ in range(2))
    assert first == second
    assert [module.training for module in model.modules()] == before
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / 0
    assert [module.training for module in model.modules()] == before


def test_the_check_looks_at_every_module():
    nested = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Dropout())).eval()
    check_evaluating(nested)
    nested[1][0].train()
    with pytest.raises(RuntimeError):
        check_evaluating(nested)


# ---------------------------------------------------------------- threads


@pytest.mark.parametrize("style", ["bahdanau", "luong", "transformer"])
def test_threads_get_what_one_thread_gets(tokenizers, style):
    """Every thread does other things in another order, with one translator; the mode never changes."""
    modes: set[bool] = set()

    class Model(TranslationModel):
        def train(self, mode: bool = True) -> "Model":
            modes.add(mode)
            return super().train(mode)

    (model,) = models(tokenizers, with_decoder(TINY, style=style, heads=3))
    model.__class__ = Model
    translator, sampler = (
        Translator(TorchModel(model), *tokenizers, config) for config in (DECODING, sampling(seed=3))
    )
    work = [
        lambda: translator.translate(ENGLISH, nbest=2, attention=True),
        lambda: translator.translate(ENGLISH[::-1], attention=[1]),
        lambda: translator.translate(ENGLISH[:2]),
        lambda: [translator.align(ENGLISH, TARGETS, attention=True)],
        lambda: sampler.translate(ENGLISH, nbest=2),
    ]
    expected = [plain(one()) for one in work]
    with ThreadPoolExecutor(max_workers=8) as pool:
        jobs = [(i, pool.submit(work[i])) for turn in range(6) for i in (turn % 5, *range(5))]
        for i, job in jobs:
            assert plain(job.result()) == expected[i]
    assert modes == set()
    assert not model.training


def plain(found: list[list[Translation]]) -> list:
    """As values that can be compared, exactly."""
    return [
        (dataclasses.replace(one, attention=None), None if one.attention is None else one.attention.tolist())
        for group in found
        for one in group
    ]


# ---------------------------------------------------------------- sampling, minimum Bayes risk


def test_samples_depend_on_the_text_and_the_seed_only(tokenizers):
    (model,) = models(tokenizers, TINY)
    make = lambda **changes: Translator(TorchModel(model), *tokenizers, sampling(**changes))  # noqa: E731
    translator, small = make(seed=5), make(seed=5, batch_tokens=1)
    texts = [*ENGLISH, "", *ENGLISH[::-1]]
    found = translator.translate(texts, nbest=3, attention=True)
    assert [group[0].source.text for group in found] == texts
    assert [one.text for one in found[5]] == [""]
    targets = [[one.target for one in group] for group in found]
    assert targets[:5] == targets[:5:-1]  # the same text, in any place
    assert len({one.text for one in targets[0]}) > 1
    for again in (
        translator.translate(texts, nbest=3),
        small.translate(texts, nbest=3),
        translator.translate(texts[:4], nbest=3) + translator.translate(texts[4:], nbest=3),
    ):
        assert [[one.target for one in group] for group in again] == targets
    (first,) = translator.translate(texts[:1])
    assert [one.target for one in first] == targets[0][:1]  # however many there are
    assert [[one.target for one in group] for group in make(seed=6).translate(texts, nbest=3)] != targets
    for one in (one for group in found for one in group if one.source.ids):
        assert one.mean_attention.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert one.score == pytest.approx(one.log_probability / (len(one.target.ids) + one.finished))


def test_cold_samples_are_the_greedy_translations(tokenizers, monkeypatch):
    """Without the rule that samples are valid UTF-8, which greedy search does not have, and with a greedy
    search that does not give up loops.
    """
    monkeypatch.setattr(Translator, "_well_formed_bytes", None)
    (model,) = models(tokenizers, TINY)
    greedy, cold = (
        Translator(TorchModel(model), *tokenizers, config)
        for config in (
            dataclasses.replace(DECODING, beam_size=1, lookahead=None),
            sampling(temperature=1e-6),
        )
    )
    for (one,), (best,) in zip(cold.translate(ENGLISH), greedy.translate(ENGLISH), strict=True):
        assert (one.target, one.finished) == (best.target, best.finished)
        assert one.score == pytest.approx(best.score)


@pytest.mark.parametrize("candidates", ["nbest", "samples"])
def test_minimum_bayes_risk_chooses_among_the_candidates(tokenizers, candidates):
    (model,) = models(tokenizers, TINY)
    mbr = MbrConfig(candidates, 6)
    config = dataclasses.replace(DECODING, method="mbr", mbr=mbr)
    translator = Translator(TorchModel(model), *tokenizers, config)
    source = {"nbest": dataclasses.replace(DECODING, beam_size=6), "samples": sampling(seed=1)}[candidates]
    others = Translator(TorchModel(model), *tokenizers, source).translate(ENGLISH, nbest=6)
    found = translator.translate(["", *ENGLISH], nbest=4, attention=True)
    assert [one.text for one in found[0]] == [""]
    for group, all_of_them in zip(found[1:], others, strict=True):
        texts = [one.text for one in all_of_them]
        weights = [math.exp(one.log_probability) if candidates == "nbest" else 1.0 for one in all_of_them]
        utility = {
            text: sum(w * CHRF().sentence_score(text, [r]).score for r, w in zip(texts, weights, strict=True))
            / sum(weights)
            for text in texts
        }
        ranked = sorted(utility.values(), reverse=True)[: len(group)]
        assert len(group) == min(4, len(utility))
        assert [one.score for one in group] == pytest.approx(ranked)
        assert [one.score for one in group] == pytest.approx([utility[one.text] for one in group])
        for one in group:
            assert one.attention.shape[1] == len(one.target.ids) + one.finished
