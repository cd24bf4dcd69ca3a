"""What many tests share. No torch is imported here: tests that need none stay fast."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from bomb import Bomb

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads would only cost time


@pytest.fixture(scope="session")
def tokenizers():
    """A source and a target tokenizer of very few pieces: most words are cut into several."""
    from tiny import tiny_tokenizers

    return tiny_tokenizers()


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """Appears if a bomb goes off; and one does when it is set off."""
    mark = tmp_path / "exploded"
    yield mark
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()
