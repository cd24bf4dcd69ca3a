"""Reporting of training progress: progress bar or log lines, log file, and TensorBoard."""

import contextlib
import logging
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import SummaryWriter
from tqdm import tqdm

from nmt.errors import full_text
from nmt.files import naming
from nmt.training.train_state import RunningMetrics, TrainState

logger = logging.getLogger("nmt")


class _FileHandler(logging.FileHandler):
    """Ignores write errors: the line is on the terminal too, and a full disk is reported when the next
    checkpoint is saved.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error."""


def _ignore_write_errors(error: threading.ExceptHookArgs) -> None:
    """Ignore write errors in TensorBoard's thread: they are raised again at the next call of the writer."""
    if not isinstance(error.exc_value, OSError):
        threading.__excepthook__(error)


class _TerminalHandler(logging.Handler):
    """Prints to standard output, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        with contextlib.suppress(BrokenPipeError):  # the reader is gone; the log file has everything
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()


def _file_handler(path: Path) -> logging.Handler:
    file = _FileHandler(path, encoding="utf-8", errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    return file


def log_error(path: Path, error: BaseException, process: str = "") -> None:
    """Write the error that ended a training to the run's log file only: one line, after the traceback if it
    is an internal error. Does nothing if the file cannot be written or the run's folder is on another
    machine.

    Args:
        path: of the log file.
        error: the error that ended the training.
        process: name of this process, if there are several.
    """
    text = full_text(error, path.parent)
    if not text:
        return
    with contextlib.suppress(OSError), contextlib.closing(_file_handler(path)) as file:
        text = f"{process}: {text}" if process else text
        file.handle(logger.makeRecord(logger.name, logging.ERROR, "", 0, text, (), None))


@contextlib.contextmanager
def errors_logged(path: Path, process: str = "") -> Iterator[None]:
    """Log an error raised inside to the run's log file; arguments as for `log_error`."""
    try:
        yield
    except BaseException as error:
        log_error(path, error, process)
        raise


def start_log(path: Path) -> None:
    """Send log messages of the "nmt" logger to the terminal and, with timestamps, to a file of this run."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.addHandler(_file_handler(path))
    logger.addHandler(_TerminalHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def duration(seconds: float) -> str:
    """Format seconds for display: 42s, 3m05s, 1h07m."""
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded}s"
    if rounded < 3600:
        return f"{rounded // 60}m{rounded % 60:02d}s"
    return f"{rounded // 3600}h{rounded % 3600 // 60:02d}m"


class TrainingLogger:
    """Reports the progress of one run.

    Args:
        folder: of the TensorBoard event files.
        total: planned number of updates.
        done: updates done before this process started (resuming); events of later steps are purged.
    """

    def __init__(self, folder: Path, total: int, done: int = 0) -> None:
        self._hook, threading.excepthook = threading.excepthook, _ignore_write_errors
        self._folder = folder
        self._writer = SummaryWriter(str(folder), purge_step=done + 1)
        self._done = done
        self._start = time.perf_counter()
        self._speeds: list[float] = []
        self._bar = tqdm(
            total=total, initial=done, unit="step", dynamic_ncols=True, disable=not sys.stderr.isatty()
        )

    @property
    def elapsed(self) -> float:
        """Seconds since this process started training."""
        return time.perf_counter() - self._start

    @property
    def speed(self) -> float:
        """Real target tokens per second in training: the median over the reported intervals."""
        return median(self._speeds) if self._speeds else 0.0

    def updated(self) -> None:
        """Advance the progress bar by one update."""
        self._bar.update()

    def reported(self, state: TrainState, metrics: RunningMetrics, total: int) -> None:
        """Report the training loss, speed and time left; `total`: planned number of updates by now."""
        speed, self._bar.total = metrics.speed, total
        self._speeds.append(speed)
        scalars = {
            "train/loss": metrics.loss,
            "train/perplexity": math.exp(min(metrics.loss, 50.0)),
            "train/learning_rate": metrics.lr,
            "train/gradient_norm": float(metrics.gradient_norm),
            "train/tokens_per_second": speed,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, state.step)
        self._bar.set_postfix_str(f"loss {metrics.loss:.3f}, {speed:,.0f} tokens/s")
        if self._bar.disable:
            left = duration(self.elapsed / (state.step - self._done) * (total - state.step))
            logger.info(
                f"step {state.step}/{total}  epoch {state.epoch + 1}  loss {metrics.loss:.3f}  "
                f"lr {metrics.lr:.2e}  {speed:,.0f} tokens/s  {left} left"
            )

    def validated(
        self,
        state: TrainState,
        scores: Mapping[str, float],
        selected: str,
        samples: Sequence[tuple[str, str, str]],
        images: Sequence[NDArray[np.uint8]],
    ) -> None:
        """Report development scores, sample translations and alignment heatmaps.

        Args:
            state: the training progress.
            scores: by name.
            selected: why this checkpoint translates from now on; empty if it does not.
            samples: (source, translation, reference), the same sentences every time.
            images: heatmaps of the samples, each [height, width, 3].
        """
        line = "  ".join(f"{name} {value:.2f}" for name, value in scores.items())
        logger.info(f"step {state.step}: development {line}{f'  ({selected})' if selected else ''}")
        for name, value in scores.items():
            self._writer.add_scalar(f"dev/{name}", value, state.step)
        rows = ["| " + " | ".join(text.replace("|", "\\|") for text in sample) + " |" for sample in samples]
        if rows:
            table = "\n".join(["| source | translation | reference |", "|---|---|---|", *rows])
            self._writer.add_text("dev/translations", table, state.step)
        for number, image in enumerate(images, 1):
            self._writer.add_image(f"dev/alignment_{number}", image, state.step, dataformats="HWC")
        self.flush()

    def flush(self) -> None:
        """Write buffered TensorBoard events to disk.

        Raises:
            OSError: if they cannot be written; it names the folder.
        """
        with naming(self._folder):
            self._writer.flush()

    def finished(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Write the settings and the final scores (TensorBoard's HPARAMS tab)."""
        plain = {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in settings.items()
        }
        final = {f"final/{name}": value for name, value in scores.items()}
        for summary in hparams(plain, final):  # type: ignore[no-untyped-call]
            self._writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        for name, value in final.items():
            self._writer.add_scalar(name, value, 0)
        self.flush()

    def close(self) -> None:
        """Close the bar and the TensorBoard writer. Write errors are ignored here, so that they do not hide
        the error that ended the training.
        """
        self._bar.close()
        with contextlib.suppress(OSError):
            self._writer.close()
        threading.excepthook = self._hook
