"""Soft labels: the loss against a loop over tokens, labels against the teachers, which token has which."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from every_model import small_batch, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from replayer import Replayer
from small_corpus import settings as corpus_settings
from small_corpus import write_tsv
from tiny import ENGLISH, MARATHI, TINY, epoch_of, micro_batches, tiny_model, tiny_tokenizers, with_decoder
from torch import Tensor

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.distillation import DistillationConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.settings import Config
from nmt.config.training import TrainingConfig
from nmt.config.validation import check
from nmt.data.batches import Batch, SoftTargets
from nmt.data.batching import TrainingBatches
from nmt.data.corpus import TokenizedPairs
from nmt.data.mixture import Part, part_of_rows
from nmt.data.padding import Shape, pad_batch
from nmt.data.ragged import ragged
from nmt.data.soft_labels import Labelled, SoftLabels, label_type, labelled_rows, soft_labels_of
from nmt.data.tokenizer import EOS, PAD, Tokenizer
from nmt.data.vocabulary import load_corpus
from nmt.distillation import labelling
from nmt.distillation.labelling import Labeller, label_pairs
from nmt.errors import ConfigError, DataError, RunError
from nmt.model.logits import Logits
from nmt.model.translation import DropoutRates
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.load import load_ensemble
from nmt.runs.run import Run
from nmt.training import chunked_loss as module
from nmt.training.chunked_loss import chunked_loss
from nmt.training.graphs import UpdateGraphs
from nmt.training.loss import token_loss
from nmt.training.objective import Objective
from nmt.training.precision import choose_precision
from nmt.training.rdrop import rdrop_loss
from nmt.training.step import TrainStep

CPU = torch.device("cpu")
FP32 = choose_precision("fp32", CPU)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


# ---------------------------------------------------------------- the loss


def draw_labels(N: int, K: int, V: int, weight: float, seed: int) -> SoftTargets:
    """Labels of about two of three tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.stack([torch.randperm(V - EOS, generator=generator)[:K] + EOS for _ in range(N)])
    shares = weight * torch.rand(N, K, dtype=torch.float64, generator=generator).log_softmax(dim=1).exp()
    none = torch.rand(N, generator=generator) < 1 / 3
    return SoftTargets(ids.masked_fill(none.unsqueeze(1), 0), shares.masked_fill(none.unsqueeze(1), 0))


def formula(logits: Tensor, targets: Tensor, smoothing: float, soft: SoftTargets, alpha: float) -> Tensor:
    """(1 − w) H(q, p) + w H(s, p), token by token, of one pass or as the mean of two; and the divergence."""
    V, passes, total = logits.shape[1], 2 if alpha else 1, 0.0 * logits.sum()
    for n, target in enumerate(targets.tolist()):
        if target == PAD:
            continue
        label = torch.zeros(V, dtype=torch.float64)
        for v in range(V):
            q = (1 - smoothing) * (v == target) + smoothing / (V - EOS) * (v >= EOS)
            label[v] += (1 - float(soft.shares[n].sum())) * q
        for v, share in zip(soft.ids[n].tolist(), soft.shares[n].tolist(), strict=True):
            label[v] += share
        assert label.sum() == pytest.approx(1)
        found = [logits[passes * n + k].softmax(dim=0) for k in range(passes)]
        for p in found:
            total = total - (label * p.log()).sum() / passes
        if alpha:
            p, r = found
            total = total + alpha / 2 * ((p * (p / r).log()).sum() + (r * (r / p).log()).sum())
    return total


