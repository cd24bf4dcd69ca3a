"""Memory allocation on Linux: whether freed memory stays with the process or goes back to the system."""

import ctypes
import sys
from collections.abc import Mapping

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # options of mallopt, from malloc.h
_LARGEST, _NEVER = 32 * 2**20, 2**31 - 1  # bytes; 32 MiB is the largest that glibc would choose itself
_RETURNED, _KEPT = 4 * 2**20, 8 * 2**20  # bytes


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next allocation, where it is glibc.

    Otherwise it returns large blocks to the system after an update, and the system clears each of their pages
    again in the next one: 3 % of the time of a small update on a CPU.
    """
    _set({_TRIM_THRESHOLD: _NEVER, _MMAP_THRESHOLD: _LARGEST})


def return_freed_memory() -> None:
    """Let the C library return freed memory to the system, where it is glibc; before threads allocate any.

    Otherwise a process keeps what its largest batch has needed: glibc raises its thresholds with the size of
    what is freed, and has heaps for each thread. Blocks of 4 MiB go back at once, others once 8 MiB are free
    at the end of the heap.
    """
    _set({_ARENA_MAX: 1, _MMAP_THRESHOLD: _RETURNED, _TRIM_THRESHOLD: _KEPT})


def _set(values: Mapping[int, int]) -> None:
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not in every C library
        for option, value in values.items():
            mallopt(option, value)
