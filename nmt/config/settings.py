"""Every setting of a run, its default, what it may be: this package is the one home of defaults.

The dataclasses are the schema that Hydra composes `configs/` over, and the form in which a checkpoint
keeps its settings. The YAML files only choose among what is defined here. Plain dataclasses, so that
`--help` needs neither Hydra nor torch.
"""

from dataclasses import dataclass, field

from nmt.config.data import DataConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import option
from nmt.config.training import DecodingConfig, TrainingConfig


@dataclass
class Config:
    """One training run."""

    name: str | None = option(None, "name of the run folder (default: <data>-<model>-<time>)", literal="name")
    runs: str = option("runs", "folder of the run folders", literal="path")
    resume: str | None = option(None, "go on with this run: its folder, or runs/latest", literal="path")
    seed: int = option(1, "every random choice comes from it", at_least=0)
    device: str = option(
        "auto", "auto (a CUDA GPU if there is one, else the CPU), cpu, cuda, cuda:1 … or mps"
    )
    threads: int | None = option(None, "CPU threads (default: one a core)", at_least=1)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)


RENAMED = {
    "model.dropout": "training.dropout",
    "model.embedding_dropout": "training.embedding_dropout",
    "model.word_dropout": "training.word_dropout",
    "model.rate_factor": "training.lr_multiplier",
}
"""Old keys of settings and what they are called now; command lines, runs and checkpoints with the old keys
keep working."""
