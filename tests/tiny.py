"""A tiny model, tiny tokenizers and a tiny task."""

import dataclasses

import torch
import yaml
from torch import Tensor

from nmt.config.data import TokenizerConfig
from nmt.config.model import AttentionConfig, DecoderConfig, EncoderConfig, ModelConfig
from nmt.config.schema import from_dict, to_dict
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.batches import Batch, MicroBatches
from nmt.data.batching import TrainingBatches
from nmt.data.ragged import ragged
from nmt.data.tokenizer import PAD, Tokenizer, train_tokenizer
from nmt.model.initialise import build_model
from nmt.model.translation import NO_DROPOUT, DropoutRates, TranslationModel

TINY = ModelConfig(
    encoder=EncoderConfig(size=12, embedding=7, heads=3, feedforward=10),
    attention=AttentionConfig(size=9),
    decoder=DecoderConfig(size=12, embedding=6, readout=5, heads=2, feedforward=11, tie_embeddings=False),
    initial_range=0.6,
)

ENGLISH = [
    "The dog sees the cat.",
    "A cat sees the small dogs.",
    "Don't go to the house!",
    "Where is my house?",
    "He is well-known in the village.",
]
MARATHI = [
    "कुत्रा मांजर पाहतो.",
    "मांजर लहान कुत्रे पाहते.",
    "घरी जाऊ नका!",
    "माझे घर कुठे आहे?",
    "तो गावात प्रसिद्ध आहे.",
]

SOURCES = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]]  # tokens of a vocabulary of 23
TARGETS = [[4, 5], [6, 7, 8, 9, 10, 11], [12]]


def with_decoder(config: ModelConfig, **changes: object) -> ModelConfig:
    """`config` with another decoder."""
    return dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **changes))


def tiny_config(overrides: str = "") -> ModelConfig:
    """`TINY` with settings changed: "decoder.style=luong attention.heads=2"; refused as a command would."""
    values = to_dict(TINY)
    for override in overrides.split():
        key, value = override.split("=")
        *path, name = key.split(".")
        section = values
        for group in path:
            section = section[group]
        assert name in section, key
        section[name] = yaml.safe_load(value)
    config = from_dict(ModelConfig, values, "model")
    check(Config(model=config))
    return config


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def padded_mask(lengths: list[int]) -> Tensor:
    """True at the first `lengths[b]` positions of row b."""
    return torch.tensor([[j < length for j in range(max(lengths))] for length in lengths])


def tiny_tokenizers() -> tuple[Tokenizer, Tokenizer]:
    """Source and target tokenizers of at most 310 pieces, 256 of them bytes."""
    config = TokenizerConfig(vocab_size=310)
    source, target = (train_tokenizer(text, config, "data.tokenizer") for text in (ENGLISH, MARATHI))
    return Tokenizer(source), Tokenizer(target)


def tiny_model(
    source: int,
    target: int,
    config: ModelConfig = TINY,
    seed: int = 1,
    double: bool = False,
    dropout: DropoutRates = NO_DROPOUT,
) -> TranslationModel:
    """An untrained model with random weights, in evaluation mode."""
    torch.manual_seed(seed)
    model = build_model(config, source, target, PAD, dropout).eval()
    return model.double() if double else model


def micro_batches(*batches: Batch) -> MicroBatches:
    """These batches as an update of one process."""
    return MicroBatches(list(batches), sum(batch.tokens for batch in batches))


def epoch_of(batches: TrainingBatches, epoch: int, *arguments: int | None) -> list[Batch]:
    """The batches of an epoch, of one process."""
    return [batch for one, _ in batches.epoch(epoch, *arguments) for batch in one.batches]


def copy_batches(
    pairs: int, max_tokens: int, seed: int = 3, symbols: int = 6, batches_per_update: int = 1
) -> TrainingBatches:
    """Sentences of 2 to 5 random symbols, to be copied; the vocabulary is 4 + `symbols`."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 6, (pairs,), generator=generator).tolist()
    sentences = [torch.randint(4, 4 + symbols, (n,), generator=generator).tolist() for n in lengths]
    return TrainingBatches(
        ragged(sentences), ragged(sentences), max_tokens, seed, batches_per_update=batches_per_update
    )
