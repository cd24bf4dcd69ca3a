"""Loading a translator from one run folder, or from several: an ensemble, or their consensus."""

from collections.abc import Sequence
from typing import Any

import torch

from nmt.config.decoding import DecodingConfig
from nmt.decoding.combination import CombinedTranslator
from nmt.decoding.interface import SearchModel
from nmt.decoding.reranking import Reranker
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.errors import ConfigError
from nmt.model.inference.ensemble import Ensemble
from nmt.model.inference.prepared import PreparedModel
from nmt.runs.checkpoint import Checkpoint, load_checkpoint
from nmt.runs.run import Run
from nmt.runs.run_datastore import RunDatastore


class LoadedRuns:
    """The best checkpoint of a run, or of several as an ensemble. Several threads can use it.

    Args:
        runs: at least one.
        checkpoints: of each; the tokenizers are the same.

    Attributes:
        source, target: the tokenizers.
        heads: number of attention heads.
    """

    def __init__(self, runs: Sequence[Run], checkpoints: Sequence[Checkpoint]) -> None:
        models = [PreparedModel(checkpoint.model) for checkpoint in checkpoints]
        self.source, self.target = checkpoints[0].source, checkpoints[0].target
        self._model = TorchModel(models[0]) if len(models) == 1 else TorchModel(Ensemble(models))
        self.heads = self._model.heads
        alone = len(runs) == 1
        self._datastore = RunDatastore(runs[0], models[0], len(self.target)) if alone else None

    @property
    def datastore(self) -> RunDatastore:
        """The training tokens of the run.

        Raises:
            ConfigError: for an ensemble.
        """
        if self._datastore is None:
            raise ConfigError("retrieval and examples need the datastore of one run: give only one --run")
        return self._datastore

    def translator(self, config: DecodingConfig) -> Translator:
        """A translator with these settings.

        Raises:
            ConfigError, RunError: if the settings ask for retrieval, and there is no datastore for it.
        """
        model: SearchModel[Any] = self._model
        if config.retrieval.weight:
            model = TorchModel(self.datastore.model(config.retrieval))
        return Translator(model, self.source, self.target, config)


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
    reverse: Translator | None = None,
) -> Translator | CombinedTranslator:
    """A translator with the best checkpoint of each run, as `combine` of the first settings says.

    Args:
        runs: at least one.
        configs: the search settings of each; an ensemble has those of the first.
        device: for all models.
        reverse: translates in the other direction, if its probabilities count.

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
    return CombinedTranslator(found, Reranker(consensus, reverse))


def load_ensemble(runs: Sequence[Run], config: DecodingConfig, device: torch.device) -> Translator:
    """A translator with the best checkpoint of each run; of several runs, with their ensemble.

    Args:
        runs: at least one.
        config: the search settings.
        device: for all models.

    Raises:
        ConfigError, RunError: as `load_models` and `LoadedRuns.translator`.
    """
    return load_models(runs, device).translator(config)


def load_models(runs: Sequence[Run], device: torch.device) -> LoadedRuns:
    """The best checkpoint of each run.

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
    return LoadedRuns(runs, checkpoints)


def _differing_sides(one: Checkpoint, other: Checkpoint) -> str:
    """The tokenizers, compared by content, that differ in two checkpoints, with a verb; or nothing."""
    sides = [side for side in ("source", "target") if getattr(one, side).model != getattr(other, side).model]
    return f"{' and '.join(sides)} tokenizer{'s are' if len(sides) > 1 else ' is'}" if sides else ""
