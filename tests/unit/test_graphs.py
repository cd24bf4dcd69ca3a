"""Updates as graphs: when they are captured and replayed, and that nothing but speed depends on it.

Without a GPU, a `Replayer` takes the place of CUDA.
"""

import logging
import math

import pytest
import torch
from every_model import MODELS, VOCABULARY, small_batch, small_model
from replayer import Replayer, Work
from tiny import copy_batches, epoch_of, micro_batches, tiny_model
from torch import Tensor

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch, collate
from nmt.model.translation import DropoutRates, TranslationModel
from nmt.training.distributed import Processes
from nmt.training.graphs import UpdateGraphs, make_graphs
from nmt.training.precision import Precision, choose_precision
from nmt.training.step import TrainStep

CPU = torch.device("cpu")
FP32 = choose_precision("fp32", CPU)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def make(
    model: TranslationModel, recorder: Replayer | None, limit: int = 128, **settings: object
) -> TrainStep:
    """A step of a training with graphs, or without if there is no recorder."""
    train_step = TrainStep(model, TrainingConfig(**settings), FP32)
    if recorder:
        train_step.graphs = UpdateGraphs(recorder, CPU, list(model.parameters()), limit)
    return train_step


def random_batch(rows: int, source: int, target: int, seed: int) -> Batch:
    """Pairs of up to this length, one of them of just this."""
    generator = torch.Generator().manual_seed(seed)

    def sentences(longest: int) -> list[list[int]]:
        lengths = [longest, *torch.randint(1, longest + 1, (rows - 1,), generator=generator).tolist()]
        return [torch.randint(4, VOCABULARY, (n,), generator=generator).tolist() for n in lengths]

    return collate(sentences(source), sentences(target))


