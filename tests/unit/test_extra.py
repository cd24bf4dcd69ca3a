"""Extra corpora: trained on, never in dev or test, without leaks and duplicates; errors name them."""

import dataclasses
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from small_corpus import Pair, corpus, settings, write_tsv

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data import vocabulary
from nmt.data.corpus import load_links
from nmt.data.extra import check_extra
from nmt.data.mixture import Part, row_weights
from nmt.data.prepare import Prepared, prepare
from nmt.data.tokenizer import Tokenizer, train_on_words, train_tokenizer
from nmt.data.vocabulary import load_corpus, load_tokenizers
from nmt.errors import ConfigError, DataError

NEW = [(f"Extra {i} comes now.", f"जादा {i} आता येते.") for i in range(20)]


def extra_of(folder: Path, pairs: list[Pair], name: str = "extra.tsv", **options: Any) -> ExtraCorpus:
    return ExtraCorpus("tsv", str(write_tsv(folder / name, pairs)), **options)


def trained_on(prepared: Prepared) -> list[Pair]:
    return [(example.source, example.references[0]) for example in prepared.splits["train"]]


def with_extra(config: DataConfig, *extra: ExtraCorpus, **options: Any) -> DataConfig:
    return dataclasses.replace(config, extra=list(extra), **options)


# ---------------------------------------------------------------- preparation


@pytest.mark.parametrize("swap", [False, True])
def test_the_split_does_not_depend_on_extra_data(tmp_path: Path, swap: bool) -> None:
    """Not even if an extra pair connects two sentences of the corpus."""
    config = settings(tmp_path, swap=swap)
    alone = prepare(config)
    pairs = corpus()
    bridge = [(pairs[0][0], pairs[1][1]), (pairs[2][0], pairs[3][1])]
    with_more = prepare(with_extra(config, extra_of(tmp_path, NEW + bridge)))
    for split in ("dev", "test"):
        assert with_more.splits[split] == alone.splits[split]
    assert trained_on(with_more)[: len(trained_on(alone))] == trained_on(alone)
    same = {"pairs_read", "dropped", "pairs_kept", "components", "largest_component", "files"}
    assert {key: with_more.report[key] for key in same} == {key: alone.report[key] for key in same}
    assert with_more.report["fingerprint"] != alone.report["fingerprint"]


@pytest.mark.parametrize("own_sets", [False, True])
@pytest.mark.parametrize("swap", [False, True])
def test_what_is_kept_and_why_the_rest_is_not(tmp_path: Path, swap: bool, own_sets: bool) -> None:
    config = settings(tmp_path, swap=swap)
    own = write_tsv(tmp_path / "dev.tsv", [("Own sentence.", "स्वतःचे वाक्य.")])
    config = dataclasses.replace(config, dev_path=str(own)) if own_sets else config
    alone = prepare(config)
    order = slice(None, None, -1) if swap else slice(None)  # in the direction of the files
    held = {
        split: [
            pair[order]
            for e in alone.splits[split]
            for pair in zip([e.source], e.references[:1], strict=True)
        ]
        for split in ("dev", "test")
    }
    (dev_source, dev_target), (test_source, test_target) = held["dev"][0], held["test"][0]
    leaks = [
        ("Something else", dev_target),
        (dev_source.upper().replace(".", " !"), "काहीतरी वेगळे"),
        (f" {test_source}?", "काहीतरी आणखी"),
        (dev_source, test_target),  # shares with both: counted for the test set
        (test_source, test_target),
    ]
    known = [pair[order] for pair in trained_on(alone)[:3]]
    bad = [("", "क"), ("w " * 120, "श " * 120), ("ab", "क" * 30)]
    config = with_extra(config, extra_of(tmp_path, NEW + leaks + known + NEW[:2] + bad, weight=0.5))
    prepared = prepare(config)
    (entry,) = prepared.report["extra"]
    assert entry["dropped"] == {
        "empty": 1, "too_long": 1, "ratio": 1, "duplicate": 5, "in_test": 3, "in_dev": 2,
    }  # fmt: skip
    assert (entry["pairs_read"], entry["pairs_kept"]) == (len(NEW) + 5 + 3 + 2 + 3, len(NEW))
    assert (entry["kind"], entry["weight"], entry["tag"]) == ("tsv", 0.5, None)
    assert trained_on(prepared) == trained_on(alone) + [pair[order] for pair in NEW]
    assert prepared.report["splits"]["train"]["pairs"] == len(trained_on(prepared))
    assert prepare(config).report == prepared.report | {"since_previous": None}


