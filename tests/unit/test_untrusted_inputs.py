"""Corpora, archives, links and attention files with code in them: refused, and the code is not run."""

import gzip
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from bomb import Bomb
from small_corpus import settings

from nmt.data.examples import load_examples
from nmt.data.gold import read_gold
from nmt.data.prepare import prepare
from nmt.errors import DataError, RunError
from nmt.export.attention_file import SentenceAttention, load_attention, save_attention


@pytest.fixture(params=["pickle", "of torch", "of numpy"])
def bomb(request, tmp_path: Path, mark: Path) -> bytes:
    """The bytes of one, as each library would write it."""
    file = tmp_path / "bomb"
    if request.param == "of torch":
        torch.save(Bomb(mark), file)
    elif request.param == "of numpy":
        with file.open("wb") as opened:
            np.save(opened, np.array([Bomb(mark)], dtype=object))
    else:
        file.write_bytes(pickle.dumps(Bomb(mark), protocol=2))
    return file.read_bytes()


@pytest.mark.parametrize("suffix", [".npz", ".jsonl"])
def test_attention_files(tmp_path, bomb, suffix):
    file = tmp_path / f"attention{suffix}"
    file.write_bytes(bomb)
    with pytest.raises(RunError, match="attention"):
        load_attention(file)


def test_every_array_of_an_attention_file(tmp_path, mark):
    file = tmp_path / "attention.npz"
    ones = np.ones((2, 1, 1), np.float32)
    save_attention(file, [SentenceAttention(ones, ["a"], ["b"], ones[0], ["a"], ["b"], -1.0)])
    with np.load(file) as loaded:
        arrays = dict(loaded)
    assert len(arrays) == 13
    for name in arrays:
        if name == "weights":
            continue  # the average of the heads: for those who read the file without us
        np.savez(file, **arrays | {name: np.array([Bomb(mark)], dtype=object)})
        with pytest.raises(RunError, match="attention"):
            load_attention(file)


@pytest.mark.parametrize("packed", [False, True])
def test_corpora(tmp_path, bomb, packed):
    content = gzip.compress(bomb) if packed else bomb
    config = settings(tmp_path)
    Path(config.path).write_bytes(content)
    with pytest.raises(DataError, match=r"pairs\.tsv"):
        prepare(config)


@pytest.mark.parametrize("inside", [False, True])
def test_archives(tmp_path, bomb, inside):
    archive = tmp_path / "mar-eng.zip"
    if inside:
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("mar.txt", bomb)
    else:
        archive.write_bytes(bomb)
    with pytest.raises(DataError, match=r"mar-eng\.zip"):
        prepare(settings(tmp_path, source="manythings", archive=str(archive)))


@pytest.mark.parametrize("load", [load_examples, read_gold])
def test_examples_and_links(tmp_path, bomb, load):
    file = tmp_path / "file"
    file.write_bytes(bomb)
    with pytest.raises(DataError, match="file"):
        load(file)
