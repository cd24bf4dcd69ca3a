"""Commands in this process, where torch is already loaded: faster, and functions can be patched."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
from console import Answer
from hydra.core.global_hydra import GlobalHydra

from nmt import cli, train

STEPS = 4
SHORT = (
    "experiment=debug",
    "data.max_words=4",
    f"training.max_steps={STEPS}",
    "training.validate_every=2",
    "training.save_every=1",
    "training.log_every=1",
    "training.samples=0",
)
"""A training run with a checkpoint after every step and validation after steps 2 and 4."""

MODE = "hydra._internal.hydra.Hydra.get_mode"
"""It composes the settings once more, before all else, to see whether they ask for a sweep by themselves."""

CHECKPOINT = ("manifest.json", "model.json", "model.safetensors", "source.model", "target.model")


def inside(module: ModuleType, *arguments: object, folder: Path, whole: bool = False) -> Answer:
    """Call a command's `main` as `python -m` would, with working directory `folder`. The slowest parts are
    left out, unless it is `whole`: the font of the HTML page, heatmaps, and composing the settings twice.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2))
    log, code = logging.getLogger("nmt"), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.multiple(log, handlers=[], propagate=False))  # not pytest's
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(mock.patch.object(sys, "argv", [module.__name__, *map(str, arguments)]))
        stack.enter_context(mock.patch.dict(os.environ))
        if not whole:
            stack.enter_context(mock.patch("nmt.visualisation.page.font_face", return_value=""))
            stack.enter_context(mock.patch("nmt.runs.finish.TEST_HEATMAPS", 0))
            stack.enter_context(mock.patch(MODE, return_value=None))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.callback(torch.set_flush_denormal, False)  # set by training
        stack.callback(GlobalHydra.instance().clear)
        try:
            cli.run(module.main)
        except SystemExit as left:
            code = int(left.code or 0)
        for handler in log.handlers:
            handler.close()
    for stream in (out, err):
        stream.flush()
    return Answer(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


Begin = Callable[..., Answer]


def weights(run: Path) -> list[bytes]:
    """The weights of the best and the newest checkpoint."""
    return [(run / "checkpoints" / name / "model.safetensors").read_bytes() for name in ("best", "last")]


def check_finished(run: Path, uninterrupted: Path) -> None:
    """An interrupted run must be identical to the uninterrupted one at the end."""
    assert weights(run) == weights(uninterrupted)
    for name in (
        "test/translations.tsv",
        "test/attention.pharaoh",
        "data/dev.jsonl",
        "data/source_words.tsv",
        "prepared.json",
    ):
        assert (run / name).read_bytes() == (uninterrupted / name).read_bytes(), name


def resume(run: Path, *arguments: object) -> Answer:
    """Resume a run."""
    return inside(train, f"resume={run}", *arguments, folder=run.parent)
