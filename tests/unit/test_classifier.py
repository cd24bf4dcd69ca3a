"""The pooling head and the classifier of sentences."""

import pytest
import torch
from tiny import padded_mask, random, tiny_config

from nmt.model.classifier import SentenceClassifier
from nmt.model.encoders.encoded import Encoded
from nmt.model.pooling import POOLINGS, PoolingHead

AVERAGES = ("mean", "attention_pooling", "luong_pooling")


def encoded(seed: int = 0) -> Encoded:
    mask = padded_mask([4, 2, 1])
    return Encoded(random(3, 4, 6, seed=seed) * mask.unsqueeze(-1), mask, random(3, 6, seed=seed + 1))


@pytest.mark.parametrize("kind", POOLINGS)
def test_the_head_is_linear_in_the_pooled_states(kind):
    head, states = PoolingHead(kind, 6, 5).double(), encoded()
    expected = head.pooling(states) @ head.project.weight.T + head.project.bias
    assert torch.allclose(head(states), expected)
    assert head(states).shape == (3, 5)


@pytest.mark.parametrize("kind", AVERAGES)
def test_weights_are_a_distribution_over_real_tokens(kind):
    torch.manual_seed(1)
    pooling, states = POOLINGS[kind](6).double(), encoded()
    weights = pooling.weights(states)
    assert torch.allclose(weights.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert (weights[~states.mask] == 0).all()
    context = torch.stack(
        [sum(w * h for w, h in zip(*row, strict=True)) for row in zip(weights, states.states, strict=True)]
    )
    if kind == "luong_pooling":
        context = torch.cat((context, states.last), dim=-1) @ pooling.combine.weight.T
        context = context.tanh()
    assert torch.allclose(pooling(states), context)


@pytest.mark.parametrize("kind", POOLINGS)
def test_the_classifier_ignores_padding_and_neighbours(kind):
    torch.manual_seed(0)
    model = SentenceClassifier(tiny_config(f"bridge={kind}"), 23, 0, 3).eval()
    tokens = torch.tensor([[5, 6, 7, 3], [8, 3, 0, 0]])
    with torch.no_grad():
        together = model(tokens, tokens != 0)
        alone = model(tokens[1:, :2], tokens[1:, :2] != 0)
    assert together.shape == (2, 3)
    assert torch.allclose(together[1:], alone, atol=1e-6)


def test_it_learns_what_the_sentence_contains():
    torch.manual_seed(0)
    model = SentenceClassifier(tiny_config("bridge=attention_pooling"), 23, 0, 2)
    tokens = torch.randint(5, 23, (40, 4), generator=torch.Generator().manual_seed(1))
    labels = (tokens == 9).any(dim=1).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(tokens, tokens != 0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(tokens, tokens != 0).argmax(dim=1) == labels).float().mean() > 0.95
