"""What is timed: updates and searches of untrained models, on random sentences."""

import itertools
import random
import sys
from collections.abc import Iterator, Sequence

import torch

from nmt.config.decoding import DecodingConfig
from nmt.config.settings import Config
from nmt.data.batches import MicroBatches
from nmt.data.batching import TrainingBatches
from nmt.data.grouping import pad
from nmt.data.ragged import ragged
from nmt.data.tokenizer import BOS, EOS, PAD, UNK
from nmt.decoding.interface import SearchOptions
from nmt.decoding.search import beam_search
from nmt.decoding.sources import Sources, Special
from nmt.decoding.torch_model import TorchModel
from nmt.launch.main import with_config
from nmt.model.decoders.decoder import MemoryT, StateT
from nmt.model.inference.step_model import InferenceModel
from nmt.model.initialise import build_model
from nmt.model.translation import NO_DROPOUT, DropoutRates, TranslationModel
from nmt.training.precision import choose_precision
from nmt.training.step import TrainStep

VOCABULARY = 2000  # pieces per side, the default of data.tokenizer.vocab_size
SMALL_SIZE = 64  # units: what a CPU can do in seconds


def compose(model: str, small: bool, *overrides: str) -> Config:
    """The settings of `nmt.train model=…` with overrides; `small`: with narrow layers."""
    arguments = [f"model={model}", "data=sample", *overrides]
    if small:
        arguments += [
            f"model.{side}.{key}={SMALL_SIZE}"
            for side in ("encoder", "decoder")
            for key in ("size", "embedding")
        ]
    found: list[Config] = []
    typed, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        with_config(lambda config, name, overrides: found.append(config))
    finally:
        sys.argv = typed
    return found[0]


def sentences(count: int, seed: int) -> list[list[int]]:
    """Random token lists of 3 to 30 tokens."""
    chance = random.Random(seed)
    return [
        chance.choices(range(max(PAD, UNK, BOS, EOS) + 1, VOCABULARY), k=chance.randint(3, 30))
        for _ in range(count)
    ]


def training_batches(max_tokens: int) -> TrainingBatches:
    """Batches of random sentence pairs; sentences of a batch have similar lengths, as in training."""
    sources = sentences(max(2000, max_tokens // 2), seed=1)
    targets = ragged(sentences(len(sources), seed=2))
    return TrainingBatches(ragged(sources), targets, max_tokens, seed=1)


def micro_batches(max_tokens: int) -> Iterator[MicroBatches]:
    """Endless updates of one batch each."""
    batches = training_batches(max_tokens)
    for epoch in itertools.count():
        yield from (update for update, _ in batches.epoch(epoch))


def new_model(
    config: Config,
    device: torch.device,
    dropout: DropoutRates = NO_DROPOUT,
    vocabulary: int = VOCABULARY,
) -> TranslationModel:
    """An untrained model."""
    return build_model(config.model, vocabulary, vocabulary, PAD, dropout).to(device)


class Updates:
    """Updates a new model: call it with the micro-batches of each update.

    Args:
        config: the settings.
        device: the device to train on.
        vocabulary: pieces per side.

    Attributes:
        train_step: makes the updates.
    """

    def __init__(self, config: Config, device: torch.device, vocabulary: int = VOCABULARY) -> None:
        torch.manual_seed(config.seed)
        training = config.training
        rates = DropoutRates(training.dropout, training.embedding_dropout, training.word_dropout)
        model = new_model(config, device, rates, vocabulary).train()
        self.train_step = TrainStep(model, training, choose_precision(training.precision, device))
        self._lr, self._done = training.learning_rate / 100, itertools.count()

    def __call__(self, batches: MicroBatches) -> int:
        """The next update; returns its target tokens, without padding."""
        self.train_step.update(batches, self._lr, next(self._done), 10**6)
        return batches.tokens


# ---------------------------------------------------------------- search


def search_batch(
    model: InferenceModel[StateT, MemoryT],
    batch: Sequence[list[int]],
    beam_size: int,
    length_penalty: float,
) -> None:
    """Translate token lists, as `nmt.decoding.translator` does; end-of-sentence is never generated, so that
    each translation is two tokens longer than its source.
    """
    tokens, mask = pad(batch, last=EOS)
    sources = Sources(tokens, mask, mask.sum(axis=1) + 2)
    config = DecodingConfig(beam_size=beam_size, length_penalty=length_penalty, lookahead=None)
    beam_search(TorchModel(model), sources, config, Special(BOS, EOS, (PAD, UNK, EOS)), SearchOptions())
