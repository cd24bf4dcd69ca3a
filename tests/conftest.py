"""Shared fixtures. torch is not imported here, so that tests without it stay fast."""

import contextlib
import gc
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bomb import Bomb

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads would only cost time


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems() -> None:
    """Hypothesis does not draw constants that it finds in our modules. It would parse all that are loaded by
    then, hundreds of files, and compare each with the limits of every draw; and what it draws would depend on
    what the tests before have loaded.
    """
    with contextlib.suppress(ImportError):  # older versions do not look for them
        if "hypothesis" in sys.modules:
            from hypothesis.internal.conjecture import providers
            from hypothesis.internal.constants_ast import Constants

            none = Constants()
            providers._get_local_constants = lambda: none


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tokenizers():
    """A source and a target tokenizer with very few pieces: most words are split into several."""
    from tiny import tiny_tokenizers

    return tiny_tokenizers()


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A file that must not appear, as it would if a bomb went off; checked at the end with a real one."""
    mark = tmp_path / "exploded"
    yield mark
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()
