"""What the training loop calls: validation, saving, reports."""

from typing import Protocol

from nmt.training.train_state import RunningMetrics, TrainState


class Callbacks(Protocol):
    """Callbacks of the training loop. The command implements them, one instance per process."""

    def updated(self, state: TrainState) -> None:
        """Called after every update."""

    def reported(self, state: TrainState, metrics: RunningMetrics) -> None:
        """Called every `log_every` updates; the running metrics start anew afterwards."""

    def validate(self, state: TrainState) -> dict[str, float]:
        """Score the model on the development set: loss, perplexity, bleu, chrf. Called in the first process
        only; the scores are sent to the others.
        """
        ...

    def validated(self, state: TrainState, selected: str) -> None:
        """Called after a validation, with its scores last in `state.history`; save the checkpoint here.
        `selected`: why this checkpoint translates from now on; empty if it does not.
        """

    def save(self, state: TrainState) -> None:
        """Save a checkpoint between validations."""

    def stopping(self) -> int:
        """The signal that requests to save and stop after this update, or 0."""
        ...
