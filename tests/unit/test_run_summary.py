"""Log lines about the data at the start of training."""

from dataclasses import replace
from pathlib import Path

import pytest

from nmt.config.data import DataConfig
from nmt.data.prepare import prepare
from nmt.errors import DataError
from nmt.runs.summary import small_splits


@pytest.fixture
def corpus(tmp_path: Path) -> DataConfig:
    """3,000 pairs that share no sentence."""
    path = tmp_path / "pairs.tsv"
    lines = [f"the number {number}\tसंख्या {number}\n" for number in range(3000)]
    path.write_text("".join(lines), encoding="utf-8")
    return DataConfig(source="tsv", path=str(path), cache=str(tmp_path / "cache"))


def trained_on(config: DataConfig, path: Path) -> DataConfig:
    """The settings with the training pairs of this corpus as the corpus."""
    train = prepare(config).splits["train"]
    pairs = [f"{one.source}\t{reference}\n" for one in train for reference in one.references]
    path.write_text("".join(pairs), encoding="utf-8")
    return replace(config, path=str(path))


def test_sets_of_the_expected_size_are_not_mentioned(corpus):
    assert small_splits(prepare(corpus).report, corpus) == []


def test_a_training_set_that_is_split_again_gives_a_warning(corpus, tmp_path):
    again = trained_on(corpus, tmp_path / "train.tsv")
    with pytest.raises(DataError, match="set empty"):  # no sentence is left for it
        prepare(again)
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.writelines(Path(str(corpus.path)).read_text(encoding="utf-8").splitlines(keepends=True)[:300])
    dev, test = small_splits(prepare(again).report, again)
    assert dev.startswith("the dev set has only ")
    assert "data.dev_fraction=0.02" in dev
    assert test.startswith("the test set has only ")
    assert "data.test_path=FILE" in test
    assert small_splits(prepare(again).report, replace(again, dev_path="own.tsv")) == [test]