def draw(N: int, V: int, parts: int, seed: int) -> tuple[Logits, list[Tensor], Tensor]:
    """Logits, their leaves, and the targets of twice N tokens, some of them PAD."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    features, weights = (tuple(normal(rows, 3 + k) for k in range(parts)) for rows in (N, V))
    bias = normal(V)
    targets = torch.randint(EOS, V, (N,), generator=generator)
    targets[::3] = PAD
    return Logits(features, weights, bias), [*features, *weights, bias], targets


@settings(max_examples=40, deadline=None)
@given(
    N=st.integers(2, 7),
    V=st.integers(6, 9),
    K=st.integers(1, 3),
    parts=st.integers(1, 2),
    smoothing=st.sampled_from([0.0, 0.1]),
    weight=st.sampled_from([0.3, 0.9]),
    alpha=st.sampled_from([0.0, 1.5]),
    chunk=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
def test_the_chunked_loss_is_the_formula(N, V, K, parts, smoothing, weight, alpha, chunk, seed):
    passes = 2 if alpha else 1
    logits, leaves, targets = draw(passes * N, V, parts, seed)
    targets, soft = targets[:N], draw_labels(N, K, V, weight, seed)
    expected = formula(logits.dense(), targets, smoothing, soft, alpha)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_TOKENS", chunk)
        patch.setattr(module, "_CPU_LOGITS", 1)
        found = chunked_loss(logits, targets, smoothing, alpha, soft)
    torch.testing.assert_close(found.smoothed, expected, rtol=1e-9, atol=1e-9)
    one, other = (torch.autograd.grad(0.3 * loss, leaves) for loss in (found.smoothed, expected))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    hard = chunked_loss(logits, targets, smoothing, alpha)
    assert found.nll.item() == pytest.approx(hard.nll.item(), rel=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_the_loss_of_all_logits_is_the_formula_too(smoothing, alpha):
    """In float32, as used under float16 and with scheduled sampling."""
    N = 8
    logits, leaves, targets = draw(2 * N if alpha else N, 9, 1, seed=1)
    targets, soft = targets[:N], draw_labels(N, 3, 9, 0.7, seed=2)
    expected, dense = formula(logits.dense(), targets, smoothing, soft, alpha), logits.dense()
    single = SoftTargets(soft.ids, soft.shares.float())
    if alpha:
        found = rdrop_loss(dense, targets, smoothing, alpha, single)
    else:
        found = token_loss(dense, targets, smoothing, single)
    torch.testing.assert_close(found.smoothed.double(), expected, rtol=1e-5, atol=1e-5)
    one, other = (torch.autograd.grad(loss, leaves) for loss in (found.smoothed.double(), expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_tokens_without_a_label_are_as_ever_bit_for_bit(alpha):
    logits, leaves, targets = draw(12, 9, 2, seed=1)
    targets = targets[: 6 if alpha else 12]
    none = SoftTargets(torch.zeros(len(targets), 3, dtype=torch.long), torch.zeros(len(targets), 3))
    one, other = (chunked_loss(logits, targets, 0.1, alpha, soft) for soft in (none, None))
    gradients = [torch.autograd.grad(loss.smoothed, leaves) for loss in (one, other)]
    torch.testing.assert_close([*one, *gradients[0]], [*other, *gradients[1]], rtol=0, atol=0)


# ---------------------------------------------------------------- in a batch


def with_labels(batch: Batch, seed: int = 0, weight: float = 0.6) -> Batch:
    soft = draw_labels(len(batch.positions[0]), 3, 23, weight, seed)
    return dataclasses.replace(
        batch, soft=soft.each(lambda part: part.float() if part.is_floating_point() else part)
    )


@pytest.mark.parametrize("links", [False, True])
def test_the_labels_go_where_the_batch_goes(links):
    batch = with_labels(small_batch(links))
    copy = batch.to(CPU, copy=True)
    pairs = list(zip(copy.tensors(), batch.tensors(), strict=True))
    assert len(pairs) == (10 if links else 9)
    assert all(torch.equal(one, other) and one is not other for one, other in pairs)
    assert torch.equal(copy.soft.shares, batch.soft.shares)
    assert copy.soft.ids.dtype == torch.long


@pytest.mark.parametrize("rdrop", [0.0, 2.5])
def test_padding_changes_no_loss_and_no_gradient(rdrop):
    """And the labels count."""
    found = []
    batch = with_labels(small_batch(links=True))
    for one in (batch, pad_batch(batch, Shape(6, 9, 8, 20)), small_batch(links=True)):
        model = small_model("bahdanau", double=True)
        sums = Objective(model, TrainingConfig(guided_alignment=0.5, rdrop=rdrop))(one, 1.0)
        sums.objective.backward()
        found.append([*(part.detach() for part in sums), *(p.grad for p in model.parameters())])
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-6)
    assert abs(float(found[2][0] - found[0][0])) > 0.1
    assert float(found[2][1]) == pytest.approx(float(found[0][1]))


def test_scheduled_sampling_has_them_too():
    batch, model = with_labels(small_batch()), small_model("bahdanau", double=True)
    objective = Objective(model, TrainingConfig())
    forced, sampled = objective(batch, 1.0), objective(batch, 1 - 1e-12)  # all reference tokens
    assert sampled.objective.item() == pytest.approx(forced.objective.item(), rel=1e-5)


@pytest.mark.parametrize("rdrop", [0.0, 2.5])
def test_captured_updates_are_plain_ones(rdrop):
    """Bit for bit, with dropout: the labels of a graph's batch are replaced, too."""
    found = []
    for limit, labelled in ((0, True), (128, True), (128, False)):
        model = small_model("bahdanau", DropoutRates(0.3, 0.2, 0.1))
        train_step = TrainStep(model, TrainingConfig(rdrop=rdrop), FP32)
        recorder = Replayer()
        train_step.graphs = UpdateGraphs(recorder, CPU, list(model.parameters()), limit)
        torch.manual_seed(1)
        for step in range(6):
            batch = small_batch(seed=step)
            batch = with_labels(batch, seed=step) if labelled else batch
            train_step.update(micro_batches(batch), 1e-3, step, 6)
        assert ("replay" in recorder.events) == bool(limit)
        found.append([one.detach().clone() for one in model.parameters()])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    assert not torch.equal(found[2][0], found[0][0])


