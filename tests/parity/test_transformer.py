"""The Transformer against PyTorch's own layers, run sentence by sentence with the same weights."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import padded_mask, random, tiny_config
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.decoders.transformer import DecoderLayer, TransformerDecoder
from nmt.model.embedding import sinusoids
from nmt.model.encoders.encoded import Encoded
from nmt.model.encoders.self_attention import EncoderLayer, SelfAttentionEncoder
from nmt.model.multi_head import MultiHeadAttention, attended
from nmt.model.positions import TargetPositions

LENGTHS, TARGET_LENGTHS = [5, 2, 3], [3, 6, 1]


def copy_attention(mine: MultiHeadAttention) -> nn.MultiheadAttention:
    size, source = mine.query.in_features, mine.key.in_features
    other = nn.MultiheadAttention(size, mine.heads, kdim=source, vdim=source, batch_first=True).double()
    maps = (mine.query, mine.key, mine.value)
    with torch.no_grad():
        if size == source:
            other.in_proj_weight.copy_(torch.cat([one.weight for one in maps]))
        else:
            for name, one in zip("qkv", maps, strict=True):
                getattr(other, f"{name}_proj_weight").copy_(one.weight)
        other.in_proj_bias.copy_(torch.cat([one.bias for one in maps]))
    other.out_proj.load_state_dict(mine.out.state_dict())
    return other


def copy_encoder_layer(mine: EncoderLayer) -> nn.TransformerEncoderLayer:
    hidden, size = mine.feedforward.fc1.weight.shape
    other = nn.TransformerEncoderLayer(size, mine.attention.heads, hidden, batch_first=True, norm_first=True)
    other.self_attn = copy_attention(mine.attention)
    other.linear1, other.linear2 = mine.feedforward.fc1, mine.feedforward.fc2
    other.norm1, other.norm2 = mine.attention_norm, mine.feedforward_norm
    return other.eval()


def copy_decoder_layer(mine: DecoderLayer) -> nn.TransformerDecoderLayer:
    hidden, size = mine.feedforward.fc1.weight.shape
    other = nn.TransformerDecoderLayer(
        size, mine.self_attention.heads, hidden, batch_first=True, norm_first=True
    )
    other.self_attn, other.multihead_attn = (
        copy_attention(mine.self_attention),
        copy_attention(mine.cross_attention),
    )
    other.linear1, other.linear2 = mine.feedforward.fc1, mine.feedforward.fc2
    other.norm1, other.norm2, other.norm3 = (
        mine.self_attention_norm,
        mine.cross_attention_norm,
        mine.feedforward_norm,
    )
    return other.eval()


def input_projection(
    module: SelfAttentionEncoder | TransformerDecoder, embedded: Tensor, positions: list[int]
) -> Tensor:
    """Embeddings [L, E] of one sentence, projected, plus position embeddings: [1, L, M]."""
    resized = (
        math.sqrt(embedded.shape[-1]) * embedded @ module.input_projection.weight.T
        + module.input_projection.bias
    )
    return (resized + sinusoids(torch.tensor(positions), resized.shape[1], like=resized)).unsqueeze(0)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """In float64 and evaluation mode, with all parameters random, those of the LayerNorms included."""
    torch.manual_seed(seed)
    for parameter in module.double().parameters():
        nn.init.uniform_(parameter, -0.8, 0.8)
    return module.eval()


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    layers=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 3]),
    positions=st.integers(1, 7),
    seed=st.integers(0, 1000),
)
def test_self_attention_encoder_is_torchs(lengths, layers, heads, positions, seed):
    config = tiny_config(
        f"encoder.layers={layers} encoder.heads={heads} encoder.positions={positions}"
    ).encoder
    encoder = randomised(SelfAttentionEncoder(ModelConfig(encoder=config), dropout=0.4), seed)
    mask = padded_mask(lengths)
    embedded = random(*mask.shape, config.embedding, seed=seed)  # non-zero padding must have no effect
    encoded = encoder(embedded, mask)
    assert torch.equal(encoded.mask, mask)
    for b, length in enumerate(lengths):
        states = input_projection(
            encoder, embedded[b, :length], [min(j, positions - 1) for j in range(length)]
        )
        for layer in encoder.layers:
            states = copy_encoder_layer(layer)(states)
        states = encoder.norm(states)[0]
        torch.testing.assert_close(encoded.states[b, :length], states, atol=1e-9, rtol=0)
        assert (encoded.states[b, length:] == 0).all()
        torch.testing.assert_close(encoded.last[b], states[-1], atol=1e-9, rtol=0)


# ---------------------------------------------------------------- the decoder

DECODERS = [
    "",
    "decoder.layers=2 decoder.heads=3",
    "decoder.layers=3 encoder.size=10",
    "decoder.layers=4 decoder.heads=1 decoder.embedding=12",
]
Case = tuple[TransformerDecoder, Tensor, Encoded]


@pytest.fixture(params=DECODERS)
def case(request: pytest.FixtureRequest) -> Case:
    config = tiny_config(f"decoder.style=transformer {request.param}")
    decoder = randomised(TransformerDecoder(config))
    mask = padded_mask(LENGTHS)
    states = random(*mask.shape, config.encoder.size, seed=1)  # non-zero padding must have no effect
    embedded = random(3, max(TARGET_LENGTHS), config.decoder.embedding, seed=2)
    return decoder, embedded, Encoded(states, mask, states[:, 0])


def forward(case: Case, target_mask: Tensor) -> tuple[Tensor, Tensor]:
    decoder, embedded, encoded = case
    return decoder(embedded, TargetPositions.of(target_mask), decoder.init_state(encoded), encoded)


def run(layers: list[DecoderLayer], states: Tensor, source: Tensor) -> Tensor:
    """PyTorch's layers on one sentence: [1, T, M] and its real source states [1, S, M']."""
    hidden = torch.ones(states.shape[1], states.shape[1], dtype=torch.bool).triu(diagonal=1)
    for layer in layers:
        states = copy_decoder_layer(layer)(states, source, tgt_mask=hidden)
    return states


def test_decoder_is_torchs(case):
    decoder, embedded, encoded = case
    features, _ = forward(case, padded_mask(TARGET_LENGTHS))
    expected = []
    for b, (S, T) in enumerate(zip(LENGTHS, TARGET_LENGTHS, strict=True)):
        states = input_projection(decoder, embedded[b, :T], list(range(T)))
        expected.append(decoder.norm(run(list(decoder.layers), states, encoded.states[b : b + 1, :S]))[0])
    torch.testing.assert_close(features, torch.cat(expected), atol=1e-9, rtol=0)


def softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score) for score in scores]
    return [value / sum(exponentials) for value in exponentials]


def test_alignment_is_the_attention_of_the_last_layer_but_one(case):
    """Garg et al. 2019, §3.1; with one layer, of that layer. softmax_j(q_t · k_j / √D) for each head."""
    decoder, embedded, encoded = case
    _, weights = forward(case, padded_mask(TARGET_LENGTHS))
    layers = list(decoder.layers)
    before, layer = (layers[:-2], layers[-2]) if len(layers) > 1 else ([], layers[0])
    for b, (S, T) in enumerate(zip(LENGTHS, TARGET_LENGTHS, strict=True)):
        source = encoded.states[b : b + 1, :S]
        states = run(before, input_projection(decoder, embedded[b, :T], list(range(T))), source)
        normal, hidden = (
            layer.self_attention_norm(states),
            torch.ones(T, T, dtype=torch.bool).triu(diagonal=1),
        )
        attended, _ = copy_attention(layer.self_attention)(normal, normal, normal, attn_mask=hidden)
        queries = layer.cross_attention.query(layer.cross_attention_norm(states + attended))[0]
        keys, K = layer.cross_attention.key(source)[0], layer.cross_attention.heads
        for k in range(K):
            D = queries.shape[1] // K
            for t in range(T):
                q = queries[t, k * D : (k + 1) * D].tolist()
                slices = keys[:, k * D : (k + 1) * D].tolist()
                scores = [sum(x * y for x, y in zip(q, key, strict=True)) / math.sqrt(D) for key in slices]
                expected = softmax(scores) + [0.0] * (max(LENGTHS) - S)
                assert weights[b, k, t].tolist() == pytest.approx(expected, abs=1e-9)


def test_cached_steps_equal_all_steps_at_once(case):
    decoder, embedded, encoded = case
    everything = torch.ones(3, embedded.shape[1], dtype=torch.bool)
    features, weights = forward(case, everything)
    state, memory = decoder.init_state(encoded), decoder.prepare(encoded)
    for t, vector in enumerate(embedded.unbind(dim=1)):
        found, after, row = decoder.step(vector, state, memory)
        torch.testing.assert_close(found, features.view(3, -1, decoder.size)[:, t], atol=1e-12, rtol=0)
        torch.testing.assert_close(row, weights[:, :, t], atol=1e-12, rtol=0)
        assert all(part.shape[2] == t for part in (*state.keys, *state.values))  # unchanged
        state = after


def test_stepping_on_from_rows_chosen_anew(case):
    """Hypotheses of a beam diverge: each has its own keys and values."""
    decoder, embedded, encoded = case
    state, memory = decoder.init_state(encoded), decoder.prepare(encoded)
    _, state, _ = decoder.step(embedded[:, 0], state, memory)
    index, other = torch.tensor([1, 1, 0]), embedded[:, 1] + torch.arange(3.0).unsqueeze(1)
    found, _, rows = decoder.step(other, state.select(index), memory.select(index))
    for b, chosen in enumerate(index.tolist()):
        alone = Encoded(*(part[chosen : chosen + 1] for part in encoded))
        pair = torch.stack((embedded[chosen, 0], other[b])).unsqueeze(0)
        features, weights = forward((decoder, pair, alone), torch.ones(1, 2, dtype=torch.bool))
        torch.testing.assert_close(found[b], features[1], atol=1e-12, rtol=0)
        torch.testing.assert_close(rows[b], weights[0, :, 1], atol=1e-12, rtol=0)


def test_mixed_precision_on_a_cpu_attends_in_float32():
    mask = padded_mask(LENGTHS)[:, None, None, :]
    shape = len(LENGTHS), 2, max(LENGTHS), 8
    parts = [random(*shape, seed=seed).bfloat16().requires_grad_() for seed in range(3)]
    exact = [part.detach().double().requires_grad_() for part in parts]
    with torch.autocast("cpu", torch.bfloat16):
        found = attended(*parts, mask)
    wanted = nn.functional.scaled_dot_product_attention(*exact, attn_mask=mask)
    found.backward(torch.ones_like(found))
    wanted.backward(torch.ones_like(wanted))
    for one, other in [(found, wanted), *((a.grad, b.grad) for a, b in zip(parts, exact, strict=True))]:
        assert one.dtype == torch.bfloat16  # half a unit in the last place
        torch.testing.assert_close(one.double(), other, rtol=2**-8, atol=1e-7)
