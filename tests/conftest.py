"""Shared fixtures. torch is not imported here, so that tests without it stay fast."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from bomb import Bomb

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads would only cost time


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
