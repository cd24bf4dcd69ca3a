"""An exported model against the model in PyTorch that it was exported from."""

import functools
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="needs the extra `export`")

import onnxruntime
from eight_bits import in_8_bits
from every_model import MODELS, small_batch, small_model
from onnx import TensorProto, helper
from tiny import ENGLISH, tiny_config, tiny_model, tiny_tokenizers

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import BOS, EOS, PAD, UNK
from nmt.decoding.arrays import ArrayStep
from nmt.decoding.interface import Query, Rows
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.export.onnx.batch_invariance import swap_scores
from nmt.export.onnx.export_folder import exported_files, write_exported
from nmt.model.translation import TranslationModel
from nmt.onnx.exported import About, open_exported
from nmt.onnx.names import FP32
from nmt.onnx.onnx_model import OnnxModel

QUICK_MODEL = (
    "decoder.style=luong decoder.cell=lstm decoder.layers=2 encoder.cell=lstm attention.heads=3 "
    "attention.coverage=true attention.scope=local_m attention.window=1 decoder.lexical=true"
)
SLOW_MODELS = [
    "decoder.style=luong encoder.cell=gru_reset_before encoder.layers=2 attention.scope=local_m "
    "attention.window=1 attention.score=general",
    "decoder.style=luong encoder.bidirectional=false encoder.reverse=true bridge=mean",
    "decoder.style=bahdanau decoder.readout_state=previous decoder.cell=gru_reset_before decoder.layers=2 "
    "bridge=attention_pooling",
    "decoder.style=luong attention.scope=hard attention.score=location attention.positions=3 "
    "bridge=luong_pooling",
    "decoder.style=vector decoder.cell=gru_reset_before bridge=backward",
    "decoder.style=transformer encoder.type=self_attention encoder.positions=3",
    "decoder.style=bahdanau encoder.type=convolutional encoder.positions=3 bridge=last",
]
CASES = [
    QUICK_MODEL,
    *(pytest.param(name, marks=pytest.mark.slow) for name in (*SLOW_MODELS, *MODELS)),
]
# For each step: the rows of each sentence, the parent of each row, and the sentences that go on.
STEPS = [
    ([1, 1, 1, 1], [0, 1, 2, 3], None),
    ([2, 1, 3, 2], [0, 0, 1, 2, 2, 2, 3, 3], None),
    ([3, 1, 3], [1, 0, 1, 2, 7, 6, 7], [0, 1, 3]),
    ([1, 3], [2, 6, 4, 4], [0, 2]),
    ([2], [3, 1], [1]),
    ([3], [0, 0, 1], None),
]


def model_of(case: str) -> TranslationModel:
    if "=" not in case:
        return small_model(case).eval()
    return tiny_model(*(len(one) for one in tiny_tokenizers()), tiny_config(case), seed=5)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory):
    """Exports a model once."""

    @functools.cache
    def export(case: str) -> Path:
        folder = tmp_path_factory.mktemp("exported") / "model"
        logging.disable()  # pytest would keep what the exporter traces, in ten times the time
        try:
            write_exported(folder, files_of(model_of(case)))
        finally:
            logging.disable(logging.NOTSET)
        return folder

    return export


@pytest.fixture(scope="module")
def exported(folder_of):
    """A model, and what was exported."""
    return functools.cache(lambda case: (model_of(case), open_exported(folder_of(case), threads=1)))


@pytest.fixture(scope="module")
def in_eight_bits(folder_of):
    """A model that was exported in 8 bits."""

    @functools.cache
    def convert(case: str) -> OnnxModel:
        folder = folder_of(case)
        return open_exported(in_8_bits(folder, folder.with_name("int8")), threads=1).model

    return convert


def files_of(model: TranslationModel) -> dict[str, bytes]:
    return exported_files(model, tiny_tokenizers(), tiny_config(), DecodingConfig(), About("tiny", 50), FP32)


