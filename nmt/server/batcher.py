"""The threads that translate for one model: each takes what is waiting, as soon as it is done."""

import logging
import threading
import time

from nmt.errors import NmtError
from nmt.server.engine import Engine
from nmt.server.instruments import Instruments
from nmt.server.job_queue import JobQueue
from nmt.server.jobs import Job, Unit

_STEP = 5.0  # seconds that a step of a search may take
logger = logging.getLogger("nmt")


class Batcher:
    """A model, its queue and its threads.

    Args:
        name: of the model.
        engine: the model.
        queue: of the jobs for it.
        instruments: what is measured.
        threads: their number, so that of batches at a time.
    """

    def __init__(
        self, name: str, engine: Engine, queue: JobQueue, instruments: Instruments, threads: int
    ) -> None:
        self.name, self.engine, self.queue = name, engine, queue
        self._instruments = instruments
        self._busy, self._lock = 0, threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"translate {name} {number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Stop the threads, once they are done with what is waiting. Nothing is, after an orderly end."""
        self.queue.close()
        for thread in self._threads:
            thread.join(_STEP)

    def _run(self) -> None:
        while (batch := self.queue.take()) is not None:
            busy, start = self._add_busy(1), time.perf_counter()
            try:
                self.engine.share_threads(busy)
                self._process(batch)
            finally:
                self._add_busy(-1)
                seconds = time.perf_counter() - start
                self.queue.measured(batch, seconds / busy)
                self._instruments.batch(self.name, batch, seconds)

    def _add_busy(self, count: int) -> int:
        """The number of threads that translate, after so many more do."""
        with self._lock:
            self._busy += count
            return self._busy

    def _process(self, batch: list[Unit]) -> None:
        translations = [unit for unit in batch if unit.job.count is None]
        if translations:
            self._translate(translations)
        for unit in batch:
            if unit.job.count is not None and not unit.over:
                self._find_alternatives(unit, unit.job.count)

    def _translate(self, units: list[Unit]) -> None:
        """Translate a batch. If an internal error stops it, each of its texts is translated alone, so that
        only the requests that cause it fail.
        """
        for unit in units:
            unit.job.restart()
        try:
            outcomes = self.engine.translate_batch(
                [unit.text for unit in units],
                [unit.job.options for unit in units],
                cancelled=lambda i: units[i].over,
                report=lambda i, piece: units[i].job.report(piece),
                streamed=[i for i, unit in enumerate(units) if unit.job.streamed],
                finished=lambda i, outcome: units[i].job.deliver(units[i].number, outcome),
            )
        except Exception as error:
            if len(units) == 1:
                _fail(units[0].job, error)
                return
            for unit in units:
                if not unit.over:
                    self._translate([unit])
            return
        for unit, outcome in zip(units, outcomes, strict=True):
            unit.job.deliver(unit.number, outcome)

    def _find_alternatives(self, unit: Unit, count: int) -> None:
        job, options = unit.job, unit.job.options
        try:
            found = self.engine.alternatives(
                unit.text, options.prefix, count, options, cancelled=lambda: unit.over
            )
            job.finish(list(found))
        except Exception as error:
            _fail(job, error)


def _fail(job: Job, error: Exception) -> None:
    if not isinstance(error, NmtError):
        logger.error("internal error in a translation", exc_info=error)
    job.fail(error)
