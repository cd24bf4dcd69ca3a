"""The queue of the server: bounded, fair, and free of those who left."""

import threading

import pytest

from nmt.library.options import TranslationOptions
from nmt.server.job_queue import JobQueue, QueueFullError
from nmt.server.jobs import Job, Unit

PLAIN = TranslationOptions()


def job(*costs: int) -> Job:
    return Job([f"text of {cost}" for cost in costs], PLAIN, costs)


def texts(batch: list[Unit] | None) -> list[tuple[Job, int]]:
    assert batch is not None
    return [(unit.job, unit.number) for unit in batch]


def test_a_batch_is_what_waits_up_to_its_size() -> None:
    queue = JobQueue(capacity=100, batch_size=10)
    first, second, third = job(4), job(6), job(1)
    for one in (first, second, third):
        queue.put(one)
    assert texts(queue.take()) == [(first, 0), (second, 0)]
    assert texts(queue.take()) == [(third, 0)]


def test_a_text_larger_than_a_batch_is_one_of_its_own() -> None:
    queue = JobQueue(capacity=100, batch_size=10)
    large, small = job(50), job(1)
    queue.put(large)
    queue.put(small)
    assert texts(queue.take()) == [(large, 0)]
    assert texts(queue.take()) == [(small, 0)]


def test_many_texts_of_one_client_do_not_hold_up_the_others() -> None:
    queue = JobQueue(capacity=100, batch_size=4)
    many, few = job(*[1] * 20), job(1, 1)
    queue.put(many)
    queue.put(few)
    assert texts(queue.take()) == [(many, 0), (few, 0), (many, 1), (few, 1)]
    assert texts(queue.take()) == [(many, n) for n in (2, 3, 4, 5)]


def test_a_full_queue_says_when_to_come_again() -> None:
    queue = JobQueue(capacity=10, batch_size=10)
    queue.put(job(4, 4))
    with pytest.raises(QueueFullError) as full:
        queue.put(job(3))
    assert full.value.retry_after == 1  # nothing is known of its speed
    batch = queue.take()
    queue.measured(batch or [], 16.0)  # 8 in 16 s
    with pytest.raises(QueueFullError) as full:
        queue.put(job(10))
    assert full.value.retry_after == 16  # for 8 of 10
    queue.put(job(2))


def test_what_is_in_translation_has_its_place_until_it_is_over() -> None:
    queue = JobQueue(capacity=10, batch_size=10)
    one = job(10)
    queue.put(one)
    queue.take()
    with pytest.raises(QueueFullError):
        queue.put(job(1))
    one.finish([])
    assert queue.load == 0
    queue.put(job(10))


@pytest.mark.parametrize("taken", [False, True])
def test_a_client_that_leaves_frees_its_place(taken: bool) -> None:
    queue = JobQueue(capacity=10, batch_size=5)
    leaves, stays = job(5, 4), job(1)
    queue.put(leaves)
    queue.put(stays)
    if taken:
        assert texts(queue.take()) == [(leaves, 0)]
    leaves.future.cancel()
    assert queue.load == 1
    queue.put(job(9))
    assert texts(queue.take()) == [(stays, 0)]


def test_closing_lets_what_waits_be_done() -> None:
    queue = JobQueue(capacity=10, batch_size=5)
    queue.put(job(1))
    queue.close()
    with pytest.raises(QueueFullError):
        queue.put(job(1))
    assert len(queue.take() or []) == 1
    assert queue.take() is None


def test_taking_waits_for_a_job_and_for_nothing_else() -> None:
    queue = JobQueue(capacity=10, batch_size=5)
    taken: list[list[Unit] | None] = []
    thread = threading.Thread(target=lambda: taken.append(queue.take()))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    one = job(1)
    queue.put(one)
    thread.join(10)
    assert texts(taken[0]) == [(one, 0)]


def test_threads_that_want_a_batch_share_what_waits() -> None:
    queue = JobQueue(capacity=100, batch_size=50)
    taken: list[list[Unit]] = []
    done = threading.Barrier(3)

    def take() -> None:
        taken.append(queue.take() or [])
        done.wait(10)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    while queue._idle < 2:
        pass
    queue.put(job(*[1] * 9))
    done.wait(10)
    for thread in threads:
        thread.join(10)
    assert sorted(len(batch) for batch in taken) == [4, 5]
    queue.put(job(*[1] * 9))
    assert len(queue.take() or []) == 9  # nobody else wants one


def test_a_small_batch_has_at_least_one_text() -> None:
    queue = JobQueue(capacity=100, batch_size=50)
    queue._idle = 3
    queue.put(job(7, 1))
    assert len(queue.take() or []) == 1


def test_results_are_in_the_order_of_the_texts() -> None:
    one = job(1, 1, 1)
    for number in (2, 0, 1):
        one.deliver(number, f"translation {number}")  # type: ignore[arg-type]
    assert one.future.result(0) == ["translation 0", "translation 1", "translation 2"]


def test_what_was_reported_is_not_reported_again() -> None:
    heard: list[str] = []
    one = Job(["a"], PLAIN, [1], report=heard.append)
    one.report("ab")
    one.report("cd")
    one.restart()
    for piece in ("abc", "d", "ef"):
        one.report(piece)
    assert heard == ["ab", "cd", "ef"]