def sources(lengths: list[int], width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    mask = np.arange(width or max(lengths)) < np.array(lengths)[:, None]
    tokens = generator.integers(4, 22, mask.shape) * mask
    tokens[np.arange(len(lengths)), np.array(lengths) - 1] = EOS
    return tokens, mask


@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_the_model(case, exported):
    """Hypotheses that come, go and change places; sentences that leave; a sentence of one token."""
    model, (found, *_) = exported(case)
    expected = TorchModel(model)
    source, mask = sources([5, 3, 1, 9], width=11)
    mine, theirs = found.encode(source, mask), expected.encode(source, mask)
    for number, (counts, parents, going) in enumerate(STEPS):
        tokens = (np.arange(len(parents)) * 7 + number) % 19 + 3
        rows = Rows(tokens, np.array(parents), np.array(counts), going and np.array(going), 3)
        step, other = found.step(mine, rows), expected.step(theirs, rows)
        assert isinstance(other, ArrayStep)
        np.testing.assert_allclose(step.log_probabilities(), other.log_probabilities(), atol=2e-5, rtol=0)
        np.testing.assert_allclose(step.attention.numpy(), other.attention.numpy()[..., :11], atol=1e-5)
        mine, theirs = step.state, other.state


@pytest.mark.parametrize("case", CASES)
def test_what_search_reads_is_what_the_predictions_say(case, exported):
    _, (found, *_) = exported(case)
    source, mask = sources([5, 3, 1, 9])
    step = found.step(
        found.encode(source, mask), Rows(np.full(4, BOS), np.arange(4), np.ones(4, int), None, 3)
    )
    best = int(step.log_probabilities()[0].argmax())
    bans = np.array([0, 2]), np.array([best, 5])
    named = np.array([1, 1]), np.array([PAD, 7])
    for query in (
        Query(4, np.array([PAD, UNK, BOS]), named=named),
        Query(4, np.array([best])),
        Query(4, np.array([UNK]), bans=bans, attention=True),
        Query(9, np.array([PAD])),
    ):
        answer = step.read(query)
        expected = ArrayStep(step.predicted, step.state, step.attention).read(query)
        for one, other in zip(answer, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("case", CASES)
def test_forced_decoding_is_that_of_the_model(case, exported):
    model, (found, *_) = exported(case)
    batch = small_batch()
    given = (batch.source, batch.source_mask, batch.previous, batch.target, batch.target_mask)
    scores, weights = found.score(*(part.numpy() for part in given), attention=True)
    with torch.inference_mode():
        expected_scores, expected_weights = model.score(*given)
    real = batch.target_mask.numpy()
    np.testing.assert_allclose(scores[real], expected_scores.numpy()[real], atol=2e-5, rtol=0)
    np.testing.assert_allclose(
        weights.swapaxes(1, 2)[real], expected_weights.numpy().swapaxes(1, 2)[real], atol=1e-5
    )


@pytest.mark.parametrize("case", CASES)
def test_translations_are_those_of_the_model(case, exported):
    model, (found, *tokenizers, _, _) = exported(case)
    if "=" not in case:
        pytest.skip("its vocabulary is not that of the tokenizers")
    for config in (DecodingConfig(beam_size=4, max_length=9), DecodingConfig(beam_size=1, max_length=9)):
        mine, theirs = (Translator(one, *tokenizers, config) for one in (found, TorchModel(model)))
        pairs = zip(
            mine.translate(ENGLISH, attention=True), theirs.translate(ENGLISH, attention=True), strict=True
        )
        for (one, *_), (other, *_) in pairs:
            assert (one.target, one.finished) == (other.target, other.finished)
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
            np.testing.assert_allclose(one.attention, other.attention, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_sentence_does_not_depend_on_its_neighbours(case, exported, in_eight_bits):
    """In 8 bits a difference in the last bit of a number could become one of 1e-3, where it is rounded."""
    for found, tolerance in (
        (exported(case)[1].model, 1e-5),
        (in_eight_bits(case), 1e-5 * (case != QUICK_MODEL)),
    ):
        lengths = [5, 3, 200, 2, 9]
        source, mask = sources(lengths)
        rows = Rows(np.full(5, BOS), np.arange(5), np.ones(5, int), None, 4)
        together = found.step(found.encode(source, mask), rows)
        together = found.step(together.state, rows._replace(tokens=np.arange(5) + 7))
        for number, length in enumerate(lengths):
            one = Rows(np.array([BOS]), np.array([0]), np.array([1]), None, 4)
            chosen = np.s_[number : number + 1, :length]
            alone = found.step(found.encode(source[chosen], mask[chosen]), one)
            alone = found.step(alone.state, one._replace(tokens=np.array([number + 7])))
            np.testing.assert_allclose(
                alone.log_probabilities()[0], together.log_probabilities()[number], atol=tolerance, rtol=0
            )


def test_eight_bits_are_close(exported, in_eight_bits):
    batch = small_batch()
    given = (batch.source, batch.source_mask, batch.previous, batch.target, batch.target_mask)
    arrays = [part.numpy() for part in given]
    models = (exported(QUICK_MODEL)[1].model, in_eight_bits(QUICK_MODEL))
    (scores, weights), (others, other_weights) = (one.score(*arrays, attention=True) for one in models)
    difference = np.abs(scores - others)[arrays[-1]]
    assert 0 < difference.max() < 0.05
    assert 0 < np.abs(weights - other_weights).max() < 0.05


def test_the_scores_of_attention_do_not_depend_on_the_longest_sentence():
    """ONNX Runtime would cut sums of 384 products into parts for one number of source positions, and not for
    another one.
    """
    random = np.random.default_rng(1)
    queries, keys = (random.normal(size=(2, 1, rows, 384)).astype("f4") for rows in (5, 200))
    shapes = {"x": ["B", 1, "K", 384], "z": ["B", 1, "S", 384]}
    nodes = [
        helper.make_node("Transpose", ["z"], ["columns"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["x", "columns"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scores",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    swap_scores(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": queries, "z": keys})
    np.testing.assert_allclose(expected, queries @ keys.swapaxes(2, 3), atol=1e-4)
    for length in (2, 7, 33, 130):
        for count in (2, 5):
            given = {"x": queries[:, :, :count], "z": keys[:, :, :length]}
            (found,) = session.run(None, given)
            np.testing.assert_array_equal(found, expected[:, :, :count, :length])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda scores, keys: scores if keys.sum() > 0 else -scores, "cannot be exported to ONNX"),
        pytest.param(
            lambda scores, keys: scores * len(keys), "works only with one size of", marks=pytest.mark.slow
        ),
    ],
)
def test_a_model_that_cannot_be_exported_is_refused(monkeypatch, wrong, message):
    """A score that looks at its numbers, and one that works with one size only."""
    from nmt.errors import ConfigError
    from nmt.model.attention.scores.additive import AdditiveScore

    forward = AdditiveScore.forward
    monkeypatch.setattr(
        AdditiveScore, "forward", lambda self, query, keys: wrong(forward(self, query, keys), keys)
    )
    logging.disable()  # as above
    try:
        with pytest.raises(ConfigError, match=message) as caught:
            files_of(model_of("decoder.style=luong"))
    finally:
        logging.disable(logging.NOTSET)
    assert "\n" not in str(caught.value)
