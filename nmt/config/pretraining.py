"""Settings of pretraining: another corpus that the model is trained on first."""

from dataclasses import dataclass, replace

from nmt.config.data import DataConfig
from nmt.config.extensions import SOURCES
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.schema import option

_CORPUS = ("kind", "language", "path")
"""The settings of which any asks for pretraining."""


@dataclass
class PretrainingConfig:
    """Transfer learning (Zoph et al. 2016, §3): start from the weights of a run on another corpus."""

    kind: str | None = option(
        None,
        "first train on another corpus, usually of another language pair, and start from those weights: what "
        "it is, as data.source (default: manythings, if there is a language or a path)",
        choices=SOURCES.names(),
    )
    language: str | None = option(
        None, "manythings, gettext: as data.language (default: the same)", literal="name"
    )
    path: str | None = option(
        None, "the file or folder, as in data.extra (default: manythings downloads it)", literal="path"
    )
    target_path: str | None = option(None, "moses: as data.target_path", literal="path")
    languages: list[str] = option([], "as data.languages")
    swap: bool = option(False, "translate it in the other direction than without")
    epochs: int = option(5, "epochs of pretraining", at_least=1)
    batch_tokens: int = option(2560, "as training.batch_tokens, for pretraining", at_least=1)
    learning_rate: float = option(2.5e-3, "as training.learning_rate, for pretraining", above=0)

    @property
    def requested(self) -> bool:
        """Whether there is to be pretraining."""
        return any(getattr(self, name) is not None for name in _CORPUS)

    @property
    def corpus(self) -> ExtraCorpus:
        """The corpus."""
        return ExtraCorpus(
            kind=self.kind or "manythings",
            path=self.path,
            languages=self.languages,
            swap=self.swap,
            language=self.language,
            target_path=self.target_path,
        )

    def data(self, main: DataConfig) -> DataConfig:
        """The data settings of pretraining.

        Args:
            main: those of the run.
        """
        own: dict[str, list[str] | None] = {}
        for split in ("dev", "test"):
            own |= {f"{split}_path": None, f"{split}_source_path": None, f"{split}_target_paths": []}
        tokenizer = replace(main.tokenizer, path=None)
        data = replace(main.as_main(self.corpus), rare_words=0, names=None, tokenizer=tokenizer)
        return replace(data, **own)  # type: ignore[arg-type]
