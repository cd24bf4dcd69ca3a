"""A prepared model against the model it was prepared from: every step, and every translation."""

import dataclasses

import pytest
import torch
from tiny import ENGLISH, TINY, tiny_config, tiny_model, tiny_tokenizers
from torch import Tensor

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import EOS
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.model.inference.layout import Layout
from nmt.model.inference.prepared import PreparedModel

MODELS = [
    "decoder.style=luong",
    "decoder.style=luong decoder.bias=false decoder.input_feeding=false decoder.lexical=true",
    "decoder.style=luong decoder.cell=lstm decoder.layers=2 attention.heads=3 attention.coverage=true",
    "decoder.style=luong attention.score=general attention.scope=local_m attention.window=1",
    "decoder.style=luong attention.scope=local_p attention.window=1",
    "decoder.style=luong attention.scope=hard attention.score=location attention.positions=3",
    "decoder.style=bahdanau decoder.lexical=true decoder.tie_embeddings=true",
    "decoder.style=bahdanau decoder.lexical=true decoder.tie_lexical=true",
    "decoder.style=luong decoder.lexical=true decoder.tie_lexical=true decoder.tie_embeddings=false",
    "decoder.style=bahdanau attention.heads=3 attention.coverage=true",
    "decoder.style=bahdanau decoder.readout_state=previous decoder.cell=gru_reset_before decoder.layers=2",
    "decoder.style=vector decoder.cell=lstm decoder.layers=2",
    "decoder.style=vector decoder.cell=gru_reset_before",
    "decoder.style=transformer decoder.heads=3 decoder.layers=2 decoder.lexical=true",
    "decoder.style=transformer encoder.type=self_attention decoder.tie_embeddings=true decoder.embedding=12",
]
SOURCE = torch.tensor([[5, 6, 7, 8, EOS], [9, 10, EOS, 0, 0], [4, 5, 6, EOS, 0]])
# For each step: the slots of each sentence that have a row, and the parent of each row among the rows before.
STEPS = [
    ([1, 1, 1], [0, 1, 2], None),
    ([2, 1, 3], [0, 0, 1, 2, 2, 2], None),
    ([3, 1, 3], [1, 0, 1, 2, 5, 3, 4], None),
    ([1, 2], [2, 6, 4], [0, 2]),
    ([2, 2], [0, 0, 2, 1], None),
]


def layout_of(counts: list[int], width: int = 3) -> Layout:
    slots = [row * width + slot for row, count in enumerate(counts) for slot in range(count)]
    return Layout(len(counts), width, torch.tensor(slots))


@pytest.mark.parametrize("overrides", MODELS)
@torch.inference_mode()
def test_steps_are_those_of_the_model(overrides):
    """Hypotheses that come, go and change places; sentences that leave."""
    model = tiny_model(23, 29, tiny_config(overrides), double=True)
    prepared = PreparedModel(model)
    state, memory = model.encode(SOURCE, SOURCE > 0)
    own, shared = prepared.encode(SOURCE, SOURCE > 0)
    going = [0, 1, 2]
    for step, (counts, parents, stay) in enumerate(STEPS):
        going = going if stay is None else [going[i] for i in stay]
        shared = shared.arrange(None if stay is None else torch.tensor(stay), layout_of(counts))
        state, own = state.select(torch.tensor(parents)), own.select(torch.tensor(parents))
        rows = torch.tensor([going[i] for i, count in enumerate(counts) for _ in range(count)])
        tokens = (torch.arange(len(rows)) * 7 + step) % 25 + 4
        expected, state, weights = model.step(tokens, state, memory.select(rows))
        found, own, attention = prepared.step(tokens, own, shared)
        torch.testing.assert_close(found.double(), expected.double(), atol=1e-6, rtol=0)
        torch.testing.assert_close(attention, weights, atol=1e-9, rtol=0)


ONE_OF_EACH_STYLE = [MODELS[i] for i in (1, 9, 11, 13)]


@pytest.mark.parametrize(
    ("overrides", "lookahead"),
    [*((overrides, None) for overrides in MODELS), *((overrides, 1) for overrides in ONE_OF_EACH_STYLE)],
)
def test_translations_are_those_of_the_model(overrides, lookahead):
    """With one sentence at a time, and with all; greedy, beam and samples."""
    tokenizers = tiny_tokenizers()
    model = tiny_model(*(len(one) for one in tokenizers), tiny_config(overrides), seed=5)
    config = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4, lookahead=lookahead)
    for changes in ({}, {"batch_tokens": 1}, {"beam_size": 1}, {"method": "sample"}):
        changed = dataclasses.replace(config, **changes)
        plain, prepared = (
            Translator(TorchModel(one), *tokenizers, changed) for one in (model, PreparedModel(model))
        )
        nbest = min(3, changed.beam_size)
        found = prepared.translate(ENGLISH, nbest, attention=True)
        expected = plain.translate(ENGLISH, nbest, attention=True)
        for group, others in zip(found, expected, strict=True):
            for one, other in zip(group, others, strict=True):
                assert (one.target, one.finished) == (other.target, other.finished)
                assert one.score == pytest.approx(other.score, rel=1e-5)
                assert one.attention == pytest.approx(other.attention, abs=1e-5)


def test_only_live_hypotheses_are_computed(monkeypatch):
    """One row per sentence at first, and never more than the beam has slots."""
    rows: list[int] = []

    class Counting(PreparedModel):
        def step(self, tokens: Tensor, *rest):
            rows.append(len(tokens))
            return super().step(tokens, *rest)

    tokenizers = tiny_tokenizers()
    model = Counting(tiny_model(*(len(one) for one in tokenizers), TINY))
    translator = Translator(TorchModel(model), *tokenizers, DecodingConfig(beam_size=4, max_length=6))
    translator.translate(ENGLISH)
    assert rows[0] == len(ENGLISH)
    assert max(rows) == 4 * len(ENGLISH)


def test_a_model_in_training_mode_is_refused():
    model = tiny_model(23, 29).train()
    with pytest.raises(RuntimeError, match="training mode"):
        PreparedModel(model)