# ---------------------------------------------------------------- which token gets which label


def coded(row: int, step: int, K: int) -> tuple[list[int], list[float]]:
    """The label of a token: ids and probabilities that no other has."""
    return [1000 * row + 10 * step + k for k in range(K)], [0.5 ** (k + 1) for k in range(K)]


def part_with_labels(targets: Sequence[list[int]], first: int, last: int, K: int, weight: float) -> Labelled:
    kind = label_type(10**6)
    tokens = [coded(row, step, K) for row in range(first, last) for step in range(len(targets[row]) + 1)]
    labels = np.array([list(zip(*one, strict=True)) for one in tokens], kind)
    return Labelled(first, last, labels, weight)


def test_each_token_has_its_label_in_every_batch_and_epoch():
    """Of two labelled corpora, with other weights and numbers of tokens, among others."""
    generator = np.random.default_rng(3)
    lengths = generator.integers(1, 9, 90)
    targets = [[4 + row] * length for row, length in enumerate(lengths)]  # the tokens say the row
    sources = [[5] * int(length) for length in generator.integers(1, 9, 90)]
    flat = ragged(targets)
    parts = [part_with_labels(targets, 20, 50, 3, 0.5), part_with_labels(targets, 70, 90, 2, 0.25)]
    batches = TrainingBatches(
        ragged(sources), flat, 40, 1, weights=np.where(np.arange(90) < 50, 1.0, 2.0),
        soft=SoftLabels(flat.offsets, parts),
    )  # fmt: skip
    seen = 0
    for epoch in (0, 1):
        for batch in epoch_of(batches, epoch):
            rows, steps = batch.positions
            for n, (row, step) in enumerate(
                zip((batch.target[rows, 0] - 4).tolist(), steps.tolist(), strict=True)
            ):
                ids, shares = (part[n].tolist() for part in batch.soft)
                K, weight = (3, 0.5) if 20 <= row < 50 else (2, 0.25) if row >= 70 else (0, 0.0)
                expected, probabilities = coded(row, step, K)
                assert ids == [*expected, *[0] * (3 - K)]
                total = sum(probabilities)
                assert shares == pytest.approx([*(weight * p / total for p in probabilities), *[0] * (3 - K)])
                seen += K > 0
    assert seen == 2 * (lengths[20:50] + 1).sum() + 4 * (lengths[70:] + 1).sum()


def test_the_rows_of_an_extra_corpus():
    mixture = (Part(30), Part(30, reversed=True), Part(12), Part(7), Part(7, reversed=True), Part(5))
    left_out = np.array([3, 29, 61, 75, 79, 80, 84])
    train = TokenizedPairs(Path(), ragged([]), ragged([]), left_out, 0)
    parts = part_of_rows(mixture, left_out)
    for number, own in enumerate(([2], [3, 4], [5])):
        rows = np.flatnonzero(np.isin(parts, own))
        assert labelled_rows(mixture, train, number) == (rows[0], rows[-1] + 1)


# ---------------------------------------------------------------- the teachers


def make_run(folder: Path, tokenizers: Sequence[Tokenizer], seed: int, **changes: object) -> Run:
    run, config = Run(folder), with_decoder(TINY, **changes)
    model = tiny_model(*map(len, tokenizers), config, seed)
    save_checkpoint(run.best, Checkpoint(model, config, *tokenizers, {}))
    return run


@pytest.fixture(scope="module")
def teachers(tokenizers, tmp_path_factory) -> list[Run]:
    folder = tmp_path_factory.mktemp("teachers")
    return [make_run(folder / "1", tokenizers, 1), make_run(folder / "2", tokenizers, 2, style="luong")]


