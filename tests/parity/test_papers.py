"""`model=bahdanau2015` and `model=luong2015` against the papers' equations: NumPy, one sentence, one step at
a time, from the words of the source to the log-probabilities of the target.

The reference knows the names of the weights and nothing else of the model. Matrices that the papers write as
one and the model stores in several, or the reverse, are concatenated or split here: the equations are as
printed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny import SOURCES, TARGETS, tiny_model

from nmt.config.model import ModelConfig
from nmt.config.schema import from_dict
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.batches import collate
from nmt.data.tokenizer import BOS, EOS
from nmt.launch.compose import configs_folder
from nmt.model.translation import TranslationModel

Array = np.ndarray[Any, np.dtype[np.float64]]
Weights = dict[str, Array]
VOCABULARY = 23
BAHDANAU_SIZES = {
    "encoder": {"size": 8, "embedding": 7},
    "attention": {"size": 9},
    "decoder": {"size": 5, "embedding": 6, "readout": 3},
}
LUONG_SIZES = {"encoder": {"size": 5, "embedding": 7}, "decoder": {"size": 5, "embedding": 6}}


def named(name: str, sizes: dict[str, dict[str, Any]]) -> ModelConfig:
    """The settings of `model=name`, with other sizes."""
    text = (configs_folder() / "model" / f"{name}.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)["model"]
    for part, changes in sizes.items():
        values[part] |= changes
    config = from_dict(ModelConfig, values, name)
    check(Config(model=config))
    return config


def build(name: str, sizes: dict[str, dict[str, Any]]) -> TranslationModel:
    """The model in float64, every weight from uniform(-0.8, 0.8)."""
    model = tiny_model(VOCABULARY, VOCABULARY + 2, named(name, sizes), double=True)
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        parameter.data.uniform_(-0.8, 0.8, generator=generator)
    return model


def weights_of(model: TranslationModel) -> Weights:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max())
    result: Array = exponentials / exponentials.sum()
    return result


# ---------------------------------------------------------------- Bahdanau, Cho and Bengio 2015, appendix A


def gated_unit(W: Array, U: Array, b: Array, C: Array, s: Array, y: Array, c: Array) -> Array:
    """A.1.1, with the biases that A.2 leaves out; the rows of all matrices are r, z, s̃."""
    (W_r, W_z, W_s), (U_r, U_z, U_s), (C_r, C_z, C_s) = (np.split(matrix, 3) for matrix in (W, U, C))
    b_r, b_z, b_s = np.split(b, 3)
    r = sigmoid(W_r @ y + U_r @ s + C_r @ c + b_r)
    z = sigmoid(W_z @ y + U_z @ s + C_z @ c + b_z)
    proposed = np.tanh(W_s @ y + U_s @ (r * s) + C_s @ c + b_s)
    return (1 - z) * s + z * proposed


def bahdanau_annotations(w: Weights, source: list[int]) -> tuple[list[Array], Array]:
    """A.2.1: h_j = [→h_j ; ←h_j], and ←h_1."""
    nothing, found = np.zeros(0), []
    for direction in ("", "_reverse"):
        W, U, b = (w[f"encoder.rnn.{name}_l0{direction}"] for name in ("weight_ih", "weight_hh", "bias_ih"))
        h, states = np.zeros(U.shape[1]), {}
        order = range(len(source)) if not direction else reversed(range(len(source)))
        for j in order:
            embedded = w["source.table.weight"][source[j]]
            h = gated_unit(W, U, b, np.zeros((len(W), 0)), h, embedded, nothing)
            states[j] = h
        found.append([states[j] for j in range(len(source))])
    return [np.concatenate(pair) for pair in zip(*found, strict=True)], found[1][0]


def bahdanau2015(w: Weights, source: list[int], previous: list[int]) -> tuple[Array, Array]:
    """A.2.2: log p(y_i | y_1 … y_{i−1}, x) and α_i of every step."""
    annotations, first_backward = bahdanau_annotations(w, source)
    s = np.tanh(w["decoder.bridge.project.weight"] @ first_backward + w["decoder.bridge.project.bias"])
    W, U, b = (w[f"decoder.recurrence.rnn.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih"))
    W_a, U_a = w["decoder.attention.score.query.weight"], w["decoder.attention.score.key.weight"]
    (v_a,) = w["decoder.attention.score.energy"]
    readout, n, m = w["decoder.readout.linear.weight"], len(s), W.shape[1]
    U_o, V_o, C_o = readout[:, :n], readout[:, n : n + m], readout[:, n + m :]
    predicted, rows = [], []
    for token in previous:
        y = w["target.table.weight"][token]
        alpha = softmax(np.array([v_a @ np.tanh(W_a @ s + U_a @ h) for h in annotations]))
        c = sum((a * h for a, h in zip(alpha, annotations, strict=True)), np.zeros(len(annotations[0])))
        t = U_o @ s + V_o @ y + C_o @ c + w["decoder.readout.linear.bias"]
        t = np.array([max(t[2 * j], t[2 * j + 1]) for j in range(len(t) // 2)])
        predicted.append(np.log(softmax(w["vocabulary.weight"] @ t + w["vocabulary.bias"])))
        rows.append(alpha)
        s = gated_unit(W, U, b, w["decoder.value.weight"], s, y, c)
    return np.array(predicted), np.array(rows)


# ---------------------------------------------------------------- Luong, Pham and Manning 2015


def lstm(w: Weights, name: str, x: Array, state: tuple[Array, Array], feed: Array) -> tuple[Array, Array]:
    """Zaremba et al. 2015, §3: T is affine; the rows are i, f, g, o. `feed` are the columns of T for h̃."""
    layer = name[-1]
    rnn, (h, c) = name[:-1], state
    T = np.concatenate((w[f"{rnn}weight_ih_l{layer}"], feed, w[f"{rnn}weight_hh_l{layer}"]), axis=1)
    b = w[f"{rnn}bias_ih_l{layer}"] + w[f"{rnn}bias_hh_l{layer}"]
    i, f, g, o = np.split(T @ np.concatenate((x, h)) + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def luong_score(w: Weights, h: Array, states: list[Array]) -> Array:
    """§3.1: dot; general, whose matrix is stored times √n; concat; location (eq. 8)."""
    if "decoder.attention.score.both.weight" in w:
        W, (v,) = w["decoder.attention.score.both.weight"], w["decoder.attention.score.energy"]
        return np.array([v @ np.tanh(W @ np.concatenate((h, other))) for other in states])
    if "decoder.attention.score.position.weight" in w:
        return (w["decoder.attention.score.position.weight"] @ h)[: len(states)]
    W = np.eye(len(h))
    if "decoder.attention.score.key.weight" in w:
        W = w["decoder.attention.score.key.weight"] / np.sqrt(len(h))
    return np.array([h @ W @ other for other in states])


def luong2015(w: Weights, source: list[int], previous: list[int]) -> tuple[Array, Array]:
    """Figure 2 and §3.3: log p(y_t | y_<t, x), eq. 6, and a_t over the source in its own order."""
    layers, size = 4, w["decoder.combine.weight"].shape[0]
    state = [(np.zeros(size), np.zeros(size)) for _ in range(layers)]
    hidden_states: dict[int, Array] = {}
    for position in [*reversed(range(len(source) - 1)), len(source) - 1]:
        x = w["source.table.weight"][source[position]]
        for k in range(layers):
            state[k] = lstm(w, f"encoder.rnn.{k}", x, state[k], np.zeros((4 * size, 0)))
            x = state[k][0]
        hidden_states[position] = x
    states = [hidden_states[position] for position in range(len(source))]
    W_c = np.concatenate((w["decoder.value.weight"], w["decoder.combine.weight"]), axis=1)
    attentional, predicted, rows = np.zeros(size), [], []
    for token in previous:
        x = np.concatenate((w["target.table.weight"][token], attentional))
        for k in range(layers):
            feed = np.zeros((4 * size, 0)) if k else w["decoder.feed.weight"]
            state[k] = lstm(w, f"decoder.recurrence.rnn.{k}", x, state[k], feed)
            x = state[k][0]
        alpha = softmax(luong_score(w, x, states))
        c = sum((a * h for a, h in zip(alpha, states, strict=True)), np.zeros(size))
        attentional = np.tanh(W_c @ np.concatenate((c, x)))
        predicted.append(np.log(softmax(w["vocabulary.weight"] @ attentional)))
        rows.append(alpha)
    return np.array(predicted), np.array(rows)


# ---------------------------------------------------------------- the comparison

Reference = Callable[[Weights, list[int], list[int]], tuple[Array, Array]]
MODELS: dict[str, tuple[str, dict[str, dict[str, Any]], Reference]] = {
    "bahdanau": ("bahdanau2015", BAHDANAU_SIZES, bahdanau2015),
    **{
        score: ("luong2015", {**LUONG_SIZES, "attention": {"score": score, "size": 5}}, luong2015)
        for score in ("dot", "general", "concat", "location")
    },
}


@pytest.mark.parametrize(("name", "sizes", "reference"), MODELS.values(), ids=MODELS)
def test_model_is_the_papers(name: str, sizes: dict[str, dict[str, Any]], reference: Reference) -> None:
    """Teacher forcing over a padded batch, and step by step."""
    model, batch = build(name, sizes), collate(SOURCES, TARGETS)
    w = weights_of(model)
    with torch.no_grad():
        logits, weights = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
        state, source = model.encode(batch.source, batch.source_mask)
        stepped = []
        for tokens in batch.previous.unbind(dim=1):
            log_probabilities, state, row = model.step(tokens, state, source)
            stepped.append((log_probabilities.numpy(), row.numpy()))
    rows = iter(logits.log_softmax(dim=-1).numpy())
    for b, (tokens, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        expected, attention = reference(w, [*tokens, EOS], [BOS, *target])
        for t in range(len(expected)):
            np.testing.assert_allclose(next(rows), expected[t], atol=1e-9, rtol=0)
            np.testing.assert_allclose(stepped[t][0][b], expected[t], atol=1e-5, rtol=0)  # float32
            S = len(tokens) + 1
            np.testing.assert_allclose(weights[b, 0, t, :S], attention[t], atol=1e-9, rtol=0)
            np.testing.assert_allclose(stepped[t][1][b, 0, :S], attention[t], atol=1e-9, rtol=0)


def test_there_are_no_other_parameters() -> None:
    """None but those of the equations."""
    n, m_x, m_y, align, units, K = 4, 7, 6, 9, 3, VOCABULARY  # n of one direction of the encoder
    N, K_y = 5, VOCABULARY + 2  # N of the decoder
    encoder = 2 * 3 * n * (m_x + n + 1)
    decoder = 3 * N * (m_y + N + 2 * n + 1) + N * (n + 1)
    score = align * (N + 2 * n + 1)
    output = 2 * units * (N + m_y + 2 * n + 1) + K_y * (units + 1)
    expected = K * m_x + K_y * m_y + encoder + decoder + score + output
    model = build("bahdanau2015", BAHDANAU_SIZES)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected

    layers = sum(4 * N * (inputs + N + 2) for inputs in (m_x, m_y + N, *[N] * 6))  # PyTorch has two biases
    expected = K * m_x + K_y * m_y + layers + N * 2 * N + K_y * N
    model = build("luong2015", LUONG_SIZES)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_sizes_are_the_papers() -> None:
    """Bahdanau et al., A.2.3: n = n' = 1000, m = 620, l = 500; Luong et al., §4.1: 4 layers of 1000."""
    config = named("bahdanau2015", {})
    encoder, decoder = config.encoder, config.decoder
    assert (encoder.size, encoder.embedding, config.attention.size) == (2 * 1000, 620, 1000)
    assert (decoder.size, decoder.embedding, decoder.readout) == (1000, 620, 500)
    config = named("luong2015", {})
    for part in (config.encoder, config.decoder):
        assert (part.layers, part.size, part.embedding) == (4, 1000, 1000)
    assert (config.initialisation, config.initial_range) == ("uniform", 0.1)


def test_bahdanau_starts_as_the_appendix_has_it() -> None:
    """B.1: every recurrent matrix orthogonal, W_a and U_a from N(0, 0.001²), v_a and biases 0, the others
    from N(0, 0.01²).
    """
    sizes = {
        "encoder": {"size": 60, "embedding": 50},
        "attention": {"size": 40},
        "decoder": {"size": 30, "embedding": 50, "readout": 40},
    }
    model = tiny_model(300, 300, named("bahdanau2015", sizes))
    for name, value in model.state_dict().items():
        if "weight_hh" in name:
            for matrix in value.chunk(3):
                torch.testing.assert_close(matrix @ matrix.T, torch.eye(30), atol=1e-5, rtol=0)
        elif "bias" in name or name.endswith("score.energy"):
            assert (value == 0).all(), name
        else:
            deviation = 0.001 if ".score." in name else 0.01
            assert value.std().item() == pytest.approx(deviation, rel=0.1), name
