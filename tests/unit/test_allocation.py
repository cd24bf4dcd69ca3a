"""Dynamic beam allocation, against the definition in a loop."""

import numpy as np

from nmt.decoding.allocation import allocate, choose


def one_by_one(candidates: list[int], met: list[int], K: int) -> set[int]:
    banks: dict[int, list[int]] = {}
    for number in candidates:
        banks.setdefault(met[number], []).append(number)
    share, more = divmod(K, max(len(banks), 1))
    chosen: list[int] = []
    for rank, level in enumerate(sorted(banks, reverse=True)):
        chosen += banks[level][: share + (rank < more)]
    chosen += [number for number in candidates if number not in chosen][: K - len(chosen)]
    return set(chosen)


def test_every_bank_gets_as_many_slots():
    rng = np.random.default_rng(3)
    for K in (1, 2, 5):
        shape = 200, 12
        there, ends, met = rng.random(shape) < 0.7, rng.random(shape) < 0.2, rng.integers(0, 4, shape)
        chosen = allocate(there, met, K)
        ended, going = choose(there, ends, met, K)
        for row in range(len(there)):
            numbers, own = np.flatnonzero(there[row]).tolist(), met[row].tolist()
            best = one_by_one(numbers, own, K)
            assert set(np.flatnonzero(chosen[row]).tolist()) == best
            others = [n for n in (numbers if K > 1 else sorted(best)) if not ends[row, n]]
            assert set(np.flatnonzero(ended[row]).tolist()) == {n for n in best if ends[row, n]}
            assert set(np.flatnonzero(going[row]).tolist()) == one_by_one(others, own, K)
