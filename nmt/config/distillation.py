"""Settings of knowledge distillation."""

from dataclasses import dataclass

from nmt.config.schema import option


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
    weight: float = option(
        1.0, "how often each translation by the teachers is used per epoch", above=0, at_most=1000
    )

    @property
    def requested(self) -> bool:
        """Whether there are to be teachers."""
        return bool(self.teachers or self.train_teachers)
