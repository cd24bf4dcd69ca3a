"""Both directions and several target languages: settings, the training set, what must not leak into it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from small_corpus import Pair, corpus, settings, write_tsv

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.directions import known_directions, target_languages
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.corpus import load_links
from nmt.data.mixture import main_lines, row_weights
from nmt.data.pairs import reversed_examples
from nmt.data.prepare import Prepared, prepare
from nmt.data.text import canonical_key
from nmt.data.vocabulary import load_corpus
from nmt.errors import ConfigError

BOTH: dict[str, Any] = {"both_directions": True, "languages": ["en", "mr"]}
NEW = [(f"Extra {i} comes now.", f"जादा {i} आता येते.") for i in range(20)]
FRENCH = [(f"Extra {i} comes now.", f"Voici un autre {i}.") for i in range(10)]


def trained_on(prepared: Prepared) -> list[Pair]:
    return [(example.source, example.references[0]) for example in prepared.splits["train"]]


def turned(pairs: list[Pair]) -> list[Pair]:
    return [(target, source) for source, target in pairs]


def extra_of(folder: Path, pairs: list[Pair], name: str = "extra.tsv", **options: Any) -> ExtraCorpus:
    return ExtraCorpus("tsv", str(write_tsv(folder / name, pairs)), **options)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changes", "extra", "directions", "targets"),
    [
        ({}, {}, ["en-mr"], []),
        ({"both_directions": True}, {}, ["en-mr", "mr-en"], ["mr", "en"]),
        ({"both_directions": True, "swap": True}, {}, ["mr-en", "en-mr"], ["en", "mr"]),
        ({}, {"language": "fra"}, ["en-mr", "en-fr"], ["mr", "fr"]),
        ({"swap": True}, {"language": "fra"}, ["mr-en", "fr-en"], []),
        ({}, {"language": "fra", "swap": True}, ["en-mr", "fr-en"], ["mr", "en"]),
        ({}, {"both_directions": True}, ["en-mr", "mr-en"], ["mr", "en"]),
        ({"both_directions": True}, {"language": "fra", "both_directions": False},
         ["en-mr", "mr-en", "en-fr"], ["mr", "en", "fr"]),
        ({}, {"languages": ["hin", "fr"]}, ["en-mr", "hi-fr"], ["mr", "fr"]),
        ({"languages": ["en", "mr-Latn"]}, {}, ["en-mr-Latn", "en-mr"], ["mr-Latn", "mr"]),
        ({"source": "tsv", "path": "x.tsv"}, {"language": "fra"}, [], []),
    ],
)  # fmt: skip
def test_directions_and_tags(
    changes: dict[str, Any], extra: dict[str, Any], directions: list[str], targets: list[str]
) -> None:
    """Tags are there if, and only if, there are several target languages."""
    config = Config(data=DataConfig(**changes))
    if extra or "languages" in changes:
        config.data.extra = [ExtraCorpus("manythings", **extra)]
    check(config)
    assert ["-".join(pair) for pair in known_directions(config.data)] == directions
    assert target_languages(config.data) == targets


@pytest.mark.parametrize(
    ("changes", "extra", "said"),
    [
        (
            {"both_directions": True},
            {},
            r"^data\.languages: data\.both_directions=true needs it; add data\.lan",
        ),
        ({}, {"languages": ["en", "fr"]}, r"^data\.languages: data\.extra\[0\]\.languages needs it; add"),
        ({}, {"both_directions": True}, r"^data\.languages: data\.extra\[0\]\.both_directions=true needs it"),
        ({"languages": ["en"]}, {}, r"^data\.languages=\[en\]: must be the codes of two languages"),
        ({"languages": ["en", "en"]}, {}, r"^data\.languages=\[en,en\]: must be"),
        ({"languages": ["en", "m r"]}, {}, r"^data\.languages=\[en,m r\]: must be"),
        (BOTH, {"languages": ["fr"]}, r"^data\.extra\[0\]\.languages=\[fr\]: must be"),
    ],
)
def test_impossible_settings(changes: dict[str, Any], extra: dict[str, Any], said: str) -> None:
    config = Config(data=DataConfig(source="tsv", path="x.tsv", **changes))
    config.data.extra = [ExtraCorpus("tsv", "y.tsv", **extra)]
    with pytest.raises(ConfigError, match=said):
        check(config)


# ---------------------------------------------------------------- the training set


@pytest.mark.parametrize("swap", [False, True])
def test_every_pair_is_used_in_both_directions(tmp_path: Path, swap: bool) -> None:
    config = settings(tmp_path, swap=swap)
    alone, both = prepare(config), prepare(dataclasses.replace(config, **BOTH))
    assert trained_on(both) == trained_on(alone) + turned(trained_on(alone))
    for split in ("dev", "test"):
        assert both.splits[split] == alone.splits[split]
    sizes = both.report["splits"]["train"]
    assert sizes["pairs"] == 2 * alone.report["splits"]["train"]["pairs"]
    assert sizes["sources"] == len({source for source, _ in trained_on(both)})
    assert both.report["pairs_kept"] == alone.report["pairs_kept"]
    assert both.report["fingerprint"] != alone.report["fingerprint"]
    first, second = ("<to:en>", "<to:mr>") if swap else ("<to:mr>", "<to:en>")
    assert [part.pieces for part in both.mixture] == [(first,), (second,)]
    assert main_lines(both.mixture) == len(trained_on(both))
    assert prepare(dataclasses.replace(config, **BOTH)) == dataclasses.replace(both, fresh=False)


def test_extra_corpora_have_their_own_directions(tmp_path: Path) -> None:
    config = dataclasses.replace(
        settings(tmp_path),
        **BOTH,
        extra=[
            extra_of(tmp_path, NEW, "1.tsv", weight=0.5, tag="made", both_directions=False),
            extra_of(tmp_path, turned(FRENCH), "2.tsv", languages=["fr", "en"], swap=True),
        ],
    )
    prepared = prepare(config)
    main = trained_on(prepare(settings(tmp_path)))
    assert trained_on(prepared) == [*main, *turned(main), *NEW, *FRENCH, *turned(FRENCH)]
    assert [tuple(part) for part in prepared.mixture] == [
        (len(main), 1.0, ("<to:mr>",), False),
        (len(main), 1.0, ("<to:en>",), True),
        (20, 0.5, ("<to:mr>", "<made>"), False),
        (10, 1.0, ("<to:fr>",), False),
        (10, 1.0, ("<to:en>",), True),
    ]
    assert main_lines(prepared.mixture) == 2 * len(main)
    loaded = load_corpus(config, 1)
    assert list(loaded.source.tags()) == ["<to:mr>", "<to:en>", "<to:fr>", "<made>"]
    start = 2 * len(main)
    tags = {piece: [loaded.source.piece_id(one) for one in piece] for piece in (("<to:mr>", "<made>"),)}
    assert loaded.train.source[start][:2].tolist() == tags["<to:mr>", "<made>"]
    assert loaded.train.source[start][2:].tolist() == loaded.source.encode(NEW[0][0])
    assert loaded.train.source[0][0] == loaded.source.piece_id("<to:mr>")
    assert loaded.train.source[len(main)].tolist() == [
        loaded.source.piece_id("<to:en>"), *loaded.source.encode(main[0][1]),
    ]  # fmt: skip
    weights = row_weights(loaded.prepared.mixture, loaded.train.left_out)
    assert weights is not None
    assert weights.tolist() == [1.0] * start + [0.5] * 20 + [1.0] * 20


@pytest.mark.parametrize("own_sets", [False, True])
@pytest.mark.parametrize("swap", [False, True])
def test_nothing_of_dev_and_test_is_trained_on(tmp_path: Path, swap: bool, own_sets: bool) -> None:
    """Not even where a sentence is the same in both languages, or on the other side of another corpus."""
    pairs = corpus()
    known = prepare(settings(tmp_path, pairs)).splits
    dev, test = ([(e.source, e.references[0]) for e in known[split]] for split in ("dev", "test"))
    crossing = [(dev[0][1].upper(), "वेगळे."), ("Another.", test[0][0])]
    config = settings(tmp_path, pairs + crossing, swap=swap, **BOTH)
    if own_sets:
        config.dev_path = str(write_tsv(tmp_path / "own.tsv", [("Own.", "Apart."), ("Two.", "दोन.")]))
        crossing = [("Apart!", "अ."), ("इ.", "own")]
        write_tsv(tmp_path / "pairs.tsv", [*pairs, *crossing])
    leaks = [(test[1][1], "Autre."), ("Encore.", test[1][0]), *((b, a) for a, b in test[2:4])]
    config.extra = [extra_of(tmp_path, leaks + FRENCH, languages=["en", "fr"])]
    prepared = prepare(config)
    held = {
        canonical_key(text)
        for split in ("dev", "test")
        for example in prepared.splits[split]
        for text in (example.source, *example.references)
    }
    assert not held & {canonical_key(text) for pair in trained_on(prepared) for text in pair}
    report = prepared.report
    assert report["dropped"].get("in_dev", 0) + report["dropped"].get("in_test", 0) >= 1
    assert report["extra"][0]["dropped"]["in_test"] + report["extra"][0]["dropped"]["in_dev"] >= 1
    assert report["pairs_read"] == report["pairs_kept"] + sum(report["dropped"].values()) == len(pairs) + 2


def test_without_tags_a_sentence_may_be_the_same_in_two_languages(tmp_path: Path) -> None:
    """So that what is trained on, and its fingerprint, are what they were."""
    pairs = [*corpus(), ("वाक्य 1 इथे आहे.", "Other 1."), ("Other 2.", "Sentence 2 is here.")]
    report = prepare(settings(tmp_path, pairs)).report
    assert report["pairs_kept"] == len(pairs)


def test_an_extra_corpus_in_the_other_order(tmp_path: Path) -> None:
    """Without tags: its pairs are those of the main corpus, so they are duplicates or shared with a set."""
    config = settings(tmp_path)
    alone = prepare(config)
    mixed = turned(corpus()) + turned(NEW)
    prepared = prepare(dataclasses.replace(config, extra=[extra_of(tmp_path, mixed, swap=True)]))
    assert trained_on(prepared) == trained_on(alone) + NEW
    assert target_languages(config) == []
    dropped = prepared.report["extra"][0]["dropped"]
    assert dropped["duplicate"] == len(trained_on(alone))
    assert dropped["in_dev"] + dropped["in_test"] == len(corpus()) - len(trained_on(alone))


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("joint", [False, True])
def test_both_tokenizers_know_both_languages(tmp_path: Path, kind: str, joint: bool) -> None:
    tokenizer = TokenizerConfig(kind=kind, vocab_size=360, joint=joint)
    loaded = load_corpus(settings(tmp_path, tokenizer=tokenizer, **BOTH), 1)
    for text in ("Sentence 7 is here.", "वाक्य 7 इथे आहे."):
        for side in (loaded.source, loaded.target):
            pieces = side.encode_with_offsets(text).pieces
            assert not [piece for piece in pieces if piece.startswith("<0x")], (
                "bytes: letters it has not seen"
            )


def test_gold_links_are_turned(tmp_path: Path) -> None:
    path = tmp_path / "aligned.tsv"
    lines = (f"{source}\t{target}\t0-1 3-2\n" for source, target in corpus())
    path.write_text("".join(lines), encoding="utf-8")
    config = DataConfig(
        source="tsv", path=str(path), alignment_column=3, cache=str(tmp_path), dev_fraction=0.2,
        test_fraction=0.2, tokenizer=TokenizerConfig(kind="word", vocab_size=300), **BOTH,
    )  # fmt: skip
    loaded = load_corpus(config, 1)
    links = load_links(loaded.prepared, loaded.train, loaded.source, loaded.target, 1)
    half = len(links) // 2
    assert links[0].tolist() == [[1, 1], [4, 2]]  # the tag is before the source
    assert links[half].tolist() == [[2, 0], [3, 3]]


def test_rare_words_go_both_ways(tmp_path: Path) -> None:
    prepared = prepare(settings(tmp_path, rare_words=1, **BOTH))
    assert [part.reversed for part in prepared.mixture] == [False, True, False, True]
    assert [part.pieces for part in prepared.mixture] == [("<to:mr>",), ("<to:en>",)] * 2


def test_overlong_pairs_are_counted_once(tmp_path: Path) -> None:
    """The limit is in pieces: a pair may be within it in one direction only."""
    tokenizer = TokenizerConfig(kind="char", vocab_size=320)
    pairs = [*corpus(), ("word " * 12, "शब्द " * 12)]
    config = settings(tmp_path, pairs, tokenizer=tokenizer, max_tokens=55, **BOTH)
    report = load_corpus(config, 1).prepared.report
    assert report["dropped"]["too_many_tokens"] == 1
    assert report["pairs_kept"] == len(corpus())


def test_a_set_in_the_other_direction(tmp_path: Path) -> None:
    """Every source of a reference counts as its reference."""
    examples = prepare(settings(tmp_path)).splits["dev"]
    turned_set = reversed_examples(examples)
    pairs = [(e.source, text) for e in examples for text in e.references]
    assert sorted((text, e.source) for e in turned_set for text in e.references) == sorted(pairs)
    assert len({e.source for e in turned_set}) == len(turned_set)
    assert {e.source: e.references for e in reversed_examples(turned_set)} == {
        e.source: e.references for e in examples
    }