def test_labels_are_the_mean_of_the_teachers(teachers, tokenizers, monkeypatch):
    """Against each pair by itself, with each teacher; in batches of several sizes."""
    source, target = tokenizers
    sources, targets = source.encode_all(ENGLISH), target.encode_all(MARATHI)
    models = [tiny_model(len(source), len(target), with_decoder(TINY, **changes), seed)
              for seed, changes in ((1, {}), (2, {"style": "luong"}))]  # fmt: skip
    expected = []
    for x, y in zip(sources, targets, strict=True):
        tokens = torch.tensor([[*x, EOS]]), torch.ones(1, len(x) + 1, dtype=torch.bool)
        previous, mask = torch.tensor([[2, *y]]), torch.ones(1, len(y) + 1, dtype=torch.bool)
        with torch.no_grad():
            found = torch.stack([model(*tokens, previous, mask)[0].softmax(dim=-1) for model in models])
        mean = found.mean(dim=0)
        mean[:, :EOS] = 0
        expected += [*zip(*mean.topk(5), strict=True)]
    for least in (1, 30, 256):
        monkeypatch.setattr(labelling, "_CPU_PROBABILITIES", 1)
        monkeypatch.setattr(labelling, "_LEAST_TOKENS", least)
        labels = Labeller(tuple(run.folder for run in teachers), "cpu", 5)((ragged(sources), ragged(targets)))
        assert labels.shape == (len(expected), 5)
        for own, (probabilities, ids) in zip(labels, expected, strict=True):
            assert own["id"].tolist() == ids.tolist()
            assert own["probability"].tolist() == pytest.approx(probabilities.tolist(), rel=1e-3)


def test_labels_are_those_of_forced_decoding(teachers, tokenizers):
    """The probabilities of the tokens themselves, against the package's own ensemble."""
    source, target = tokenizers
    sources, targets = source.encode_all(ENGLISH), target.encode_all(MARATHI)
    every = len(target)
    labels = Labeller(tuple(run.folder for run in teachers), "cpu", every)((ragged(sources), ragged(targets)))
    ensemble = load_ensemble(teachers, DecodingConfig(), CPU)
    tokens = [token for one in targets for token in (*one, EOS)]
    own = [
        float(label["probability"][label["id"] == token].sum())
        for label, token in zip(labels, tokens, strict=True)
    ]
    for one, forced in zip(targets, ensemble.align(ENGLISH, MARATHI), strict=True):
        mine, own = own[: len(one) + 1], own[len(one) + 1 :]
        assert np.log(mine).sum() == pytest.approx(forced.log_probability, rel=2e-3)
    assert not own


# ---------------------------------------------------------------- of a corpus


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(labelling, "_PART", 2)


@pytest.fixture
def config(tmp_path) -> Config:
    """Settings of a student with further pairs, of which one is in the main corpus as well."""
    pairs = [
        (f"{text} {n}", f"{other} {n}")
        for n in range(3)
        for text, other in zip(ENGLISH, MARATHI, strict=True)
    ]
    data = corpus_settings(tmp_path, [*zip(ENGLISH, MARATHI, strict=True)] * 2 + pairs[:10])
    extra = ExtraCorpus(path=str(write_tsv(tmp_path / "extra.tsv", [*pairs[-7:], ("new", "नवे")])), weight=2.0)
    distillation = DistillationConfig(teachers=["x"], soft_weight=0.5, soft_tokens=4)
    return Config(
        device="cpu", threads=1, data=dataclasses.replace(data, extra=[extra]), distillation=distillation
    )


def loaded(data: DataConfig) -> tuple[SoftLabels | None, TokenizedPairs]:
    corpus = load_corpus(data, 1)
    return soft_labels_of(data, corpus.prepared.mixture, corpus.train), corpus.train


def test_the_pairs_of_a_corpus_are_labelled(config, teachers, tokenizers, tmp_path):
    data = label_pairs(config, teachers, tmp_path / "labels")
    assert (data.extra[0].soft_weight, data.tokenizer.path) == (0.5, str(tmp_path / "labels"))
    corpus = load_corpus(data, 1)
    assert (corpus.source.model, corpus.target.model) == tuple(one.model for one in tokenizers)
    soft, train = loaded(data)
    batches = TrainingBatches(train.source, train.target, 60, 1, soft=soft)
    labelled = 0
    for batch in epoch_of(batches, 0):
        sums = batch.soft.shares.sum(dim=1)
        assert (((sums - 0.5).abs() < 1e-6) | (sums == 0)).all()
        labelled += int((sums > 0).sum())
    first, last = labelled_rows(corpus.prepared.mixture, train, 0)
    assert labelled == int((train.target.lengths[first:last] + 1).sum()) > 20
    assert 0 < first < last == len(train)
    assert not list((tmp_path / "labels").glob("*.parts"))
    check(dataclasses.replace(config, data=data, distillation=DistillationConfig()))


