"""Data settings: where the sentence pairs come from, and how they are split and tokenised."""

import dataclasses
from dataclasses import dataclass, field
from functools import partial

from nmt.config.extensions import SOURCES
from nmt.config.extra_corpus import ExtraCorpus, location_of
from nmt.config.schema import option

_TRAINED = {"data.tokenizer.path": (None,)}


OWN_NAMES = "auto"
"""`data.names`: the list of this project for the languages of the corpus."""


@dataclass
class TokenizerConfig:
    """SentencePiece, trained on the training set only."""

    path: str | None = option(
        None,
        "take the tokenizers of this folder, with source.model and target.model, instead of training any: "
        "RUN/checkpoints/best, or soft labels",
        literal="path",
    )
    kind: str = option("bpe", "segmentation", choices=("unigram", "bpe", "char", "word"))
    vocab_size: int = option(2000, "maximum vocabulary size, in pieces", at_least=8, used_if=_TRAINED)
    joint: bool = option(False, "one vocabulary shared by source and target", used_if=_TRAINED)
    byte_fallback: bool = option(
        True, "encode characters outside the vocabulary as bytes, so there is no <unk>", used_if=_TRAINED
    )


@dataclass
class DataConfig:
    """Where the sentence pairs come from and how they are split."""

    source: str = option("manythings", "the corpus", choices=SOURCES.names())
    language: str = option(
        "mar",
        "manythings: the code in <code>-eng.zip; gettext: the folder of the language, such as mr",
        used_by="data.source",
        literal="name",
    )
    url: str = option(
        "https://www.manythings.org/anki/{language}-eng.zip",
        "manythings: download URL",
        used_by="data.source",
        used_if={"data.archive": (None,)},
        literal="name",
    )
    archive: str | None = option(
        None, "manythings: a local .zip instead of downloading", used_by="data.source", literal="path"
    )
    path: str | None = option(
        None,
        "tsv, dictionary: the file (plain or .gz); gettext: the folder",
        used_by="data.source",
        literal="path",
    )
    source_column: int = option(
        1, "tsv: column of the source sentence, from 1", at_least=1, used_by="data.source"
    )
    target_column: int = option(
        2, "tsv: column of the target sentence, from 1", at_least=1, used_by="data.source"
    )
    alignment_column: int | None = option(
        None, "tsv: column of the word alignment (0-0 1-2 …), if any", at_least=1, used_by="data.source"
    )
    source_path: str | None = option(
        None,
        "moses: the source sentences, one per line (plain or .gz)",
        used_by="data.source",
        literal="path",
    )
    target_path: str | None = option(
        None,
        "moses: the target sentences, aligned line by line",
        used_by="data.source",
        literal="path",
    )
    alignment_path: str | None = option(
        None, "moses: the word alignments, aligned line by line", used_by="data.source", literal="path"
    )
    dev_path: str | None = option(
        None,
        "your own development set: TSV, columns as in a TSV corpus, else source and target; a source on "
        "several lines has several references",
        literal="path",
    )
    dev_source_path: str | None = option(
        None, "or as text: source sentences, one per line (plain or .gz) …", literal="path"
    )
    dev_target_paths: list[str] = option(
        [], "… and reference files, aligned line by line: FILE or [FILE,FILE,…]", literal="path"
    )
    test_path: str | None = option(None, "your own test set, like dev_path", literal="path")
    test_source_path: str | None = option(None, "or as text, like dev_source_path", literal="path")
    test_target_paths: list[str] = option([], "… like dev_target_paths", literal="path")
    extra: list[ExtraCorpus] = option(
        [], "further corpora to train on: [{kind: tsv, path: FILE, weight: 0.5, tag: synthetic}, …]"
    )
    rare_words: int = option(
        0,
        "add so many new training pairs for each rare source word, which takes a similar word's place "
        "(0: none)",
        at_least=0,
        at_most=100,
    )
    names: str | None = option(
        None,
        "add new training pairs with the names of this file: name, tab, translation and, if they are of "
        "several kinds, tab and kind (auto: a list of this project for these languages)",
        literal="path",
    )
    pairs_per_name: int = option(
        20, "new training pairs for each name", at_least=1, at_most=1000, unused_if={"data.names": (None,)}
    )
    input_variants: float = option(
        0.0,
        "add variants of this fraction of the training pairs, others in each epoch, with the source as "
        "people type it: without a final mark, in lower case, with other apostrophes",
        at_least=0,
        at_most=1,
    )
    swap: bool = option(False, "translate in the other direction")
    both_directions: bool = option(
        False, "use each pair in both directions; a tag of the source says the language of its translation"
    )
    languages: list[str] = option(
        [],
        "codes of the languages, in the order of the files: [en,mr] (default: those that the corpus knows)",
    )
    cache: str = option("data/cache", "folder for downloads and prepared data", literal="path")
    max_words: int = option(100, "drop pairs with more words than this on a side", at_least=1)
    max_ratio: float = option(9.0, "drop pairs with a higher length ratio, in characters", above=1)
    max_tokens: int = option(
        500, "drop pairs with more tokens (sub-word pieces) on a side, after tokenising", at_least=1
    )
    dev_fraction: float = option(
        0.02,
        "development set: fraction of the groups of pairs that share a sentence",
        above=0,
        below=0.5,
        used_if={"data.dev_path": (None,), "data.dev_source_path": (None,)},
    )
    test_fraction: float = option(
        0.03,
        "test set: fraction of the groups of pairs that share a sentence",
        above=0,
        below=0.5,
        used_if={"data.test_path": (None,), "data.test_source_path": (None,)},
    )
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    @property
    def made(self) -> list[ExtraCorpus]:
        """The corpora that are made from the training set; `kind` is the setting that asks for one. Input
        variants differ in source and target, so each direction has its own.
        """
        kinds = [*(["rare_words"] if self.rare_words else []), *([] if self.names is None else ["names"])]
        variants = partial(
            ExtraCorpus, kind="input_variants", weight=self.input_variants, both_directions=False
        )
        ways = ((False, True) if self.both_directions else (False,)) if self.input_variants else ()
        return [*(ExtraCorpus(kind=kind) for kind in kinds), *(variants(swap=swap) for swap in ways)]

    def as_main(self, extra: ExtraCorpus) -> "DataConfig":
        """The settings with an extra corpus as the main one, cleaned as the main one is, and directed as the
        settings of both say.
        """
        own = {item.name: getattr(extra, item.name) for item in dataclasses.fields(extra)}
        own = {item.name: own[item.name] for item in dataclasses.fields(self) if item.name in own}
        own |= {"source": extra.kind, "language": extra.language or self.language, "extra": []}
        own |= {"path": None, "archive": None, "source_path": None, location_of(extra): extra.path}
        own["swap"] = self.swap != extra.swap
        own["both_directions"] = (
            self.both_directions if extra.both_directions is None else extra.both_directions
        )
        return dataclasses.replace(self, **own)
