"""Transfer learning: a new model starts from the weights of a run, which may be of another language pair
(Zoph et al. 2016, §3).

A parameter is carried over if the model has one of the same name and shape. Embeddings and output layers have
a row for each piece of a vocabulary: a row is carried over if the run's vocabulary on that side has the same
piece. Everything else keeps its initial value.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from nmt.config.settings import Config
from nmt.data.tokenizer import Tokenizer
from nmt.errors import RunError
from nmt.runs.checkpoint import Checkpoint, find_checkpoint, kept_checkpoints, load_checkpoint
from nmt.runs.latest import find_run
from nmt.runs.run import Run, refuse_exported

logger = logging.getLogger("nmt")
_KEY = "training.initialise_from"
_ROWS = {
    "source": ("source.table.weight",),
    "target": (
        "target.table.weight",
        "tied.bias",
        "vocabulary.weight",
        "vocabulary.bias",
        "lexical.output.weight",
    ),
}
"""The parameters with one row for each piece, by side."""


def found_initial(config: Config) -> Config:
    """The settings with the run to start from, if any, as the absolute path of its folder: `runs/latest` may
    point to another run when this one is resumed.

    Raises:
        RunError: if there is no such run, or its checkpoint is corrupt.
    """
    path = config.training.initialise_from
    if path is None:
        return config
    run = Run(find_run(Path(path)))
    refuse_exported(run.folder, f"{_KEY}={path}")
    if not kept_checkpoints(run.best):
        raise RunError(f"{_KEY}={path}: no such run, or one without a checkpoint")
    find_checkpoint(run.best)
    training = replace(config.training, initialise_from=str(run.folder.resolve()))
    return replace(config, training=training)


def initial_run(config: Config, run: Run) -> str | None:
    """The folder of the run whose weights this one starts from, if any: its own pretraining, or one that is
    given.
    """
    return str(run.pretraining) if config.pretraining.requested else config.training.initialise_from


def initialise_from(path: str, new: Checkpoint) -> None:
    """Carry over the weights of a run to a new model, in place; one line of the log says which.

    Args:
        path: the folder of the run, whose best checkpoint is read.
        new: the new model, with its tokenizers.

    Raises:
        RunError: if the run cannot be read, or no parameter fits.
    """
    old = load_checkpoint(Run(Path(path)).best, torch.device("cpu"))
    weights, carried, left = dict(old.model.named_parameters()), 0, []
    rows = {name: side for side, names in _ROWS.items() for name in names}
    shared = {side: _shared(getattr(old, side), getattr(new, side)) for side in _ROWS}
    for name, parameter in new.model.named_parameters():
        if _carry(weights.get(name), parameter, shared.get(rows.get(name, ""))):
            carried += 1
        else:
            left.append(name)
    if not carried:
        raise RunError(f"{_KEY}={path}: nothing fits this model: no parameter has the same name and shape")
    pieces = ", ".join(
        f"{len(shared[side][0]):,} of {len(getattr(new, side)):,} {side} pieces" for side in _ROWS
    )
    logger.info(
        f"initialised from {path}: {carried} of {carried + len(left)} parameters, with {pieces}; "
        f"not carried over: {', '.join(left) or 'none'}"
    )


def _shared(old: Tokenizer, new: Tokenizer) -> tuple[Tensor, Tensor]:
    """The ids of the pieces that two vocabularies share: in the old one and in the new one, [n] each."""
    ids: Mapping[str, int] = {piece: number for number, piece in enumerate(old.pieces())}
    pairs = [(ids[piece], number) for number, piece in enumerate(new.pieces()) if piece in ids]
    before, after = torch.tensor(pairs).unbind(dim=1)  # the special tokens at least
    return before, after


@torch.no_grad()
def _carry(old: Tensor | None, new: Tensor, rows: tuple[Tensor, Tensor] | None) -> bool:
    """Copy a parameter, or its rows of shared pieces; returns whether the shape of it, or of a row, fits."""
    if old is None or (old.shape != new.shape if rows is None else old.shape[1:] != new.shape[1:]):
        return False
    if rows is None:
        new.copy_(old)
    else:
        before, after = (index.to(new.device) for index in rows)
        new[after] = old.to(new.device)[before]
    return True
