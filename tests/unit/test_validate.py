"""Validation against sums over the model's own outputs."""

import math

import pytest
import torch
from tiny import ENGLISH, MARATHI, tiny_model

from nmt.config.decoding import DecodingConfig
from nmt.data.examples import Example
from nmt.data.tokenizer import BOS, EOS
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.evaluation.metrics import quick_scores
from nmt.evaluation.validate import validate


@torch.no_grad()
def test_loss_is_over_every_reference_and_attention_only_for_the_samples(tokenizers):
    source, target = tokenizers
    model = tiny_model(len(source), len(target))
    translator = Translator(TorchModel(model), source, target, DecodingConfig(beam_size=1, max_length=12))
    examples = [
        Example(text, (reference, "घर"), ("", "")) for text, reference in zip(ENGLISH, MARATHI, strict=True)
    ]
    found = validate(translator, examples, samples=2)
    total = count = 0.0
    for example in examples:
        read = torch.tensor([[*source.encode(example.source), EOS]])
        for reference in example.references:
            ids = target.encode(reference)
            previous, mask = torch.tensor([[BOS, *ids]]), torch.ones(1, len(ids) + 1, dtype=torch.bool)
            logits, _ = model(read, torch.ones_like(read, dtype=torch.bool), previous, mask)
            written = torch.tensor([*ids, EOS])
            total += float(torch.nn.functional.cross_entropy(logits, written, reduction="sum"))
            count += len(written)
    assert found.scores["loss"] == pytest.approx(total / count, rel=1e-5)
    assert found.scores["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)
    assert [one.has_attention for one in found.translations] == [True, True, False, False, False]
    assert [one.source.text for one in found.translations] == ENGLISH
    texts = [one.text for one in found.translations]
    expected = quick_scores(texts, [example.references for example in examples])
    assert {name: found.scores[name] for name in expected} == expected
    assert not any(one.has_attention for one in validate(translator, examples).translations)
