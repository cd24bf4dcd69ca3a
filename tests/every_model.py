"""A small model of each file in `configs/model/`, and a batch to train it on."""

import functools
import sys
from pathlib import Path

import torch

from nmt.config.settings import Config
from nmt.data.batches import Batch, collate
from nmt.launch.compose import configs_folder
from nmt.model.initialise import build_model
from nmt.model.translation import NO_DROPOUT, DropoutRates, TranslationModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from timing.workload import compose

MODELS = sorted(path.stem for path in (configs_folder() / "model").glob("*.yaml"))
VOCABULARY = 23


@functools.cache
def model_config(name: str) -> Config:
    """The settings of `model=name`, with narrow layers."""
    return compose(name, True)


def small_model(name: str, dropout: DropoutRates = NO_DROPOUT, double: bool = False) -> TranslationModel:
    """An untrained model in training mode."""
    torch.manual_seed(1)
    model = build_model(model_config(name).model, VOCABULARY, VOCABULARY, 0, dropout).train()
    return model.double() if double else model


def small_batch(links: bool = False, seed: int = 0) -> Batch:
    """Four pairs of 1 to 7 tokens."""
    generator = torch.Generator().manual_seed(seed)

    def sentence(length: int) -> list[int]:
        return torch.randint(4, VOCABULARY, (length,), generator=generator).tolist()

    sources, targets = [sentence(n) for n in (5, 2, 3, 1)], [sentence(n) for n in (2, 6, 1, 3)]
    pairs = zip(sources, targets, strict=True)
    aligned = [[(0, 0), (len(x) - 1, len(y) - 1)] for x, y in pairs] if links else None
    return collate(sources, targets, aligned)