def test_an_earlier_corpus_comes_first(tmp_path: Path) -> None:
    one, other = extra_of(tmp_path, NEW[:12], "1.tsv"), extra_of(tmp_path, NEW[8:], "2.tsv")
    prepared = prepare(with_extra(settings(tmp_path), one, other))
    assert [entry["pairs_kept"] for entry in prepared.report["extra"]] == [12, 8]
    assert [entry["dropped"]["duplicate"] for entry in prepared.report["extra"]] == [0, 4]
    assert [part.lines for part in prepared.mixture[1:]] == [12, 8]
    assert trained_on(prepared)[-20:] == NEW


def test_nothing_may_be_left(tmp_path: Path) -> None:
    prepared = prepare(with_extra(settings(tmp_path), extra_of(tmp_path, corpus())))
    (entry,) = prepared.report["extra"]
    assert entry["pairs_kept"] == 0
    assert trained_on(prepared) == trained_on(prepare(settings(tmp_path)))
    load_corpus(with_extra(settings(tmp_path), extra_of(tmp_path, corpus())), 1)


def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.cleaned.CHUNK", 7)
    many = [(f"{a} {k}", f"{b} {k}") for k in range(8) for a, b in NEW]
    config = with_extra(settings(tmp_path), extra_of(tmp_path, many + corpus()))
    prepared = prepare(config, workers=1)
    train = (prepared.folder / "train.jsonl").read_bytes()
    elsewhere = prepare(dataclasses.replace(config, cache=str(tmp_path / "other")), workers=2)
    assert (elsewhere.folder / "train.jsonl").read_bytes() == train
    assert elsewhere.report == prepared.report


# ---------------------------------------------------------------- the cache


def test_other_bytes_are_prepared_again_and_weights_are_not(tmp_path: Path) -> None:
    extra = extra_of(tmp_path, NEW)
    config = settings(tmp_path)
    first = prepare(with_extra(config, extra))
    again = prepare(with_extra(config, dataclasses.replace(extra, weight=2.0, tag="made")))
    assert (first.fresh, again.fresh) == (True, False)
    (entry,) = again.report["extra"]
    assert (entry["weight"], entry["tag"]) == (2.0, "<made>")
    assert again.mixture[1] == Part(20, 2.0, ("<made>",))
    extra_of(tmp_path, NEW[:-1])
    changed = prepare(with_extra(config, extra))
    assert changed.fresh
    assert changed.report["since_previous"]["gone_sources"] == 1
    columns = dataclasses.replace(extra, source_column=2, target_column=1)
    assert prepare(with_extra(config, columns)).fresh


def test_without_extra_data_the_fingerprint_is_what_it_was(tmp_path: Path) -> None:
    """So caches of earlier versions and runs made with them are still good."""
    report = prepare(settings(tmp_path)).report
    assert "extra" not in report
    assert report["fingerprint"] == "bf8521d7267a426c16c03853ca80725a909603162d07f4ec1683cd5147c9ebcf"


# ---------------------------------------------------------------- tags and weights


def ids_of(config: DataConfig) -> tuple[list[list[int]], Prepared, Tokenizer, Tokenizer]:
    loaded = load_corpus(config, 1)
    rows = [loaded.train.source[k].tolist() for k in range(len(loaded.train))]
    return rows, loaded.prepared, loaded.source, loaded.target


