"""Attention files: they round-trip exactly, need no pickle, and corruption is a one-line error."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.errors import RunError
from nmt.export.attention_file import SentenceAttention, load_attention, save_attention

pieces = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6), max_size=5)


def make(source: list[str], target: list[str], seed: int = 0, heads: int = 1) -> SentenceAttention:
    """Random matrices; a word is a piece without its mark, and only every other source piece has one."""
    random = np.random.default_rng(seed)
    weights = random.random((heads, len(target), len(source)), dtype=np.float32)
    words = [piece.removeprefix("▁") for piece in source[::2]], [piece.removeprefix("▁") for piece in target]
    between = random.random((len(words[1]), len(words[0])), dtype=np.float32)
    return SentenceAttention(weights, source, target, between, *words, -random.random())


RAGGED = [
    make(["▁The", "▁dog", "</s>"], ["▁कुत्रा", "</s>"]),
    make(["</s>"], [], 1),  # a blank line
    make(["<0xE0>", "😀", "र\u200d्य", "</s>"], ["a"] * 7, 2),
]


def check_same(found: list[SentenceAttention], expected: list[SentenceAttention]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name, value, wanted in zip(SentenceAttention._fields, one, other, strict=True):
            if isinstance(wanted, np.ndarray):
                assert value.dtype == np.float32, name
                assert value.shape == wanted.shape, name
                assert np.array_equal(value, wanted), name
            else:
                assert value == wanted, name


@pytest.mark.parametrize("suffix", [".npz", ".jsonl"])
@pytest.mark.parametrize("sentences", [[], RAGGED[:1], RAGGED])
def test_round_trip(tmp_path, sentences, suffix):
    path = tmp_path / f"attention{suffix}"
    save_attention(path, sentences)
    check_same(load_attention(path), sentences)


@settings(max_examples=25, deadline=None)
@given(sides=st.lists(st.tuples(pieces, pieces), max_size=5), heads=st.integers(1, 3))
def test_round_trip_of_anything(tmp_path_factory, sides, heads):
    sentences = [make(source, target, seed, heads) for seed, (source, target) in enumerate(sides)]
    for suffix in (".npz", ".jsonl"):
        path = tmp_path_factory.mktemp("attention") / f"attention{suffix}"
        save_attention(path, sentences)
        check_same(load_attention(path), sentences)


def test_numpy_alone_reads_it_without_pickle(tmp_path):
    """Read as the module docstring describes, without nmt."""
    path = tmp_path / "attention.npz"
    save_attention(path, RAGGED)
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["source_lengths"].tolist() == [3, 1, 4]
        assert arrays["target_lengths"].tolist() == [2, 0, 7]
        assert arrays["target_tokens"][:2].tolist() == ["▁कुत्रा", "</s>"]
        assert np.array_equal(arrays["weights"][:6].reshape(2, 3), RAGGED[0].weights)
        assert arrays["weights"].shape == (2 * 3 + 0 + 7 * 4,)


def test_numpy_alone_reads_every_head(tmp_path):
    path = tmp_path / "attention.npz"
    sentence = make(["▁The", "</s>"], ["a", "b", "</s>"], heads=4)
    save_attention(path, [sentence])
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["heads"] == 4
        attention = arrays["head_weights"].reshape(4, 3, 2)
        assert np.array_equal(attention, sentence.attention)
        assert arrays["weights"].reshape(3, 2) == pytest.approx(attention.mean(axis=0))


def test_json_alone_reads_the_lines(tmp_path):
    path = tmp_path / "attention.jsonl"
    several = make(["▁The", "</s>"], ["a", "b", "</s>"], heads=2)
    save_attention(path, [several])
    (line,) = path.read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    assert row["source_tokens"] == ["▁The", "</s>"]
    assert row["source_words"] == ["The"]
    assert row["log_probability"] == several.log_probability
    assert np.array_equal(np.array(row["weights"], np.float32), several.weights)
    assert np.array_equal(np.array(row["heads"], np.float32), several.attention)
    save_attention(path, [make(["</s>"], ["a"])])
    assert "heads" not in json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "content",
    ["{", "[]\n", "{}\n", '{"source_tokens": ["a"], "target_tokens": ["b"], "weights": [[1, 2]]}\n'],
)
def test_lines_that_are_none_of_ours(tmp_path, content):
    path = tmp_path / "attention.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"attention\.jsonl: not a valid attention file"):
        load_attention(path)


def test_missing_and_invalid_files(tmp_path):
    invalid = {"empty": b"", "text": b"hello", "pickle": b"\x80\x04N.", "zip": b"PK\x05\x06" + bytes(18)}
    for name, content in invalid.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "array", np.zeros(3))
    np.savez(tmp_path / "objects", weights=np.array([{}], dtype=object))
    for name in ("missing", "array.npy", "objects.npz", *invalid):
        with pytest.raises(RunError, match=f"{name}: not a valid attention file"):
            load_attention(tmp_path / name)


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": 0},
        {"heads": 2},
        {"word_weights": np.zeros(3, np.float32)},
        {"log_probabilities": np.zeros(2)},
        {"source_lengths": [3, 1, 5]},
        {"source_lengths": [3, 1]},
        {"source_lengths": [-3, 1, 4]},
        {"source_lengths": [3.5, 1, 4]},
        {"target_lengths": [2, 0, 6]},
        {"target_tokens": ["one"]},
        {"source_tokens": ["one"] * 20},
        {"weights": np.zeros(3, np.float32)},
        {"weights": np.zeros((3, 3), np.float32)},
    ],
)
def test_arrays_that_do_not_fit_each_other(tmp_path, changes):
    path = tmp_path / "attention.npz"
    save_attention(path, RAGGED)
    with np.load(path) as arrays:
        good = dict(arrays)
    np.savez(path, **(good | {name: np.array(value) for name, value in changes.items()}))
    with pytest.raises(RunError, match=r"attention\.npz: not a valid attention file"):
        load_attention(path)


def test_corruption_anywhere_is_found(tmp_path):
    """Truncated anywhere, or with wrong bytes anywhere: refused, or read unchanged."""
    path = tmp_path / "attention.npz"
    save_attention(path, RAGGED)
    content = path.read_bytes()
    refused = 0
    for offset in range(0, len(content), 7):
        path.write_bytes(content[:offset])
        with pytest.raises(RunError, match="not a valid attention file"):
            load_attention(path)
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x5A]) + content[offset + 1 :])
        try:
            check_same(load_attention(path), RAGGED)  # a time stamp, say
        except RunError:
            refused += 1
    assert refused > len(content) / 7 / 2
