"""Settings of knowledge distillation."""

from collections.abc import Collection
from dataclasses import dataclass

from nmt.config.schema import as_text, option, settings


@dataclass
class DistillationConfig:
    """Sequence-level distillation: train on what an ensemble of teachers translates."""

    train_teachers: int = option(
        0,
        "first train this many teachers, with the seeds seed, seed + 1 …; then train on the training pairs "
        "and on translations by their ensemble (0: no distillation, unless teachers are given)",
        at_least=0,
        used_if={"distillation.teachers": ([],)},
    )
    teachers: list[str] = option(
        [], "take these runs as teachers instead: RUN or [RUN,RUN,…]", literal="path"
    )
    texts: list[str] = option(
        [],
        "have the teachers also translate these sentences, one per line (plain or .gz): FILE or "
        "[FILE,FILE,…]",
        literal="path",
    )
    training_sentences: bool = option(
        True, "translate the training sentences too, not only those of distillation.texts"
    )
    agreement: float | None = option(
        None,
        "let each teacher translate by itself, and take the translation that is most like the others if its "
        "mean chrF with them is this or more, 0 to 100 (null: translate with the ensemble of the teachers)",
        at_least=0,
        at_most=100,
    )
    weight: float = option(
        1.0, "how often each translation by the teachers is used per epoch", above=0, at_most=1000
    )

    @property
    def requested(self) -> bool:
        """Whether there are to be teachers."""
        return self.count > 0

    @property
    def count(self) -> int:
        """The number of teachers."""
        return len(self.teachers) or self.train_teachers


def distillation_conflicts(distillation: DistillationConfig, typed: Collection[str]) -> list[str]:
    """Why the settings cannot be used together, a line each.

    Args:
        distillation: the settings.
        typed: the names of those that the user gave.
    """
    values = {key: value for key, _, value in settings(distillation, "distillation.")}
    if not distillation.requested:
        needed = "has no effect without distillation.train_teachers or distillation.teachers; leave it out"
        rest = [key for key in values if key not in ("distillation.train_teachers", "distillation.teachers")]
        return [
            f"{key}={as_text(values[key])}: {needed}"
            for key in rest
            if key in typed or (key == "distillation.texts" and distillation.texts)
        ]
    found = []
    if not distillation.training_sentences and not distillation.texts:
        found.append(
            "distillation.training_sentences=false: leaves nothing to translate; give distillation.texts"
        )
    if distillation.agreement is not None and distillation.count < 2:
        agreement = as_text(distillation.agreement)
        found.append(f"distillation.agreement={agreement}: needs two or more teachers, which can agree")
    return found