def test_no_part_is_labelled_twice(config, teachers, tmp_path, monkeypatch):
    whole = label_pairs(config, teachers, tmp_path / "whole")
    original, calls = Labeller.__call__, []

    def interrupted(self, pairs):
        calls.append(len(pairs[0]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, pairs)

    monkeypatch.setattr(Labeller, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        label_pairs(config, teachers, tmp_path / "parts")
    assert not (tmp_path / "parts" / "soft_labels.json").exists()
    label_pairs(config, teachers, tmp_path / "parts")
    rows = labelled_rows(load_corpus(whole, 1).prepared.mixture, loaded(whole)[1], 0)
    assert sum(calls) == rows[1] - rows[0] + 2  # that of the interruption twice
    for name in ("labels.npy", "soft_labels.json", "source.model", "target.model"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    calls.clear()
    assert label_pairs(config, teachers, tmp_path / "whole") == whole
    assert not calls


def test_labels_of_something_else_are_refused(config, teachers, tokenizers, tmp_path):
    folder = tmp_path / "labels"
    data = label_pairs(config, teachers, folder)
    key = rf"^data\.extra\[0\]\.soft_labels={folder}: "
    pairs = (tmp_path / "extra.tsv").read_text(encoding="utf-8")
    for changed in (pairs.replace("नवे", "जुने"), pairs.replace("new", "old")):
        (tmp_path / "extra.tsv").write_text(changed, encoding="utf-8")
        with pytest.raises(DataError, match=key + r"of other pairs or tokens than those of .*extra\.tsv"):
            loaded(data)
    (tmp_path / "extra.tsv").write_text(pairs, encoding="utf-8")
    assert loaded(data)
    other = TokenizerConfig(path=str(make_run(tmp_path / "other", tokenizers[::-1], 1).best))
    with pytest.raises(DataError, match=key + "of other pairs or tokens"):
        loaded(dataclasses.replace(data, tokenizer=other))
    index = json.loads((folder / "soft_labels.json").read_text())
    (folder / "soft_labels.json").write_text(json.dumps(index | {"format": 9}))
    with pytest.raises(DataError, match=key + r"corrupt \(format 9, this version reads 1\)"):
        loaded(data)
    (folder / "soft_labels.json").write_text(json.dumps(index))
    with (folder / "labels.npy").open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"\x11\x11")
    with pytest.raises(DataError, match=key + "corrupt .*not the bytes that were written"):
        loaded(data)
    (folder / "labels.npy").unlink()
    with pytest.raises(DataError, match=key + r"no labels\.npy there"):
        loaded(data)


def test_teachers_and_corpora_that_cannot_be_labelled(config, teachers, tokenizers, tmp_path):
    other = make_run(tmp_path / "other", tokenizers[::-1], 1)
    with pytest.raises(ConfigError, match=r"other: its tokenizers are not those of .*1; soft labels"):
        label_pairs(config, [*teachers, other], tmp_path / "labels")
    assert not (tmp_path / "labels").exists()
    write_tsv(tmp_path / "extra.tsv", [("x" * 600, "y")])
    short = dataclasses.replace(config, data=dataclasses.replace(config.data, max_tokens=100))
    with pytest.raises(RunError, match=r"extra\.tsv: none of its pairs can be trained on"):
        label_pairs(short, teachers, tmp_path / "labels")


# ---------------------------------------------------------------- given tokenizers


def test_tokenizers_are_taken_over_by_their_content(config, tmp_path):
    """What is tokenised with others of the same name is not taken for it."""
    folder, found = tmp_path / "given", []
    data = dataclasses.replace(config.data, tokenizer=TokenizerConfig(path=str(folder)))
    for models in (tiny_tokenizers(), tiny_tokenizers()[::-1]):
        make_run(tmp_path / "run", models, 1)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "run" / "checkpoints" / "best", folder)
        corpus = load_corpus(data, 1)
        assert (corpus.source.model, corpus.target.model) == tuple(one.model for one in models)
        found.append(corpus.train.folder)
    assert found[0] != found[1]


def test_tokenizers_that_cannot_be_taken(config, tokenizers, tmp_path):
    data = dataclasses.replace(config.data, tokenizer=TokenizerConfig(path=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match=r"^data\.tokenizer\.path=.*none: no source\.model and target"):
        load_corpus(data, 1)
    run = make_run(tmp_path / "run", tokenizers, 1)
    tagged = [dataclasses.replace(config.data.extra[0], tag="new")]
    data = dataclasses.replace(data, tokenizer=TokenizerConfig(path=str(run.best)), extra=tagged)
    with pytest.raises(ConfigError, match=r"best: the source tokenizer has no piece <new>"):
        load_corpus(data, 1)
    (run.best / "target.model").write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"^data\.tokenizer\.path=.*best: a tokenizer file is corrupt"):
        load_corpus(data, 1)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("extra", "others", "message"),
    [
        ({"soft_weight": 0.5}, {}, r"data\.extra\[0\]\.soft_weight=0\.5: has no effect without soft_labels"),
        ({"soft_labels": "a"}, {}, r"data\.extra\[0\]\.soft_weight: soft_labels needs it"),
        ({"soft_labels": "a", "soft_weight": 1.0}, {}, r"data\.extra\[0\]\.soft_weight=1\.0: must be below"),
        ({"soft_labels": "a", "soft_weight": 0.5}, {}, r"\.soft_labels=a: .* add data\.tokenizer\.path="),
        (
            {"soft_labels": "a", "soft_weight": 0.5}, {"training.subword_sampling": 0.1},
            r"data\.extra\[0\]\.soft_labels=a: cannot be combined with training\.subword_sampling",
        ),
        (
            {},
            {
                "distillation.train_teachers": 2, "distillation.soft_weight": 0.5,
                "training.subword_sampling": 0.1,
            },
            r"distillation\.soft_weight=0\.5: cannot be combined with training\.subword_sampling",
        ),
        ({}, {"distillation.soft_weight": 0.5}, r"distillation\.soft_weight=0\.5: has no effect without"),
        (
            {}, {"distillation.train_teachers": 2, "distillation.soft_tokens": 4},
            r"distillation\.soft_tokens=4: has no effect with distillation\.soft_weight=0",
        ),
        (
            {}, {"distillation.train_teachers": 2, "distillation.soft_weight": 1.0},
            r"distillation\.soft_weight=1\.0: must be below 1",
        ),
        (
            {}, {"data.tokenizer.path": "a", "data.tokenizer.vocab_size": 900},
            r"data\.tokenizer\.vocab_size=900: has no effect with data\.tokenizer\.path=a",
        ),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(extra, others, message):
    config = Config(data=DataConfig(extra=[ExtraCorpus(path="b", **extra)]))
    for key, value in others.items():
        *groups, name = key.split(".")
        section = config
        for group in groups:
            section = getattr(section, group)
        setattr(section, name, value)
    with pytest.raises(ConfigError, match=message):
        check(config, others.keys())


# ---------------------------------------------------------------- on a GPU


@needs_gpu
@pytest.mark.parametrize("rdrop", [0.0, 2.5])
def test_updates_on_a_gpu(monkeypatch, rdrop):
    """Captured, they are plain ones, and the host does not wait."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    device = torch.device("cuda", 0)
    precision, found = choose_precision("fp32", device), []
    batches = [with_labels(small_batch(seed=k % 4), seed=k) for k in range(24)]
    for graphs in (True, False):
        model = small_model("bahdanau", DropoutRates(0.0)).to(device)
        train_step = TrainStep(model, TrainingConfig(cuda_graphs=graphs, rdrop=rdrop), precision)
        for step, batch in enumerate(batches):
            torch.cuda.set_sync_debug_mode("error" if step > 12 else "default")
            try:
                train_step.update(micro_batches(batch), 1e-4, step, 24)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert (train_step.graphs is not None and train_step.graphs.count > 1) == graphs
        found.append(train_step.totals.read().nll)
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@needs_gpu
def test_labels_on_a_gpu_are_those_of_a_cpu(teachers, tokenizers):
    source, target = tokenizers
    pairs = ragged(source.encode_all(ENGLISH)), ragged(target.encode_all(MARATHI))
    folders = tuple(run.folder for run in teachers)
    one, other = (Labeller(folders, device, 5)(pairs)["probability"] for device in ("cuda", "cpu"))
    np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=2e-3)