@pytest.mark.parametrize("kind", ["bpe", "unigram", "char", "word"])
@pytest.mark.parametrize("joint", [False, True])
def test_a_tag_stands_before_the_source(tmp_path: Path, kind: str, joint: bool) -> None:
    texts = [*NEW, ("<made> by <made> hand x<made>y", "हाताने <made> केलेले")]
    config = with_extra(
        settings(tmp_path, tokenizer=TokenizerConfig(kind=kind, vocab_size=330, joint=joint)),
        extra_of(tmp_path, texts, "1.tsv", tag="made"),
        extra_of(tmp_path, [("Plain words.", "साधे शब्द.")], "2.tsv"),
        extra_of(tmp_path, [("From the web.", "जालावरून.")], "3.tsv", tag="<web>"),
    )
    rows, prepared, source, target = ids_of(config)
    made, web = source.piece_id("<made>"), source.piece_id("<web>")
    main = len(rows) - len(texts) - 2
    expected = [[]] * main + [[made]] * len(texts) + [[], [web]]
    assert rows == [
        tag + source.encode(example.source)
        for tag, example in zip(expected, prepared.splits["train"], strict=True)
    ]
    for text in ("<made>", "x<made>y <web>", "<made> a"):
        assert not {made, web} & set(source.encode(text))
        assert source.decode(source.encode(text)) == text
    if not joint:
        with pytest.raises(ConfigError, match="no piece <made>"):
            target.piece_id("<made>")


def test_the_tags_of_two_corpora_may_change_places(tmp_path: Path) -> None:
    """The tokenizers are the same, and the ids are not."""
    one, other = extra_of(tmp_path, NEW[:10], "1.tsv"), extra_of(tmp_path, NEW[10:], "2.tsv")
    for tags in (("a", "b"), ("b", "a")):
        tagged = [dataclasses.replace(extra, tag=tag) for extra, tag in zip((one, other), tags, strict=True)]
        rows, _, source, _ = ids_of(with_extra(settings(tmp_path), *tagged))
        expected = [source.piece_id(f"<{tag}>") for tag in tags for _ in range(10)]
        assert [ids[0] for ids in rows[-20:]] == expected


@pytest.mark.parametrize("length", [1, 60, 99, 100, 101, 300])
def test_a_tokenizer_is_readable_whatever_the_length_of_its_tag(length: int) -> None:
    """The length of the part of the model file that has the tag takes one byte or two."""
    piece, config = f"<{'t' * length}>", TokenizerConfig(vocab_size=320)
    tokenizer = Tokenizer(train_tokenizer(["some words"], config, "", [piece]))
    assert tokenizer.decode_with_offsets([tokenizer.piece_id(piece)]).pieces == [piece]


def test_pieces_of_text_and_special_tokens_are_no_tags(tmp_path: Path) -> None:
    source, _ = load_tokenizers(prepare(settings(tmp_path)), settings(tmp_path))
    for piece in ("<s>", "<unk>", "\u2581", "<0x41>", "<made>"):
        with pytest.raises(ConfigError, match="no piece"):
            source.piece_id(piece)


def test_links_of_tagged_pairs_are_shifted(tmp_path: Path) -> None:
    path = tmp_path / "aligned.tsv"
    path.write_text("good boy\tचांगला मुलगा\t0-0 1-1\nlong words\tलांब शब्द\t\n", encoding="utf-8")
    extra = ExtraCorpus("tsv", str(path), alignment_column=3)
    config = settings(tmp_path)
    found = []
    for tag in (None, "made"):
        loaded = load_corpus(with_extra(config, dataclasses.replace(extra, tag=tag)), 1)
        links = load_links(loaded.prepared, loaded.train, loaded.source, loaded.target, 1)
        found.append(links)
        pieces = len(loaded.train.source[len(loaded.train) - 2])
        assert set(links[len(links) - 2][:, 0].tolist()) == set(range(tag is not None, pieces))
        assert not len(links[len(links) - 1])
    assert (found[1].values[:, 0] - found[0].values[:, 0] == 1).all()


