"""Every setting of a run with its default and allowed values; defaults are defined only in this package.

The dataclasses are the schema that Hydra composes `configs/` over, and the format of the settings in a
checkpoint. The YAML files only choose values for what is defined here. They are plain dataclasses, so that
`--help` imports neither Hydra nor torch.
"""

import difflib
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from nmt.config.data import DataConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.distillation import DistillationConfig
from nmt.config.model import ModelConfig
from nmt.config.pretraining import PretrainingConfig
from nmt.config.schema import key_of, option, settings
from nmt.config.training import TrainingConfig


@dataclass
class Config:
    """Settings of a training run."""

    name: str | None = option(None, "name of the run folder (default: <data>-<model>-<time>)", literal="name")
    runs: str = option("runs", "parent folder of all run folders", literal="path")
    resume: str | None = option(None, "resume this run: its folder, or runs/latest", literal="path")
    seed: int = option(1, "random seed", at_least=0)
    device: str = option("auto", "auto (a CUDA GPU if available, else the CPU), cpu, cuda, cuda:1 … or mps")
    threads: int | None = option(None, "CPU threads (default: one per core)", at_least=1)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)


RENAMED = {
    "model.dropout": "training.dropout",
    "model.embedding_dropout": "training.embedding_dropout",
    "model.word_dropout": "training.word_dropout",
    "model.rate_factor": "training.lr_multiplier",
    "model.attention.span": "model.attention.scope",
    "training.final_rate": "training.final_lr_ratio",
}
"""Old keys of settings → new keys; command lines, runs and checkpoints with old keys keep working."""


def rename_overrides(overrides: Iterable[str]) -> list[str]:
    """Overrides (`key=value`) with old keys replaced by new ones; prints a note for each."""
    found = []
    for override in overrides:
        old = key_of(override)
        if old in RENAMED and "=" in override:
            override = override.replace(old, RENAMED[old], 1)
            print(f"note: {old} has been renamed to {RENAMED[old]}", file=sys.stderr)
        found.append(override)
    return found


def no_such_setting(key: str) -> str:
    """The message for a key that is not a setting, with the nearest one that is."""
    if key in RENAMED:
        return f"{key}: renamed to {RENAMED[key]}"
    near = difflib.get_close_matches(key, [name for name, _, _ in settings(Config())], n=1)
    advice = f"did you mean {near[0]}?" if near else "`--help` lists all settings"
    return f"{key}: no such setting; {advice}"
