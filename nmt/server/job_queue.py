"""The jobs that wait for a model: bounded, and shared fairly among the clients."""

import math
from collections import deque
from threading import Condition

from nmt.server.jobs import Job, Unit

_SMOOTHING = 0.8  # of the measured rate
_LONGEST_WAIT = 60  # seconds that a client is told to wait, at most


class QueueFullError(Exception):
    """There is no room for a job now.

    Args:
        retry_after: whole seconds after which there probably is.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after} s")
        self.retry_after = retry_after


class JobQueue:
    """Jobs in, batches out. Any thread may call any method; several may take batches.

    A batch takes one text of each job in turn, so that a job of many texts delays one of a few texts by a
    batch or two and not by all its texts.

    Args:
        capacity: the most that is waiting or in translation, in source pieces × beam size.
        batch_size: the most in a batch, likewise; a text larger than this is a batch of its own.
    """

    def __init__(self, capacity: int, batch_size: int) -> None:
        self.capacity, self.batch_size = capacity, batch_size
        self._waiting: deque[tuple[Job, deque[Unit]]] = deque()
        self._load = 0
        self._rate = 0.0  # source pieces × beam size per second
        self._closed = False
        self._idle = 0  # threads that want a batch
        self._changed = Condition()

    @property
    def load(self) -> int:
        """What is waiting or in translation."""
        return self._load

    def put(self, job: Job) -> None:
        """Add a job, of at most `capacity`.

        Raises:
            QueueFullError: if there is no room for it.
        """
        cost = sum(job.costs)
        assert cost <= self.capacity
        with self._changed:
            if self._closed or self._load + cost > self.capacity:
                raise QueueFullError(self._retry_after(cost))
            self._load += cost
            self._waiting.append((job, deque(Unit(job, i) for i in range(len(job.texts)))))
            self._changed.notify()
        job.future.add_done_callback(lambda _: self._leave(job, cost))

    def take(self) -> list[Unit] | None:
        """The next batch: what is waiting now, or an equal part of it if several threads want a batch. Waits
        only if nothing is waiting. None: closed, and all is done.
        """
        with self._changed:
            self._idle += 1
            try:
                while not self._waiting:
                    if self._closed:
                        return None
                    self._changed.wait()
                return self._batch()
            finally:
                self._idle -= 1
                if self._waiting:
                    self._changed.notify()

    def _batch(self) -> list[Unit]:
        batch: list[Unit] = []
        room = self.batch_size
        if self._idle > 1:
            waiting = sum(unit.cost for _, units in self._waiting for unit in units)
            room = min(room, math.ceil(waiting / self._idle))
        while self._waiting:
            _, units = self._waiting[0]
            if batch and units[0].cost > room:
                break
            room -= units[0].cost
            batch.append(units.popleft())
            self._waiting.rotate(-1) if units else self._waiting.popleft()
        return batch

    def measured(self, units: list[Unit], seconds: float) -> None:
        """Note how long a batch took, divided by how many there were at a time; for `Retry-After`."""
        rate = sum(unit.cost for unit in units) / max(seconds, 1e-6)
        self._rate = _SMOOTHING * self._rate + (1 - _SMOOTHING) * rate if self._rate else rate

    def close(self) -> None:
        """Accept no more jobs; `take` still returns those that are waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _leave(self, job: Job, cost: int) -> None:
        """Free the place of a job that is over: done, failed, or given up, also before its turn."""
        with self._changed:
            self._load -= cost
            for entry in self._waiting:
                if entry[0] is job:
                    self._waiting.remove(entry)
                    break

    def _retry_after(self, cost: int) -> int:
        excess = self._load + cost - self.capacity
        seconds = excess / self._rate if self._rate else 1
        return max(1, min(math.ceil(seconds), _LONGEST_WAIT))
