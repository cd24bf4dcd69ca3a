"""Which settings of pretraining and distillation cannot be used together, or with others."""

from collections.abc import Collection, Mapping
from typing import Any

from nmt.config.directions import direction_conflicts, main_direction
from nmt.config.distillation import DistillationConfig
from nmt.config.extensions import SOURCES
from nmt.config.extra_corpus import in_extra, location_of, unsuitable
from nmt.config.schema import as_text, settings
from nmt.config.settings import Config

_KEY = "pretraining"
_TEACHERS = ("distillation.train_teachers", "distillation.teachers")


def stage_conflicts(config: Config, typed: Collection[str]) -> list[str]:
    """Why the settings cannot be used together, a line each.

    Args:
        config: the settings.
        typed: the names of those that the user gave.
    """
    found = _pretraining_conflicts(config, typed) + _distillation_conflicts(config, typed)
    return found + _soft_label_conflicts(config)


# ---------------------------------------------------------------- pretraining


def _pretraining_conflicts(config: Config, typed: Collection[str]) -> list[str]:
    pretraining, initial = config.pretraining, config.training.initialise_from
    if not pretraining.requested:
        needed = "pretraining.language, pretraining.path or pretraining.kind"
        return _unused({key: value for key, _, value in settings(pretraining, f"{_KEY}.")}, typed, needed)
    found = []
    if initial is not None:
        found.append(
            f"training.initialise_from={initial}: the run starts from its pretraining; leave one out"
        )
    corpus = pretraining.corpus
    if corpus.kind not in SOURCES.names():  # refused as a value
        return found
    own = pretraining.data(config.data)
    conflicts = [*SOURCES.load(corpus.kind).conflicts(own), *direction_conflicts(own)]
    found += unsuitable(corpus, _KEY, f"{_KEY}.{{}}=FILE")
    found += [in_extra(conflict, corpus, _KEY) for conflict in conflicts]
    return found or _the_same(config) or _languages(config)


def _the_same(config: Config) -> list[str]:
    """That the corpus of pretraining is that of the run."""
    data, pretraining = config.data, config.pretraining
    own, location = pretraining.data(data), location_of(pretraining.corpus)
    differ = any(getattr(own, name) != getattr(data, name) for name in ("source", "language", "swap"))
    if differ or getattr(own, location) not in (None, getattr(data, location)):
        return []
    return [f"{_KEY}: its corpus is that of the run; choose another, or another {_KEY}.language"]


def _languages(config: Config) -> list[str]:
    """That pretraining has the language of the run on neither side, or not on that of its sentences which are
    to be translated; as far as the languages are known.
    """
    pretraining = config.pretraining
    own, other = main_direction(config.data), main_direction(pretraining.data(config.data))
    if own is None or other is None:
        return []
    if own[0] != other[0] and own[1] != other[1]:
        fits = own[0] == other[1] or own[1] == other[0]
        swap = f"{_KEY}.swap={as_text(not pretraining.swap)}"
        return [
            f"{_KEY}: translates from {other[0]} to {other[1]} and the run from {own[0]} to {own[1]}, which "
            f"have neither side in common; {f'add {swap}' if fits else 'choose another corpus'}"
        ]
    if config.distillation.pretraining_sentences and own[0] != other[0]:
        return [
            f"distillation.pretraining_sentences=true: those of pretraining are in {other[0]}, and the "
            f"teachers translate from {own[0]}; set it to false"
        ]
    return []


# ---------------------------------------------------------------- distillation


def _distillation_conflicts(config: Config, typed: Collection[str]) -> list[str]:
    distillation = config.distillation
    values = {key: value for key, _, value in settings(distillation, "distillation.")}
    if not distillation.requested:
        rest = {key: value for key, value in values.items() if key not in _TEACHERS}
        given = [*typed, *(["distillation.texts"] if distillation.texts else [])]
        return _unused(rest, given, " or ".join(_TEACHERS))
    found = _teacher_conflicts(distillation, typed) + _sentence_conflicts(config)
    if not distillation.has_reverse:
        rest = {key: values[key] for key in ("distillation.candidates", "distillation.reverse_weight")}
        found += _unused(rest, typed, "distillation.reverse or distillation.train_reverse")
    train_reverse = "distillation.train_reverse"
    if distillation.reverse is not None and distillation.train_reverse and train_reverse in typed:
        found.append(f"{train_reverse}=true: has no effect with distillation.reverse; leave it out")
    return found


def _teacher_conflicts(distillation: DistillationConfig, typed: Collection[str]) -> list[str]:
    found = []
    if distillation.agreement is not None and distillation.count < 2:
        agreement = as_text(distillation.agreement)
        found.append(f"distillation.agreement={agreement}: needs two or more teachers, which can agree")
    if distillation.teachers and "distillation.teacher_overrides" in typed:
        found.append("distillation.teacher_overrides: has no effect with distillation.teachers; leave it out")
    return found


def _sentence_conflicts(config: Config) -> list[str]:
    distillation, found = config.distillation, []
    if distillation.pretraining_sentences and not config.pretraining.requested:
        found.append(
            "distillation.pretraining_sentences=true: there is no pretraining; add pretraining.language, or "
            "set it to false"
        )
    further = distillation.texts or distillation.pretraining_sentences
    if not distillation.training_sentences and not further:
        found.append(
            "distillation.training_sentences=false: leaves nothing to translate; give distillation.texts"
        )
    return found


def _soft_label_conflicts(config: Config) -> list[str]:
    """Why soft labels, of a distillation or of given pairs, cannot be used."""
    given = [
        f"data.extra[{number}].soft_labels={extra.soft_labels}"
        for number, extra in enumerate(config.data.extra)
        if extra.soft_labels is not None
    ]
    weight = config.distillation.soft_weight
    every = [*([f"distillation.soft_weight={weight:g}"] if weight else []), *given]
    found = []
    if every and config.training.subword_sampling:
        found.append(
            f"{every[0]}: cannot be combined with training.subword_sampling, as the labels are of the pieces "
            "of one segmentation"
        )
    if given and config.data.tokenizer.path is None:
        found.append(
            f"{given[0]}: the labels are of the pieces of the teachers; add data.tokenizer.path= with "
            "the same folder"
        )
    return found


def _unused(values: Mapping[str, Any], typed: Collection[str], needed: str) -> list[str]:
    """A line for each setting that was given."""
    return [
        f"{key}={as_text(value)}: has no effect without {needed}; leave it out"
        for key, value in values.items()
        if key in typed
    ]
