"""A small translator, trained in seconds, for the steps of the tour that need one.

It is what `python -m nmt.train` trains, with the same modules, on the simple sentences of the bundled corpus:
those of frequent words. What is trained is kept in `runs/tour`, and found there again by the other steps.
NMT_TOUR_UPDATES in the environment limits the updates of each training, to run the notebooks in less time.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import portalocker
import sacrebleu
import torch

from nmt.config.data import TokenizerConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.model import AttentionConfig, DecoderConfig, EncoderConfig, ModelConfig
from nmt.config.schema import to_dict
from nmt.config.training import TrainingConfig
from nmt.data.batching import TrainingBatches
from nmt.data.ragged import ragged
from nmt.data.sources.sample import sample_file
from nmt.data.text import words
from nmt.data.tokenizer import PAD, Tokenizer, train_tokenizer
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.model.inference.prepared import PreparedModel
from nmt.model.initialise import build_model
from nmt.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.training.precision import choose_precision
from nmt.training.random_state import seed_everything
from nmt.training.train_state import RunningMetrics, TrainState
from nmt.training.trainer import Trainer

FOLDER = Path(__file__).resolve().parents[2] / "runs" / "tour"
_CPU = torch.device("cpu")
_FREQUENT = 150  # words
_SIZE, _EMBEDDING, _SEED = 96, 64, 1


class Pairs(NamedTuple):
    """Sentence pairs to train on, and others to test on; words and punctuation are separated by spaces."""

    train: list[tuple[str, str]]
    test: list[tuple[str, str]]


def sizes(score: str = "additive", scope: str = "global", **decoder: object) -> ModelConfig:
    """The settings of a small model.

    Args:
        score, scope: of its attention.
        decoder: further settings of its decoder, such as `style="luong"`.
    """
    return ModelConfig(
        encoder=EncoderConfig(size=_SIZE, embedding=_EMBEDDING),
        attention=AttentionConfig(score=score, scope=scope, size=_EMBEDDING),
        decoder=DecoderConfig(size=_SIZE, embedding=_EMBEDDING, readout=_EMBEDDING, **decoder),
        initialisation="xavier",  # learns faster than the default when there are few updates
    )


@cache
def pairs() -> Pairs:
    """The sentences of the corpus that have frequent words only; every tenth is for testing."""
    lines = sample_file().read_text(encoding="utf-8").splitlines()
    found = [tuple(" ".join(words(text)) for text in line.split("\t")[:2]) for line in lines]
    counts = Counter(word for source, _ in found for word in source.split())
    frequent = {word for word, _ in counts.most_common(_FREQUENT)} | {"Rahul", "is", "a", "good", "boy", "."}
    simple = [(source, target) for source, target in found if frequent.issuperset(source.split())]
    test = simple[5::10]
    return Pairs([pair for pair in simple if pair not in set(test)], test)


@cache
def tokenizers() -> tuple[Tokenizer, Tokenizer]:
    """Source and target tokenizer: one token per word."""
    config = TokenizerConfig(kind="word", vocab_size=2000, byte_fallback=False)
    sides = zip(*pairs().train, strict=True)
    source, target = (Tokenizer(train_tokenizer(side, config, "data.tokenizer")) for side in sides)
    return source, target


def trained(
    name: str,
    config: ModelConfig,
    updates: int = 450,
    learning_rate: float = 8e-3,
    start: Checkpoint | None = None,
) -> Checkpoint:
    """The model `name`, in evaluation mode; trained if `runs/tour` does not have one of these settings yet.

    Args:
        name: of its folder there, before a hash of the other arguments.
        config: its settings.
        updates, learning_rate: of the training.
        start: a model with the same weights to begin with, instead of random ones.
    """
    updates = min(updates, int(os.environ.get("NMT_TOUR_UPDATES", updates)))
    settings = [to_dict(config), updates, learning_rate, start and to_dict(start.config)]
    folder = FOLDER / f"{name}-{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    waiting = portalocker.LockFlags.EXCLUSIVE  # as long as it takes: two notebooks may run at the same time
    with portalocker.Lock(folder.with_suffix(".lock"), flags=waiting):
        if not folder.exists():
            save_checkpoint(folder, _train(config, updates, learning_rate, start))
    return load_checkpoint(folder, _CPU)


def _train(config: ModelConfig, updates: int, learning_rate: float, start: Checkpoint | None) -> Checkpoint:
    source, target = tokenizers()
    seed_everything(_SEED)
    model = build_model(config, len(source), len(target), PAD)
    if start is not None:
        model.load_state_dict(start.model.state_dict())
    settings = TrainingConfig(
        epochs=1000,
        max_steps=updates,
        learning_rate=learning_rate,
        warmup_steps=50,
        label_smoothing=0.05,
        ema=0,
    )
    sides = zip((source, target), zip(*pairs().train, strict=True), strict=True)
    batches = TrainingBatches(*(ragged(one.encode_all(list(side))) for one, side in sides), 256, _SEED)
    Trainer(model, batches, settings, choose_precision("fp32", _CPU), _Quiet()).run()
    return Checkpoint(model, config, source, target, {})


def changed(checkpoint: Checkpoint, config: ModelConfig) -> Checkpoint:
    """The same weights in a model with other settings, which must have the same parameters."""
    model = build_model(config, len(checkpoint.source), len(checkpoint.target), PAD)
    model.load_state_dict(checkpoint.model.state_dict())
    return replace(checkpoint, model=model.eval(), config=config)


def translate(checkpoint: Checkpoint, sources: Sequence[str], beam_size: int = 1) -> list[str]:
    """Translations of tokenised sentences."""
    config = DecodingConfig(beam_size=beam_size)
    model = TorchModel(PreparedModel(checkpoint.model))
    translator = Translator(model, checkpoint.source, checkpoint.target, config)
    return [best.text for best, *_ in translator.translate(sources)]


def bleu(translations: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of tokenised sentences."""
    return sacrebleu.corpus_bleu(translations, [references], tokenize="none", force=True).score


class _Quiet:
    """Callbacks of the training loop that do nothing: no validation before the end, no files."""

    def updated(self, state: TrainState) -> None: ...

    def reported(self, state: TrainState, metrics: RunningMetrics) -> None: ...

    def validate(self, state: TrainState) -> dict[str, float]:
        return {"loss": 0.0, "bleu": 0.0, "chrf": 0.0}

    def validated(self, state: TrainState, selected: str) -> None: ...

    def save(self, state: TrainState) -> None: ...

    def stopping(self) -> int:
        return 0
