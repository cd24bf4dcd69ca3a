"""Distillation apart from training: its settings, the sentences for the teachers, and their translations."""

import dataclasses
import gzip
from itertools import chain
from pathlib import Path

import pytest
import torch
from tiny import ENGLISH, TINY, tiny_model, with_decoder

from nmt.config.decoding import DecodingConfig
from nmt.config.distillation import DistillationConfig
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.tokenizer import Tokenizer
from nmt.distillation import translating
from nmt.distillation.sentences import distinct, further, usable, write_distinct
from nmt.distillation.translating import Teachers, translate_file
from nmt.errors import ConfigError, DataError, NmtError, RunError
from nmt.evaluation.consensus import consensus
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.load import load_ensemble
from nmt.runs.run import Run, write_config

DECODING = DecodingConfig(beam_size=3, max_length_factor=1.0, max_length_extra=3)
SENTENCES = [f"{text} {number}" for number in range(4) for text in ENGLISH]


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"texts": ["a.txt"]}, r"distillation\.texts=\[a\.txt\]: has no effect without"),
        ({"weight": 0.5}, r"distillation\.weight=0\.5: has no effect without distillation\.train_teachers"),
        ({"train_teachers": 2, "weight": 0.0}, r"distillation\.weight=0\.0: must be above 0"),
        ({"train_teachers": -1}, r"distillation\.train_teachers=-1: must be at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    typed = {f"distillation.{key}" for key in settings}
    with pytest.raises(ConfigError, match=message):
        check(Config(distillation=DistillationConfig(**settings)), typed)


def test_given_teachers_take_the_place_of_trained_ones():
    config = Config(distillation=DistillationConfig(train_teachers=3, teachers=["a", "b"], weight=2.0))
    check(config)  # the number may come from experiment=distilled
    with pytest.raises(ConfigError, match=r"distillation\.train_teachers=3: has no effect with"):
        check(config, {"distillation.train_teachers"})
    assert not DistillationConfig().requested


# ---------------------------------------------------------------- sentences


def test_every_sentence_is_written_once_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("nmt.distillation.sentences._CHUNK", 2)
    own = ["One.", "Two.", "One.", "Three."]
    texts = [tmp_path / "a.txt", tmp_path / "b.txt.gz"]
    texts[0].write_bytes("Two.\r\n\n  Four   words are here \nOne more\x85of five words\n".encode())
    texts[1].write_bytes(gzip.compress("Caf\u0065\u0301.\nOne.\nCaf\u00e9.".encode()))
    path = tmp_path / "out" / "sentences.txt"
    assert write_distinct(path, chain(own, *(usable(text, 4) for text in texts))) == 5
    assert path.read_text(encoding="utf-8").splitlines() == [
        "One.", "Two.", "Three.", "Four words are here", "Caf\u00e9.",
    ]  # fmt: skip


def test_a_text_that_cannot_be_read_leaves_no_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\n\xff\n")
    with pytest.raises(DataError, match=r"a\.txt, line 2: not UTF-8"):
        write_distinct(tmp_path / "sentences.txt", usable(tmp_path / "a.txt", 10))
    assert not (tmp_path / "sentences.txt").exists()


def test_distinct_sentences_of_a_large_text():
    many = (str(number % 30_000) for number in range(90_000))
    assert list(distinct(many)) == [str(number) for number in range(30_000)]


def test_known_sentences_are_left_out():
    known = (str(number) for number in range(20_000))
    assert list(further(["7", "x", "19999", "x", "20000"], known)) == ["x", "20000"]


# ---------------------------------------------------------------- translating


def make_run(
    folder: Path, tokenizers: tuple[Tokenizer, Tokenizer], seed: int, ending: float = 1.0, **changes
) -> Run:
    """A run with a checkpoint, as far as translating needs it."""
    run, config = Run(folder), with_decoder(TINY, **changes)
    model = tiny_model(*map(len, tokenizers), config, seed)
    with torch.no_grad():  # so that half of the translations end
        model.vocabulary.bias[3] += ending
    save_checkpoint(run.best, Checkpoint(model, config, *tokenizers, {}))
    return run


@pytest.fixture(scope="module")
def teachers(tokenizers, tmp_path_factory) -> list[Run]:
    folder = tmp_path_factory.mktemp("teachers")
    return [make_run(folder / "1", tokenizers, 1), make_run(folder / "2", tokenizers, 2, style="luong")]


@pytest.fixture
def sentences(tmp_path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text("".join(f"{sentence}\n" for sentence in SENTENCES), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(translating, "_PART", 2)


def together(runs: list[Run], **changes) -> Teachers:
    return dataclasses.replace(Teachers(tuple(run.folder for run in runs), DECODING, "cpu"), **changes)


def expected(teachers: list[Run]) -> str:
    found = load_ensemble(teachers, DECODING, torch.device("cpu")).translate(SENTENCES)
    kept = [(text, best.text) for text, (best,) in zip(SENTENCES, found, strict=True) if best.finished]
    assert 0 < len(kept) < len(SENTENCES)
    return "".join(f"{text}\t{translation}\n" for text, translation in kept if translation)


@pytest.mark.parametrize("workers", [1, 2])
def test_all_that_is_finished_is_written_in_order(teachers, sentences, tmp_path, workers):
    output = tmp_path / "synthetic.tsv"
    threads = torch.get_num_threads()
    translate_file(sentences, output, together(teachers), workers)
    assert output.read_text(encoding="utf-8") == expected(teachers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sentences.txt", "synthetic.tsv"]
    assert torch.get_num_threads() == threads


def test_no_part_is_translated_twice(teachers, sentences, tmp_path, monkeypatch):
    output, done = tmp_path / "synthetic.tsv", []
    whole = Teachers.__call__

    def interrupted(self, part):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(part)
        return whole(self, part)

    monkeypatch.setattr(Teachers, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        translate_file(sentences, output, together(teachers), 1)
    assert not output.exists()
    before = list(done)
    monkeypatch.setattr(Teachers, "__call__", lambda self, part: done.append(part) or whole(self, part))
    translate_file(sentences, output, together(teachers), 1)
    assert [sentence for part in done for sentence in part] == SENTENCES
    assert done[:4] == before
    assert output.read_text(encoding="utf-8") == expected(teachers)


def test_teachers_with_other_tokenizers_are_refused(teachers, sentences, tokenizers, tmp_path):
    source, _ = tokenizers
    other = make_run(tmp_path / "other", (source, source), 3)
    with pytest.raises(ConfigError, match="its target tokenizer is not the same as in"):
        translate_file(sentences, tmp_path / "out", together([*teachers, other]), 1)


def test_teachers_that_finish_no_translation_are_refused(teachers, sentences, tmp_path):
    short = dataclasses.replace(DECODING, max_length=1)
    with pytest.raises(RunError, match=r"none of the 20 translations .* can be used"):
        translate_file(sentences, tmp_path / "synthetic.tsv", together(teachers, decoding=short), 1)
    assert not (tmp_path / "synthetic.tsv").exists()


@pytest.mark.parametrize(("device", "processes"), [("cpu", 2), ("cuda", 5)])
def test_a_gpu_has_a_number_of_processes_of_its_own(
    teachers, sentences, tmp_path, monkeypatch, device, processes
):
    asked = []

    def in_order(function, parts, workers):
        asked.append((function.device, workers))
        yield "a\tb\n"

    monkeypatch.setattr(translating, "in_order", in_order)
    monkeypatch.setattr(translating, "choose_device", torch.device)
    translate_file(sentences, tmp_path / "out", together(teachers, device=device), 2, 5)
    assert asked == [(device, processes)]


def test_memory_may_suffice_for_fewer_processes(teachers, sentences, tmp_path, monkeypatch):
    def in_order(function, parts, workers):
        yield from ()
        raise torch.OutOfMemoryError

    monkeypatch.setattr(translating, "in_order", in_order)
    monkeypatch.setattr(translating, "choose_device", torch.device)
    with pytest.raises(NmtError, match=r"memory ran out .* lower distillation\.processes$"):
        translate_file(sentences, tmp_path / "out", together(teachers, device="cuda"), gpu_workers=2)
    with pytest.raises(torch.OutOfMemoryError):
        translate_file(sentences, tmp_path / "out", together(teachers, device="cuda"))


def test_batches_are_large_on_a_gpu():
    gpu = torch.device("cuda")
    assert translating._for_device(DECODING, gpu).batch_tokens == 32_768
    larger = dataclasses.replace(DECODING, batch_tokens=100_000)
    assert translating._for_device(larger, gpu) == larger
    assert translating._for_device(DECODING, torch.device("cpu")) == DECODING


# ---------------------------------------------------------------- with a reverse model


@pytest.fixture(scope="module")
def ending(tokenizers, tmp_path_factory) -> list[Run]:
    """Teachers most of whose candidates end."""
    folder = tmp_path_factory.mktemp("ending")
    return [make_run(folder / str(seed), tokenizers, seed, ending=3.0) for seed in (1, 2)]


@pytest.fixture(scope="module")
def reverse(tokenizers, tmp_path_factory) -> Run:
    source, target = tokenizers
    run = make_run(tmp_path_factory.mktemp("reverse"), (target, source), 5)
    write_config(run, Config(decoding=DecodingConfig(batch_tokens=64)))
    return run


RANKED = dataclasses.replace(
    DECODING, beam_size=2, candidates=4, reverse_weight=3.0, length_penalty=0.0, min_length=2
)
"""Without a division by length, most of the best candidates have ended."""


def best_by_hand(run: Run, reverse: Run, sentence: str) -> str:
    """Of the four best of a beam of four, the one with the highest log p(y|x) + λ log p(x|y) / |x|."""
    device = torch.device("cpu")
    wide = dataclasses.replace(RANKED, beam_size=4)
    (found,) = load_ensemble([run], wide, device).translate([sentence], nbest=4)
    back = load_ensemble([reverse], DECODING, device)
    scores = []
    for one in found:
        (forced,) = back.align([one.text], [sentence])
        score = one.log_probability + 3.0 * forced.log_probability / len(forced.log_probabilities)
        scores.append((one.finished, score, one.text))
    finished, _, text = max(scores)
    return text if finished else ""


def test_candidates_are_ranked_with_the_reverse_model(ending, reverse):
    """By the formula, sentence by sentence; and no sentence depends on the others of its part."""
    (alone, *_) = ending
    ranked = together([alone], decoding=RANKED, reverse=reverse.folder)
    expected = [best_by_hand(alone, reverse, text) for text in SENTENCES]
    lines = [f"{source}\t{text}\n" for source, text in zip(SENTENCES, expected, strict=True) if text]
    assert ranked(SENTENCES) == "".join(lines)
    assert ranked(SENTENCES[::-1]) == "".join(lines[::-1])
    assert [line for text in SENTENCES if (line := ranked([text]))] == lines
    plain = together([alone], decoding=RANKED)(SENTENCES)
    assert len({*lines} - {*plain.splitlines(keepends=True)}) > 5


def test_each_teacher_s_candidates_are_ranked_before_they_are_compared(ending, reverse):
    ranked = together(ending, decoding=RANKED, reverse=reverse.folder, agreement=20.0)
    lines = []
    for sentence in SENTENCES:
        texts = [best_by_hand(run, reverse, sentence) for run in ending]
        number, agreement = consensus(texts)
        if agreement >= 20 and all(texts):
            lines.append(f"{sentence}\t{texts[number]}\n")
    assert 0 < len(lines) < len(SENTENCES)
    assert ranked(SENTENCES) == "".join(lines)


def test_what_is_left_out_of_the_settings_is_as_in_decoding():
    own = DecodingConfig(candidates=7, reverse_weight=0.4)
    assert DistillationConfig().decoding(own) == own
    changed = DistillationConfig(candidates=3, reverse_weight=0.0).decoding(own)
    assert (changed.candidates, changed.reverse_weight) == (3, 0.0)
