"""Training callbacks: the main process (rank 0) reports, validates and saves; the others follow."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmt.config.settings import Config
from nmt.data.examples import Example
from nmt.decoding.result import Translation
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.evaluation.validate import validate
from nmt.model.inference.prepared import PreparedModel
from nmt.model.mode import evaluating
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.latest import point_latest
from nmt.runs.logger import TrainingLogger
from nmt.runs.run import Run
from nmt.training.signals import StopSignals
from nmt.training.train_state import RunningMetrics, TrainState
from nmt.training.trainer import Trainer


class MainCallbacks:
    """In the main process: validates, saves and reports for the training loop."""

    logger: TrainingLogger
    _trainer: Trainer

    def __init__(
        self,
        run: Run,
        config: Config,
        checkpoint: Checkpoint,
        dev: Sequence[Example],
        signals: StopSignals,
        latest: bool,
    ) -> None:
        self._run, self._checkpoint, self._dev, self._signals = run, checkpoint, dev, signals
        self._keep = config.training.keep
        self._samples, self._tokenizer = config.training.samples, config.training.bleu_tokenizer
        self._greedy = replace(config.decoding, beam_size=1)
        self._translations: list[Translation] = []
        self._points_latest = latest

    def start(self, trainer: Trainer) -> None:
        """Start reporting on `trainer`."""
        self._trainer = trainer
        self.logger = TrainingLogger(self._run.tensorboard, trainer.total, trainer.state.step)

    def updated(self, state: TrainState) -> None:
        """Advance the progress bar."""
        self.logger.updated()

    def reported(self, state: TrainState, metrics: RunningMetrics) -> None:
        """Add a point to the training curves."""
        self.logger.reported(state, metrics, self._trainer.total)

    def validate(self, state: TrainState) -> dict[str, float]:
        """Translate and score the development set."""
        checkpoint = self._checkpoint
        with evaluating(checkpoint.model):
            model = TorchModel(PreparedModel(checkpoint.model))  # it has the weights of this validation
            translator = Translator(model, checkpoint.source, checkpoint.target, self._greedy)
            validation = validate(translator, self._dev, self._tokenizer, self._samples)
        self._translations = validation.translations
        return validation.scores

    def validated(self, state: TrainState, selected: str) -> None:
        """Log the scores and save."""
        self._describe(state)
        if selected:
            save_checkpoint(self._run.best, self._checkpoint, keep=self._keep)
            if self._points_latest:
                point_latest(self._run.folder)
                self._points_latest = False
        shown = list(zip(self._dev, self._translations, strict=True))[: self._samples]
        samples = [(example.source, found.text, example.references[0]) for example, found in shown]
        images = _heatmaps([found for _, found in shown if found.has_attention])
        scores = self._checkpoint.progress["scores"]
        self.logger.validated(state, scores, selected, samples, images)
        self.save(state)  # last: if killed before this, a resumed run repeats all of the above

    def save(self, state: TrainState) -> None:
        """Write the newest checkpoint."""
        self.logger.flush()  # a resumed run does not repeat the steps of this checkpoint
        self._describe(state)
        save_checkpoint(self._run.last, self._checkpoint, self._trainer.state_dict(), self._keep)

    def _describe(self, state: TrainState) -> None:
        newest = state.history[-1] if state.history else {}
        scores = {name: value for name, value in newest.items() if name != "step"}
        self._checkpoint.progress = {"step": state.step, "epoch": state.epoch, "scores": scores}

    def stopping(self) -> int:
        """The number of the signal received, or 0."""
        return self._signals.received


class WorkerCallbacks:
    """In the other processes: only contributes the random state when the main process saves."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals

    def start(self, trainer: Trainer) -> None:
        """Start following `trainer`."""
        self._trainer = trainer

    def updated(self, state: TrainState) -> None:
        """Nothing to do."""

    def reported(self, state: TrainState, metrics: RunningMetrics) -> None:
        """Nothing to do."""

    def validate(self, state: TrainState) -> dict[str, float]:
        """Never called."""
        raise AssertionError("only the main process validates")

    def validated(self, state: TrainState, selected: str) -> None:
        """Contribute this process's state to the checkpoint."""
        self.save(state)

    def save(self, state: TrainState) -> None:
        """Contribute this process's state to the checkpoint."""
        self._trainer.state_dict()

    def stopping(self) -> int:
        """The number of the signal received, or 0."""
        return self._signals.received


def _heatmaps(translations: Sequence[Translation]) -> list[NDArray[np.uint8]]:
    if not translations:
        return []
    from nmt.visualisation.heatmap_image import draw_heatmap_image  # slow to import

    return [draw_heatmap_image(*translation.words()) for translation in translations]
