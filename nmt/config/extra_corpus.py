"""Further training corpora beside the main one (`data.extra`)."""

import re
from dataclasses import dataclass
from typing import cast

from nmt.config.extensions import SOURCES, AlignedCorpus
from nmt.config.schema import option, settings

_TAG = re.compile(r"<[\w-]+>")
_TAKEN = ("<pad>", "<unk>", "<s>", "</s>")  # pieces of SentencePiece
_OF_EVERY_KIND = (
    "kind", "weight", "tag", "languages", "swap", "both_directions", "soft_labels", "soft_weight",
)  # fmt: skip


@dataclass
class ExtraCorpus:
    """One corpus of `data.extra`; its pairs are for training only, never for the dev or test set."""

    kind: str = option("tsv", "what it is, as data.source", choices=SOURCES.names())
    path: str | None = option(
        None, "the file or folder; manythings: the archive; moses: the source sentences", literal="path"
    )
    weight: float = option(
        1.0, "how often each pair is used per epoch; 0.5: in every second epoch", above=0, at_most=1000
    )
    tag: str | None = option(None, "a token before each source sentence: <synthetic>, or synthetic for short")
    languages: list[str] = option(
        [], "as data.languages (default: those that the kind knows, else those of the main corpus)"
    )
    swap: bool = option(False, "translate it in the other direction than without")
    both_directions: bool | None = option(None, "as data.both_directions (default: the same)")
    language: str | None = option(None, "manythings, gettext: as data.language (default: the same)")
    source_column: int = option(1, "tsv: as data.source_column", at_least=1)
    target_column: int = option(2, "tsv: as data.target_column", at_least=1)
    alignment_column: int | None = option(None, "tsv: as data.alignment_column", at_least=1)
    target_path: str | None = option(None, "moses: as data.target_path", literal="path")
    alignment_path: str | None = option(None, "moses: as data.alignment_path", literal="path")
    soft_labels: str | None = option(
        None,
        "folder of teachers' probabilities of the target tokens (distillation.soft_weight)",
        literal="path",
    )
    soft_weight: float = option(0.0, "their weight in the loss", at_least=0, below=1)

    @property
    def piece(self) -> str | None:
        """The tag as a piece of the source vocabulary, such as `<synthetic>`."""
        return None if self.tag is None else f"<{self.tag.removeprefix('<').removesuffix('>')}>"


def location_of(extra: ExtraCorpus) -> str:
    """The name of the setting for the main corpus that `path` stands for."""
    return cast(type[AlignedCorpus], SOURCES.load(extra.kind)).location


def in_extra(message: str, extra: ExtraCorpus, key: str) -> str:
    """A message about the corpus as if it were the main one, with its own keys: `key`, such as
    `data.extra[0]`, in place of `data`.
    """
    keys = {f"data.{name}": name for name, _, _ in settings(extra)}
    keys |= {f"data.{location_of(extra)}": "path"}
    known = "|".join(map(re.escape, keys))
    return re.sub(rf"(?<![\w./-])({known})\b(?!\.)", lambda found: f"{key}.{keys[found[0]]}", message)


def unsuitable(extra: ExtraCorpus, key: str, form: str = "{}: FILE") -> list[str]:
    """What is wrong with settings that are each within their bounds.

    Args:
        extra: of a kind that exists.
        key: names it in messages, such as `data.extra[0]`.
        form: how a file is given, by the name of the setting.
    """
    source, location, found = SOURCES.load(extra.kind), location_of(extra), []
    for name, item, value in settings(extra):
        of_main = f"data.{location if name == 'path' else name}"
        if name in _OF_EVERY_KIND:
            continue
        if of_main in source.requires and not value:
            found.append(f"{key}.{name}: kind={extra.kind} needs it; add {form.format(name)}")
        if of_main not in (*source.requires, *source.uses) and value != item.metadata["default"]:
            found.append(f"{key}.{name}={value}: has no effect with kind={extra.kind}; leave it out")
    if extra.piece is not None and (not _TAG.fullmatch(extra.piece) or extra.piece in _TAKEN):
        found.append(
            f"{key}.tag={extra.tag}: must be of letters, digits, _ and -, and not {', '.join(_TAKEN)}"
        )
    return found + _soft_labels(extra, key)


def _soft_labels(extra: ExtraCorpus, key: str) -> list[str]:
    if extra.soft_labels is None and extra.soft_weight:
        return [f"{key}.soft_weight={extra.soft_weight:g}: has no effect without soft_labels; leave it out"]
    if extra.soft_labels is not None and not extra.soft_weight:
        return [f"{key}.soft_weight: soft_labels needs it; add soft_weight: 0.5"]
    return []
