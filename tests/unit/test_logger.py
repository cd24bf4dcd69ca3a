"""TensorBoard curves of a resumed run, and write errors."""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
from faults import largest_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt.runs.logger import TrainingLogger, start_log
from nmt.training.train_state import RunningMetrics, TrainState


def losses(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars("train/loss")]


def write(folder: Path, done: int, steps: range, loss: float) -> TrainingLogger:
    logger = TrainingLogger(folder, total=100, done=done)
    for step in steps:
        logger.reported(TrainState(step=step), RunningMetrics(nll=loss * step, tokens=1), 10)
    return logger


def test_what_came_after_the_checkpoint_counts_no_more(tmp_path):
    write(tmp_path, 0, range(1, 8), loss=1.0).close()
    write(tmp_path, 4, range(5, 7), loss=2.0).close()
    write(tmp_path, 6, range(7, 9), loss=4.0).close()
    assert losses(tmp_path) == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 10), (6, 12), (7, 28), (8, 32)]


def test_a_run_that_begins_again_begins_with_empty_curves(tmp_path):
    """It was stopped before its first checkpoint."""
    write(tmp_path, 0, range(1, 4), loss=1.0).close()
    write(tmp_path, 0, range(1, 3), loss=2.0).close()
    assert losses(tmp_path) == [(1, 2), (2, 4)]


def test_flushed_points_are_in_the_file(tmp_path):
    """Without closing the logger, as the process may be killed next."""
    logger = write(tmp_path, 0, range(1, 4), loss=1.0)
    logger.flush()
    assert losses(tmp_path) == [(1, 1), (2, 2), (3, 3)]
    logger.close()


def test_curves_that_cannot_be_written_are_one_error(tmp_path, capfd):
    """TensorBoard writes in a thread, whose traceback Python would print."""
    logger = write(tmp_path, 0, range(1, 4), loss=1.0)
    logger.flush()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with largest_file(4096):
        with pytest.raises(OSError, match="File too large") as caught:
            logger.validated(TrainState(step=3), {"bleu": 1.0}, "", [], [noise])
        assert caught.value.filename == str(tmp_path)
        logger.close()  # does not hide the error that ended the training
    assert capfd.readouterr().err == ""
    assert losses(tmp_path) == [(1, 1), (2, 2), (3, 3)]


def test_other_threads_still_report_their_errors(tmp_path, capfd):
    def fail() -> None:
        raise ValueError("mine")

    logger = write(tmp_path, 0, range(1, 4), loss=1.0)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    logger.close()
    assert "ValueError: mine" in capfd.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full, as Linux has")
def test_a_log_that_cannot_be_written_is_no_hindrance(tmp_path, capsys, monkeypatch):
    log = logging.getLogger("nmt")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    (tmp_path / "train.log").symlink_to("/dev/full")
    start_log(tmp_path / "train.log")
    log.info("step 1")
    assert capsys.readouterr() == ("step 1\n", "")
    with pytest.raises(OSError, match="No space"):  # only this file cannot be written
        log.handlers[0].close()
