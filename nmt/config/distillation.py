"""Settings of knowledge distillation."""

from dataclasses import dataclass, replace

from nmt.config.decoding import DecodingConfig
from nmt.config.schema import option


@dataclass
class DistillationConfig:
    """Train on what an ensemble of teachers translates, and on their probabilities of its tokens."""

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
    teacher_overrides: list[str] = option(
        [],
        "other settings of the teachers trained here, in turn: [model=bahdanau,training.epochs=14 "
        "training.rdrop=2.5,…] (default: those of the student)",
        literal="name",
    )
    processes: int = option(
        1,
        "train this many of the teachers and the reverse model at the same time, each in a process of its "
        "own; on a GPU, which small models leave mostly idle, also translate in as many",
        at_least=1,
    )
    reverse: str | None = option(
        None,
        "a run of the other direction, which ranks the best translations by each teacher before one is taken",
        literal="path",
    )
    train_reverse: bool = option(
        False, "train that run here, with the settings of the student in the other direction"
    )
    candidates: int | None = option(
        None,
        "number of translations by each teacher that the reverse model ranks (default: decoding.candidates)",
        at_least=1,
    )
    reverse_weight: float | None = option(
        None, "weight of the reverse model (default: decoding.reverse_weight)", at_least=0
    )
    texts: list[str] = option(
        [],
        "have the teachers also translate these sentences, one per line (plain or .gz): FILE or "
        "[FILE,FILE,…]",
        literal="path",
    )
    training_sentences: bool = option(True, "translate the training sentences too, not only further ones")
    pretraining_sentences: bool = option(
        False, "translate also the training sentences of pretraining, but for those of the run"
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
    soft_weight: float = option(
        0.0,
        "weight in the loss of the teachers' probabilities of each next token, on the pairs that they "
        "translated; the student takes over their tokenizers (0: none)",
        at_least=0,
        below=1,
    )
    soft_tokens: int = option(
        16,
        "how many of the most probable tokens are kept for each target token",
        at_least=1,
        unused_if={"distillation.soft_weight": (0.0,)},
    )

    def decoding(self, own: DecodingConfig) -> DecodingConfig:
        """The settings with which the teachers search; `own`: those of the run."""
        candidates = own.candidates if self.candidates is None else self.candidates
        weight = own.reverse_weight if self.reverse_weight is None else self.reverse_weight
        return replace(own, candidates=candidates, reverse_weight=weight)

    @property
    def has_reverse(self) -> bool:
        """Whether a reverse model ranks their translations."""
        return self.train_reverse or self.reverse is not None

    @property
    def requested(self) -> bool:
        """Whether there are to be teachers."""
        return self.count > 0

    @property
    def count(self) -> int:
        """The number of teachers."""
        return len(self.teachers) or self.train_teachers
