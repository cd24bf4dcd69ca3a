"""What many tests share. No torch is imported here: tests that need none stay fast."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads would only cost time


@pytest.fixture(scope="session")
def tokenizers():
    """A source and a target tokenizer of very few pieces: most words are cut into several."""
    from tiny import tiny_tokenizers

    return tiny_tokenizers()