def train(train_step: TrainStep, batches: list[Batch], each: int = 1, lr: float = 2e-3) -> list[float]:
    """Updates of `each` batches; the loss per token of each."""
    losses = []
    for step in range(0, len(batches), each):
        train_step.totals.restart()
        train_step.update(micro_batches(*batches[step : step + each]), lr, step // each, len(batches))
        found = train_step.totals.read()
        losses.append(found.nll / max(found.tokens, 1))
    return losses


def values(train_step: TrainStep, model: TranslationModel) -> list[Tensor]:
    """Weights, average and moments."""
    with train_step.average.applied():
        average = [one.detach().clone() for one in model.parameters()]
    moments = train_step.state_dict()["optimizer"]["state"].values()
    return [*model.parameters(), *average, *(value for one in moments for value in one.values())]


BATCHES = [random_batch(2 + k % 3, 3 + k % 4, 6 - k % 4, seed=k) for k in range(24)]


# ---------------------------------------------------------------- results


@pytest.mark.parametrize("model", MODELS)
def test_replayed_updates_are_plain_ones(model):
    """Of every model; the differences are those of padding."""
    found = []
    for recorder in (None, Replayer()):
        weights = small_model(model)
        train_step = make(weights, recorder)
        found.append(train(train_step, [small_batch(seed=k) for k in range(6)]))
    assert recorder.events.count("replay") == 2 * 3 + 1  # from the fourth update on, and the third's step
    assert found[1] == pytest.approx(found[0], abs=1e-4)
    assert found[0][-1] != found[0][0]


@pytest.mark.parametrize("each", [1, 3])
@pytest.mark.parametrize("guided", [0.0, 0.5])
def test_what_is_captured_changes_nothing_bit_for_bit(each, guided):
    """Also with dropout and accumulation: batches are padded the same whether captured or not."""
    found = []
    batches = [small_batch(links=bool(guided), seed=k) for k in range(24)] if guided else BATCHES
    for limit in (0, 4, 128):
        recorder, model = Replayer(), small_model("bahdanau", DropoutRates(0.3, 0.2, 0.1))
        train_step = make(model, recorder, limit, guided_alignment=guided)
        losses = train(train_step, batches, each)
        found.append([torch.tensor(losses), *values(train_step, model)])
        assert train_step.graphs.count == recorder.events.count("capture") <= limit
    assert recorder.events.count("replay") > 8
    for others in found[1:]:
        torch.testing.assert_close(others, found[0], rtol=0, atol=0)


def test_a_skipped_update_changes_nothing():
    model = small_model("bahdanau")
    train_step = make(model, Replayer())
    train(train_step, [BATCHES[0]] * 6)
    before = [value.clone() for value in values(train_step, model)]
    hook = next(model.encoder.parameters()).register_hook(lambda gradient: gradient * math.nan)
    train(train_step, [BATCHES[0]] * 2)
    assert train_step.totals.read().skipped_in_a_row == 2
    hook.remove()
    torch.testing.assert_close(values(train_step, model), before, rtol=0, atol=0)
    (loss,) = train(train_step, [BATCHES[0]])
    assert math.isfinite(loss)


def test_gradients_keep_their_place():
    """A replayed graph adds to the memory that held them when it was captured."""
    model = small_model("bahdanau")
    train_step = make(model, Replayer())
    places = []
    for _ in range(5):
        train(train_step, [BATCHES[0]])
        places.append([one.grad.data_ptr() for one in model.parameters() if one.grad is not None])
    assert all(found == places[0] for found in places)


def test_a_weight_that_moves_is_an_error():
    """Graphs would go on with the memory where it was."""
    model = small_model("bahdanau")
    train_step = make(model, Replayer())
    train(train_step, [BATCHES[0]] * 5)
    weight = next(model.parameters())
    weight.data = weight.data.clone()
    with pytest.raises(RuntimeError, match="a weight has moved"):
        train(train_step, [BATCHES[0]])


def test_batches_are_only_read():
    """Also on a CPU, where they need not be copied to the device."""
    before = [[tensor.clone() for tensor in batch.tensors()] for batch in BATCHES]
    train(make(small_model("bahdanau"), Replayer()), BATCHES)
    for batch, old in zip(BATCHES, before, strict=True):
        assert all(map(torch.equal, batch.tensors(), old))


# ---------------------------------------------------------------- when


def test_a_shape_is_captured_when_it_comes_again_after_warming_up():
    recorder = Replayer()
    train_step = make(small_model("bahdanau"), recorder)
    other = random_batch(2, 7, 7, seed=1)
    events = []
    for batch in (BATCHES[0], BATCHES[0], BATCHES[0], other, BATCHES[0], BATCHES[0], other):
        recorder.events.clear()
        train(train_step, [batch])
        events.append(" ".join(recorder.events))
    eager, captured = "eager eager", "eager capture replay"
    assert events[:3] == [eager, eager, captured]
    assert events[3:] == ["eager replay", "capture replay replay", "replay replay", "capture replay replay"]
    assert train_step.graphs.count == 3


def distinct(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The messages logged; other tests may leave a record to be handled twice."""
    return [record.getMessage() for record in {id(one): one for one in caplog.records}.values()]


@pytest.mark.parametrize("fails", [1, 2])
def test_where_a_capture_fails_training_goes_on_eagerly(caplog, monkeypatch, fails):
    """With one line, and the same result."""
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level("INFO", logger="nmt")

    def fail() -> None:
        try:
            raise ValueError("operation not permitted\nwhen stream is capturing")
        except ValueError:
            raise RuntimeError("invalidated")  # noqa: B904 (as the end of a capture does)

    found = []
    for recorder in (Replayer(), Replayer(fails, fail)):
        model = small_model("bahdanau", DropoutRates(0.3))
        train_step = make(model, recorder)
        train(train_step, BATCHES)
        found.append(values(train_step, model))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    assert train_step.graphs.count == 0
    assert recorder.events.count("capture") == fails
    assert distinct(caplog) == [
        "CUDA graphs: training goes on without them, as a capture failed: operation not permitted"
    ]


def test_gradients_that_would_be_in_a_graphs_memory_are_refused():
    class Grabber(Replayer):
        def capture(self, work: Work) -> Work:
            if self.events.count("capture") == 1:
                next(model.parameters()).grad = torch.zeros(1)
            return super().capture(work)

    model = small_model("bahdanau")
    train_step = make(model, Grabber())
    losses = train(train_step, [BATCHES[0]] * 8)
    assert train_step.graphs.count == 0
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("device", "settings", "processes", "said"),
    [
        ("cpu", {}, Processes(), ""),
        ("cuda", {"cuda_graphs": False}, Processes(), ""),
        ("cuda", {"teacher_forcing": 0.5}, Processes(), "scheduled sampling"),
        ("cuda", {}, Processes(0, 2, 0, "x", joined=True), "under torchrun"),
    ],
)
def test_where_there_are_none_a_line_says_why(caplog, monkeypatch, device, settings, processes, said):
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level("INFO", logger="nmt")
    assert make_graphs(TrainingConfig(**settings), torch.device(device), processes, []) is None
    assert len(distinct(caplog)) == bool(said)
    assert said in caplog.text


# ---------------------------------------------------------------- on a GPU


def on_gpu(
    name: str, graphs: bool, precision: Precision, dropout: float = 0.0, lr: float = 2e-3, rdrop: float = 0.0
) -> tuple[TrainStep, list[float]]:
    """Sixty updates of a small model."""
    torch.manual_seed(1)
    model = small_model(name, DropoutRates(dropout, dropout)).to(precision.device)
    train_step = TrainStep(model, TrainingConfig(cuda_graphs=graphs, rdrop=rdrop), precision)
    torch.manual_seed(2)
    return train_step, train(train_step, [*BATCHES, *BATCHES, *BATCHES[:12]], lr=lr)


@needs_gpu
@pytest.mark.parametrize("name", ["bahdanau", "luong2015", "transformer", "convolutional"])
def test_captured_on_a_gpu_is_as_plain(monkeypatch, name):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    precision = choose_precision("fp32", torch.device("cuda", 0))
    runs = (
        on_gpu(name, graphs, precision, lr=1e-4) for graphs in (True, False)
    )  # rounding grows with the rate
    (captured, found), (plain, expected) = runs
    assert captured.graphs.count > 5
    assert plain.graphs is None
    assert found == pytest.approx(expected, abs=1e-4)


@needs_gpu
@pytest.mark.parametrize("name", ["bahdanau", "transformer"])
@pytest.mark.parametrize("kind", ["bf16", "fp16"])
@pytest.mark.parametrize("rdrop", [0.0, 2.5])
def test_captured_on_a_gpu_learns_in_half_precision(name, kind, rdrop):
    precision = choose_precision(kind, torch.device("cuda", 0))
    captured, losses = on_gpu(name, True, precision, dropout=0.1, rdrop=rdrop)
    assert captured.graphs.count > 5
    assert losses[-1] < losses[0]
    assert captured.totals.read().skipped_in_a_row == 0


@needs_gpu
def test_dropout_on_a_gpu_does_not_depend_on_what_is_captured(monkeypatch):
    """Nor do the random states afterwards, so that a resumed training draws the same."""
    precision, found = choose_precision("fp32", torch.device("cuda", 0)), []
    for limit in (0, 128):
        monkeypatch.setattr("nmt.training.graphs._LIMIT", limit)
        monkeypatch.setattr(UpdateGraphs.__init__, "__defaults__", (limit,))
        train_step, losses = on_gpu("bahdanau", True, precision, dropout=0.3)
        assert bool(train_step.graphs.count) == bool(limit)
        found.append((losses, torch.cuda.get_rng_state()))
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-4)
    assert torch.equal(found[1][1], found[0][1])


@needs_gpu
def test_updates_on_a_gpu_do_not_wait():
    """PyTorch raises an error where they would."""
    batches = epoch_of(copy_batches(pairs=60, max_tokens=32), 0)
    for graphs in (True, False):
        precision = choose_precision("bf16", torch.device("cuda", 0))
        model = tiny_model(10, 10).to(precision.device).train()
        train_step = TrainStep(model, TrainingConfig(cuda_graphs=graphs), precision)
        train(train_step, [*batches, *batches, *batches])  # after which all is captured
        torch.cuda.set_sync_debug_mode("error")
        try:
            for step, batch in enumerate(batches):
                train_step.update(micro_batches(batch), 1e-3, step, 100)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_a_capture_that_fails_on_a_gpu_is_survived(monkeypatch):
    """Here because the host reads a value while capturing."""
    precision = choose_precision("fp32", torch.device("cuda", 0))
    original = TrainStep._gradient

    def waits(self: TrainStep, *arguments: object) -> None:
        original(self, *arguments)
        self._nll.item()

    monkeypatch.setattr(TrainStep, "_gradient", waits)
    train_step, losses = on_gpu("bahdanau", True, precision, dropout=0.1)
    assert train_step.graphs.count == 0
    assert losses[-1] < losses[0]
    assert math.isfinite(losses[-1])
