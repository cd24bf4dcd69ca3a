"""Loading a translator from a run folder."""

import torch

from nmt.config.training import DecodingConfig
from nmt.decoding.translator import Translator
from nmt.model.inference.prepared import PreparedModel
from nmt.runs.checkpoint import load_checkpoint
from nmt.runs.run import Run


def load_translator(run: Run, config: DecodingConfig, device: torch.device) -> Translator:
    """A translator with the best checkpoint of a run.

    Raises:
        RunError: if the checkpoint is missing or corrupt.
    """
    checkpoint = load_checkpoint(run.best, device)
    return Translator(PreparedModel(checkpoint.model), checkpoint.source, checkpoint.target, config)
