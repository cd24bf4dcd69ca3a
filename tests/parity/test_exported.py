"""An exported model against the model in PyTorch that it was exported from."""

import functools
import logging

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="needs the extra `export`")

from every_model import MODELS, small_batch, small_model
from tiny import ENGLISH, tiny_config, tiny_model, tiny_tokenizers

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import BOS, EOS, PAD, UNK
from nmt.decoding.arrays import ArrayStep
from nmt.decoding.interface import Query, Rows
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.export.onnx.export_folder import exported_files, write_exported
from nmt.model.translation import TranslationModel
from nmt.onnx.exported import About, Exported, open_exported

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
def exported(tmp_path_factory: pytest.TempPathFactory):
    """Exports a model once."""

    @functools.cache
    def export(case: str) -> tuple[TranslationModel, Exported]:
        folder = tmp_path_factory.mktemp("exported") / "model"
        model = model_of(case)
        logging.disable()  # pytest would keep what the exporter traces, in ten times the time
        try:
            write_exported(folder, files_of(model))
        finally:
            logging.disable(logging.NOTSET)
        return model, open_exported(folder, threads=1)

    return export


def files_of(model: TranslationModel) -> dict[str, bytes]:
    return exported_files(model, tiny_tokenizers(), tiny_config(), DecodingConfig(), About("tiny", 50))


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
def test_a_sentence_does_not_depend_on_its_neighbours(case, exported):
    _, (found, *_) = exported(case)
    lengths = [5, 3, 200, 1, 9]
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
            alone.log_probabilities()[0], together.log_probabilities()[number], atol=1e-5, rtol=0
        )


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