def test_overlong_pairs_are_counted_for_their_corpus(tmp_path: Path) -> None:
    long = ("word " * 20, "शब्द " * 20)
    config = with_extra(
        settings(tmp_path, tokenizer=TokenizerConfig(kind="char", vocab_size=320), max_tokens=60),
        extra_of(tmp_path, [long, *NEW[:4]], "1.tsv"),
        extra_of(tmp_path, NEW[4:], "2.tsv", weight=3.0, tag="made"),
    )
    before, loaded = prepare(config), load_corpus(config, 1)
    report = loaded.prepared.report
    assert [entry["dropped"]["too_many_tokens"] for entry in report["extra"]] == [1, 0]
    assert [entry["pairs_kept"] for entry in report["extra"]] == [4, 16]
    assert report["dropped"]["too_many_tokens"] == 0
    assert report["pairs_kept"] == before.report["pairs_kept"]
    main = before.mixture[0].lines
    assert report["splits"]["train"]["pairs"] == len(loaded.train) == main + 20
    weights = row_weights(loaded.prepared.mixture, loaded.train.left_out)
    assert weights is not None
    assert weights.tolist() == [1.0] * (main + 4) + [3.0] * 16
    tagged = [len(loaded.train.source[k]) for k in range(main, main + 20)]
    assert tagged == [len(loaded.source.encode(one)) + (k >= 4) for k, (one, _) in enumerate(NEW)]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_tokenizers_see_words_as_often_as_weights_say(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[Counter[str]] = []

    def of_words(words: Counter[str], *rest: Any) -> bytes:
        counts.append(Counter(words))
        return train_on_words(words, *rest)

    def of_sentences(sentences: Iterable[str], *rest: Any) -> bytes:
        texts = list(sentences)
        counts.append(Counter(" ".join(texts).split()))
        return train_tokenizer(texts, *rest)

    monkeypatch.setattr(vocabulary, "train_on_words", of_words)
    monkeypatch.setattr(vocabulary, "train_tokenizer", of_sentences)
    config = settings(tmp_path, tokenizer=TokenizerConfig(kind=kind, vocab_size=320))
    weights = {"Half": 0.5, "Twice": 2.0, "Once": 1.0}
    texts = {word: [(f"{word} {k} now", f"{word} {k} आता") for k in range(20)] for word in weights}
    extra = [extra_of(tmp_path, pairs, f"{word}.tsv", weight=weights[word]) for word, pairs in texts.items()]
    load_tokenizers(prepare(with_extra(config, *extra)), with_extra(config, *extra), 1)
    main = prepare(config).splits["train"]
    for side in counts:
        assert {word: side[word] for word in weights} == {"Half": 10, "Twice": 40, "Once": 20}
    assert counts[0]["Sentence"] == len(main)
    load_tokenizers(prepare(with_extra(config, *extra[:1])), with_extra(config, *extra[:1]), 1)
    assert len(counts) == 4


# ---------------------------------------------------------------- kinds and errors


def test_two_files_and_an_archive(tmp_path: Path) -> None:
    import zipfile

    (tmp_path / "a.en").write_bytes(gzip.compress(b"One side\nTwo sides\n"))
    (tmp_path / "a.mr").write_text("एक बाजू\nदोन बाजू\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "hin.zip", "w") as archive:
        archive.writestr("hin.txt", "An archive\tसंग्रह\tCC\n")
    moses = ExtraCorpus("moses", str(tmp_path / "a.en"), target_path=str(tmp_path / "a.mr"))
    archived = ExtraCorpus("manythings", str(tmp_path / "hin.zip"), language="hin")
    prepared = prepare(with_extra(settings(tmp_path), moses, archived))
    assert trained_on(prepared)[-3:] == [
        ("One side", "एक बाजू"), ("Two sides", "दोन बाजू"), ("An archive", "संग्रह"),
    ]  # fmt: skip
    assert [entry["licence"] is None for entry in prepared.report["extra"]] == [True, False]


@pytest.mark.parametrize("action", [check_extra, prepare])
def test_a_missing_file_is_named_by_its_setting(tmp_path: Path, action: Any) -> None:
    fine = extra_of(tmp_path, NEW)
    config = with_extra(settings(tmp_path), fine, ExtraCorpus("tsv", "absent.tsv"))
    with pytest.raises(DataError, match=r"^data\.extra\[1\]\.path=absent\.tsv: no such file in /"):
        action(config)
    archive = ExtraCorpus("manythings", str(tmp_path / "extra.tsv"))
    with pytest.raises(DataError, match=r"^data\.extra\[0\]\.path: \S+extra\.tsv: not a complete zip"):
        action(with_extra(config, archive))
    moses = ExtraCorpus("moses", fine.path, target_path=str(tmp_path))
    with pytest.raises(DataError, match=r"^data\.extra\[0\]\.target_path=\S+: not a regular file"):
        action(with_extra(config, moses))


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "data.path" / "extra.tsv"  # looks like a setting
    path.parent.mkdir()
    path.write_bytes(b"a\tb\n\xff\n")
    with pytest.raises(
        DataError, match=rf"^data\.extra\[0\]\.path: {re.escape(str(path))}, line 2: not UTF-8"
    ):
        prepare(with_extra(settings(tmp_path), ExtraCorpus("tsv", str(path))))
    path.write_text("a b\tक ख\t0-7\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^data\.extra\[0\]\.path: \S+, line 1: .*0-7"):
        prepare(with_extra(settings(tmp_path), ExtraCorpus("tsv", str(path), alignment_column=3)))
    assert not list((tmp_path / "cache").rglob("prepared.json"))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"kind": "jsonl"}, r"\.kind=jsonl: choose one of .*manythings, moses"),
        ({"weight": 0.0}, r"\.weight=0\.0: must be above 0"),
        ({"weight": float("nan")}, r"\.weight=nan: must be above 0"),
        ({"path": None}, r"\.path: kind=tsv needs it; add path: FILE"),
        ({"kind": "moses"}, r"\.target_path: kind=moses needs it"),
        ({"target_path": "x"}, r"\.target_path=x: has no effect with kind=tsv; leave it out"),
        ({"kind": "sample"}, r"\.path=x\.tsv: has no effect with kind=sample"),
        ({"language": "mr"}, r"\.language=mr: has no effect with kind=tsv"),
        ({"source_column": 2}, r"\.target_column=2: the same as data\.extra\[1\]\.source_column"),
        ({"tag": "two words"}, r"\.tag=two words: must be of letters"),
        ({"tag": "</s>"}, r"\.tag=</s>: must be"),
        ({"tag": "unk"}, r"\.tag=unk: must be"),
        ({"tag": ""}, r"\.tag=: must be"),
        ({"path": "\udcff"}, r"\.path=.*: the name is not valid UTF-8"),
    ],
)
def test_impossible_settings_are_refused(extra: dict[str, Any], said: str) -> None:
    config = Config()
    config.data.extra = [ExtraCorpus("tsv", "y.tsv"), ExtraCorpus(**({"path": "x.tsv"} | extra))]
    with pytest.raises(ConfigError, match=rf"^data\.extra\[1\]{said}"):
        check(config)


@pytest.mark.parametrize("tag", ["synthetic", "<synthetic>", "back-translated_2"])
def test_possible_settings(tag: str) -> None:
    config = Config()
    config.data.extra = [
        ExtraCorpus("tsv", "x.tsv", weight=0.25, tag=tag, source_column=3),
        ExtraCorpus("moses", "x.en", target_path="x.mr", alignment_path="x.links"),
        ExtraCorpus("manythings", language="hin"),
        ExtraCorpus("sample"),
    ]
    check(config)
    assert json.loads(json.dumps(dataclasses.asdict(config)))["data"]["extra"][0]["weight"] == 0.25
