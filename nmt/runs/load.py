"""Loading a translator from one run folder, or from several: an ensemble, or their consensus."""

from collections.abc import Sequence

import torch

from nmt.config.decoding import DecodingConfig
from nmt.decoding.combination import CombinedTranslator
from nmt.decoding.reranking import Reranker
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.errors import ConfigError
from nmt.model.inference.ensemble import Ensemble
from nmt.model.inference.prepared import PreparedModel
from nmt.runs.checkpoint import Checkpoint, load_checkpoint
from nmt.runs.run import Run


def load_translator(run: Run, config: DecodingConfig, device: torch.device) -> Translator:
    """A translator with the best checkpoint of a run.

    Raises:
        RunError: if the checkpoint is missing or corrupt.
    """
    return load_ensemble([run], config, device)


def load_combined(
    runs: Sequence[Run],
    configs: Sequence[DecodingConfig],
    device: torch.device,
    reverse: Run | None = None,
) -> Translator | CombinedTranslator:
    """A translator with the best checkpoint of each run, as `combine` of the first settings says.

    Args:
        runs: at least one.
        configs: the search settings of each; an ensemble has those of the first.
        device: for all models.
        reverse: a run of the other direction, if its probabilities count.

    Raises:
        ConfigError, RunError: as `load_ensemble`.
    """
    consensus = len(runs) > 1 and configs[0].combine == "consensus"
    if consensus:
        found = [load_translator(run, config, device) for run, config in zip(runs, configs, strict=True)]
    else:
        found = [load_ensemble(runs, configs[0], device)]
    if not consensus and reverse is None:
        return found[0]
    back = None if reverse is None else load_translator(reverse, reverse.decoding(), device)
    return CombinedTranslator(found, Reranker(consensus, back))


def load_ensemble(runs: Sequence[Run], config: DecodingConfig, device: torch.device) -> Translator:
    """A translator with the best checkpoint of each run; of several runs, with their ensemble.

    Args:
        runs: at least one.
        config: the search settings.
        device: for all models.

    Raises:
        ConfigError: if the tokenizers of two runs differ.
        RunError: if a checkpoint is missing or corrupt.
    """
    checkpoints = [load_checkpoint(run.best, device) for run in runs]
    first = checkpoints[0]
    for run, checkpoint in zip(runs, checkpoints, strict=True):
        if differing := _differing_sides(first, checkpoint):
            raise ConfigError(
                f"{run.folder}: its {differing} not the same as in {runs[0].folder}; an ensemble needs runs "
                "with the same tokenizers, trained with the same data= and data.tokenizer settings; "
                "--combine consensus takes any"
            )
    models = [PreparedModel(checkpoint.model) for checkpoint in checkpoints]
    model = TorchModel(models[0]) if len(models) == 1 else TorchModel(Ensemble(models))
    return Translator(model, first.source, first.target, config)


def _differing_sides(one: Checkpoint, other: Checkpoint) -> str:
    """The tokenizers, compared by content, that differ in two checkpoints, with a verb; or nothing."""
    sides = [side for side in ("source", "target") if getattr(one, side).model != getattr(other, side).model]
    return f"{' and '.join(sides)} tokenizer{'s are' if len(sides) > 1 else ' is'}" if sides else ""
