"""The curves of a run that several processes have written."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt.training.journal import Journal
from nmt.training.loop import Progress, Window


def losses(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars("train/loss")]


def write(folder: Path, done: int, steps: range, loss: float) -> Journal:
    journal = Journal(folder, total=100, done=done)
    for step in steps:
        journal.reported(Progress(step=step), Window(likelihood=loss * step, tokens=1))
    return journal


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
    """Without the end of a process: the next may be a kill."""
    journal = write(tmp_path, 0, range(1, 4), loss=1.0)
    journal.flush()
    assert losses(tmp_path) == [(1, 1), (2, 2), (3, 3)]
    journal.close()
