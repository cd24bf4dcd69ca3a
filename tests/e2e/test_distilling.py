"""`nmt.train distillation.train_teachers=2 …`: all stages, and none of them twice."""

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from console import Answer
from inside import Begin, inside
from small_corpus import write_tsv

from nmt import train, translate
from nmt.config.data import DataConfig
from nmt.config.decoding import DecodingConfig
from nmt.data.examples import Example
from nmt.data.prepare import prepare
from nmt.data.sources.sample import SampleSource
from nmt.distillation import labelling, parallel, translating
from nmt.errors import ConfigError
from nmt.runs import pipeline
from nmt.runs.run import reopen_run
from nmt.training.trainer import Trainer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import soft_labels as script

TEACHERS = ("distillation.train_teachers=2", "threads=1", "seed=3")
SETTINGS = (
    *TEACHERS,
    "pretraining.kind=tsv",
    "pretraining.path=other.tsv",
    "distillation.training_sentences=false",
    "distillation.pretraining_sentences=true",
    "distillation.teacher_overrides=[training.dropout=0.2,model=luong training.learning_rate=1e-3]",
    "distillation.train_reverse=true",
    "distillation.candidates=3",
)
"""All stages."""
NEW = [f"Sentence {number}." for number in range(30)]
"""Sources of the other corpus that the corpus of the run does not have."""


def take_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that have learnt nothing seldom end a translation: use also what is cut at the length
    limit, and a stand-in of the same length for what is blank.
    """

    def translated(self: translating.Teachers, sentences: list[str]) -> str:
        (together,) = self._translators
        pairs = zip(sentences, together.translate(sentences), strict=True)
        return "".join(f"{sentence}\t{best.text or sentence[::-1]}\n" for sentence, (best,) in pairs)

    monkeypatch.setattr(translating.Teachers, "__call__", translated)
    monkeypatch.setattr(translating, "_PART", 16)


@pytest.fixture(autouse=True)
def anything_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    take_anything(monkeypatch)


@pytest.fixture(scope="module")
def distil(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> Begin:
    """Start a short training run as `begin` does, with a cache of its own for the synthetic data."""
    cache = f"data.cache={tmp_path_factory.mktemp('cache')}"
    known = [pair.source for pair in SampleSource(DataConfig()).pairs(SampleSource(DataConfig()).files())]
    sources = [*NEW, *(text for text in known if len(text.split()) < 5)][:120]

    def distil(folder: Path, *arguments: object) -> Answer:
        write_tsv(folder / "other.tsv", [(text, text.swapcase()) for text in sources])
        return begin(folder, cache, *arguments)

    return distil


@pytest.fixture(scope="module")
def distilled(distil: Begin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted distillation."""
    folder = tmp_path_factory.mktemp("distilled")
    with pytest.MonkeyPatch.context() as patch:
        take_anything(patch)
        answer = distil(folder, *SETTINGS)
    assert answer.code == 0, answer.err
    return folder / "runs" / "run"


def settings(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))


def weights(run: Path) -> bytes:
    return (run / "checkpoints" / "last" / "model.safetensors").read_bytes()


def training_sources(run: Path) -> set[str]:
    return {one.source for one in prepare(reopen_run(run)[1].data, 1).splits["train"]}


def initialised_from(run: Path) -> Path | None:
    """What the log says."""
    log = (run / "train.log").read_text(encoding="utf-8")
    found = re.findall(r" initialised from (.*): \d+ of", log)
    return Path(found[0]) if found else None


def test_the_student_is_a_run_that_has_learnt_from_both(distilled, tmp_path):
    teachers = [distilled / "distillation" / "teachers" / name for name in "12"]
    pretraining, reverse = distilled / "pretraining", distilled / "distillation" / "reverse"
    every = (pretraining, *teachers, reverse, distilled)
    assert [settings(run)["seed"] for run in every] == [3, 3, 4, 3, 3]
    assert len({weights(run) for run in every}) == 5
    assert [settings(run)["training"]["dropout"] for run in every] == [0.4, 0.2, 0.4, 0.4, 0.4]
    assert [settings(run)["model"]["decoder"]["style"] for run in teachers] == ["bahdanau", "luong"]
    assert [settings(run)["data"]["swap"] for run in every] == [False, False, False, True, False]
    started = [initialised_from(run) for run in every]
    assert started == [None, pretraining, pretraining, None, pretraining]
    before, after = (settings(folder) for folder in (distilled / "distillation", distilled))
    assert (before["distillation"]["train_teachers"], after["distillation"]["train_teachers"]) == (2, 0)
    assert before["data"]["extra"] == []
    (extra,) = after["data"]["extra"]
    assert Path(extra["path"]).name == "synthetic.tsv"
    pairs = (distilled / "distillation" / "synthetic.tsv").read_text(encoding="utf-8").splitlines()
    sources = (distilled / "distillation" / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert [pair.split("\t")[0] for pair in pairs] == sources
    known = training_sources(teachers[0])
    assert not known & {*sources}
    assert len({*NEW} & {*sources}) > 20  # without those in dev and test of pretraining
    reports = [
        json.loads((run / "prepared.json").read_text(encoding="utf-8")) for run in (teachers[0], distilled)
    ]
    alone, both = (report["splits"]["train"]["pairs"] for report in reports)
    assert alone < both <= alone + len(pairs)
    assert inside(translate, "--run", distilled, "x", folder=tmp_path).code == 0
    both_teachers = ("--run", teachers[0], "--run", teachers[1])
    assert inside(translate, *both_teachers, "x", folder=tmp_path).code == 0


def without_teachers(distilled: Path, folder: Path) -> Path:
    """A copy of a distillation as it was before its teachers were trained."""
    run = folder / "runs" / "run"
    shutil.copytree(distilled, run)
    shutil.copy(run / "distillation" / "config.yaml", run)
    (run / "distillation" / "config.yaml").unlink()
    for teacher in (run / "distillation" / "teachers").iterdir():
        for path in teacher.iterdir():
            if path.name != "config.yaml":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return run


def test_teachers_in_processes_are_those_of_one_after_the_other(distil, distilled, tmp_path, monkeypatch):
    """By the same command; and the number of processes may change. What `inside` leaves out is left out."""
    quick = "import nmt.runs.finish as f, nmt.visualisation.page as p; f.TEST_HEATMAPS, p.font_face = 0, str"
    monkeypatch.setattr(parallel, "PROGRAM", f"{quick}; {parallel.PROGRAM}")
    run = without_teachers(distilled, tmp_path)
    answer = distil(tmp_path, *SETTINGS, "distillation.processes=2")
    assert (answer.code, answer.err) == (0, "distillation.processes: 1 → 2\n")
    lines = answer.out.splitlines()
    assert lines[:2] == [
        f"pretraining: complete: {run.resolve() / 'pretraining'}",
        f"reverse model: complete: {run.resolve() / 'distillation' / 'reverse'}",
    ]
    assert "training 2 runs, 2 at the same time; the lines of each are in its train.log" in lines
    assert sum("best development" in line for line in lines) == 2
    for name in "12":
        one, other = (folder / "distillation" / "teachers" / name for folder in (run, distilled))
        assert weights(one) == weights(other)
        assert settings(one)["training"] == settings(other)["training"]
        assert (one / "report.html").exists()
    assert answer.out.count("initialised from") == 0  # which is in the log of each
    assert initialised_from(one) == distilled / "pretraining"
    assert not [*run.rglob("latest")]


@pytest.mark.slow
def test_teachers_in_processes_go_on_where_they_were_stopped(begin, tmp_path, monkeypatch):
    """Both are stopped by one signal to the program alone."""
    common = (*TEACHERS, "data.max_words=4", "training.max_steps=60", "training.validate_every=30")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    teachers = [stopped / "runs" / "run" / "distillation" / "teachers" / name for name in "12"]

    def stop() -> None:
        while not all((teacher / "checkpoints" / "last").exists() for teacher in teachers):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    answer = begin(stopped, *common, "distillation.processes=2")
    resume = f"resume with: python -m nmt.train resume={Path('runs', 'run')}"
    assert answer.code == 143
    assert answer.err == f"stopped while the teachers were trained, everything is saved; {resume}\n"
    assert not any((teacher / "report.html").exists() for teacher in teachers)
    assert begin(stopped, *common, "distillation.processes=2").code == 0
    assert begin(whole, *common).code == 0
    for teacher in teachers:
        assert weights(teacher) == weights(whole / teacher.relative_to(stopped))


class Interruptions:
    """Stops each training after its third update by SIGTERM, and the translating in its second part."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.trained: list[str] = []
        self.parts: list[list[str]] = []
        self._stopped: set[str] = set()
        self._step, self._translate = Trainer._report, translating.Teachers.__call__
        patch.setattr(pipeline, "_train", self._training(pipeline._train))
        patch.setattr(translating.Teachers, "__call__", self._translating())

    def _training(self, whole):
        def train(setup, signals):
            name = setup.run.folder.name
            self.trained.append(name)
            report = Trainer._report

            def stop(trainer):
                report(trainer)
                if name not in self._stopped and trainer.state.step == 3:
                    self._stopped.add(name)
                    signal.raise_signal(signal.SIGTERM)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Trainer, "_report", stop)
                return whole(setup, signals)

        return train

    def _translating(self):
        def translate(teachers, sentences):
            self.parts.append(sentences)
            if len(self.parts) == 2:
                raise KeyboardInterrupt
            return self._translate(teachers, sentences)

        return translate


@pytest.mark.slow
def test_each_stage_goes_on_where_it_was_stopped(distil, distilled, tmp_path, monkeypatch):
    """By the same command, and once by `resume=`."""
    interruptions = Interruptions(monkeypatch)
    run, said = tmp_path / "runs" / "run", []
    for stage in ("pretraining", "teacher 1 of 2", "teacher 2 of 2", "reverse model"):
        answer = distil(tmp_path, *SETTINGS)
        assert answer.code == 143
        said.append(answer.out)
        assert f"stopped ({stage}), everything is saved; resume with: python -m nmt.train" in answer.err
    assert distil(tmp_path, *SETTINGS).code == 130  # in the translating
    assert inside(train, "resume=runs/run", folder=tmp_path).code == 143  # the student
    answer = distil(tmp_path, *SETTINGS)
    assert answer.code == 0, answer.err
    assert interruptions.trained == [
        name for name in ("pretraining", "1", "2", "reverse", "run") for _ in range(2)
    ]
    assert interruptions.parts[2] == interruptions.parts[1] != interruptions.parts[0]
    assert "pretraining: complete" in said[2]
    assert "teacher 1 of 2: complete" in said[3]
    for inner in ("", "pretraining", *map("distillation/{}".format, ("teachers/1", "teachers/2", "reverse"))):
        assert weights(run / inner) == weights(distilled / inner), inner
    synthetic = Path("distillation", "synthetic.tsv")
    assert (run / synthetic).read_bytes() == (distilled / synthetic).read_bytes()
    assert not [*run.rglob("latest")]
    parts = len(interruptions.parts)
    again = distil(tmp_path, *SETTINGS)  # nothing is left to do
    assert (again.code, len(interruptions.parts)) == (0, parts), again.err
    assert interruptions.trained[10:] == ["run"]
    assert "teacher" not in again.out


class Hypothesis(NamedTuple):
    text: str
    finished: bool


class Parrot:
    """A translator with one answer for each sentence; None: cut at the length limit."""

    def __init__(self, *answers: str | None) -> None:
        self._answers = answers

    def translate(self, sentences: list[str]) -> list[list[Hypothesis]]:
        assert len(sentences) == len(self._answers)
        return [[Hypothesis("cut" if text is None else text, text is not None)] for text in self._answers]


def test_what_the_teachers_do_not_agree_on_is_left_out(monkeypatch):
    monkeypatch.undo()  # `anything_counts`
    loaded = {
        "1": Parrot("a good boy", "one house", "a", None, ""),
        "2": Parrot("a good boy", "tow horse", "b", None, ""),
        "3": Parrot("a good toy", "one house", "c", None, ""),
    }
    monkeypatch.setattr(translating, "load_combined", lambda runs, *_: loaded[runs[0].folder.name])
    teachers = translating.Teachers(tuple(map(Path, loaded)), DecodingConfig(), "cpu", 50.0)
    assert teachers(["A", "B", "C", "D", "E"]) == "A\ta good boy\nB\tone house\n"
    assert replace(teachers, agreement=0.0)(["A", "B", "C", "D", "E"]).splitlines()[2] == "C\ta"


def test_only_further_texts_where_teachers_agree(distil, distilled, tmp_path, monkeypatch):
    """From the command line; the teachers are one run twice, so they agree."""
    monkeypatch.undo()
    teachers = distilled / "distillation" / "teachers" / "1"
    (tmp_path / "more.txt").write_text("".join(f"Word {n}.\n" for n in range(30)), encoding="utf-8")
    given = (f"distillation.teachers=[{teachers},{teachers}]", "distillation.texts=more.txt")
    given += ("distillation.training_sentences=false", "distillation.agreement=90", "threads=1")
    answer = distil(tmp_path, *given)
    folder = tmp_path / "runs" / "run" / "distillation"
    assert len((folder / "sentences.txt").read_text(encoding="utf-8").splitlines()) == 30
    assert "do not agree on them" in answer.out + answer.err


@pytest.mark.slow
def test_teachers_and_texts_may_be_given(distil, uninterrupted, tmp_path, monkeypatch):
    """In the other direction, which a corpus is swapped for: so are the synthetic pairs."""
    teacher = tmp_path / "a teacher"
    shutil.copytree(uninterrupted, teacher)
    (tmp_path / "more.txt").write_text("वाचवा.\n", encoding="utf-8")
    given = (f"distillation.teachers={teacher}", "distillation.texts=more.txt")
    answer = distil(tmp_path, *given, "data.swap=true", "threads=1")
    assert answer.code == 0, answer.err
    assert f"warning: {teacher}: its test set is not that of this run" in answer.out
    run = tmp_path / "runs" / "run"
    assert not (run / "distillation" / "teachers").exists()
    synthetic = (run / "distillation" / "synthetic.tsv").read_text(encoding="utf-8")
    last = synthetic.splitlines()[-1].split("\t")
    assert last[0] == "वाचवा."
    monkeypatch.chdir(tmp_path)
    train_set = prepare(reopen_run(run)[1].data, 1).splits["train"]
    assert [*train_set][-1] == Example(last[0], (last[1],), ("",))


def test_a_signal_while_teachers_translate_says_how_to_resume(distil, tmp_path, monkeypatch):
    """Outside a training, SIGTERM would end the process in silence."""

    def terminated(*_: object) -> str:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError

    monkeypatch.setattr(translating.Teachers, "__call__", terminated)
    before = signal.getsignal(signal.SIGTERM)
    answer = distil(tmp_path, *TEACHERS)
    run = tmp_path / "runs" / "run"
    said = (
        f"what is translated is saved; resume with: python -m nmt.train resume={run.relative_to(tmp_path)}\n"
    )
    assert answer.code == 143
    assert answer.err == f"stopped while the teachers translated; {said}"
    assert said in (run / "train.log").read_text(encoding="utf-8")
    assert signal.getsignal(signal.SIGTERM) == before
    sentences = (run / "distillation" / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert {*sentences} == training_sources(run)
    assert len(sentences) == len({*sentences})


def stop_first(patch: pytest.MonkeyPatch, owner: type, name: str, when: Callable[..., bool]) -> None:
    """Let a method, when it is called so that `when` holds for the first time, receive SIGTERM."""
    original, stopped = getattr(owner, name), []

    def stop(self: object, *arguments: object) -> object:
        if not stopped and when(self):
            stopped.append(1)
            signal.raise_signal(signal.SIGTERM)
        return original(self, *arguments)

    patch.setattr(owner, name, stop)


def test_the_student_learns_from_the_teachers_probabilities(distil, distilled, tmp_path, monkeypatch):
    """Stopped while they are made, and in the training of the student; then by hand."""
    teachers = [distilled / "distillation" / "teachers" / name for name in "12"]
    monkeypatch.setattr(labelling, "_PART", 4)
    text = tmp_path / "more.txt"
    text.write_text("".join(f"Word {number}.\n" for number in range(30)), encoding="utf-8")
    given = (
        f"distillation.teachers=[{teachers[0]},{teachers[1]}]", f"distillation.texts={text}", "threads=1",
        "distillation.training_sentences=false", "distillation.soft_weight=0.5", "decoding.max_length=4",
    )  # fmt: skip
    assert distil(tmp_path, *given).code == 0
    run, stopped = tmp_path / "runs" / "run", tmp_path / "stopped"
    stopped.mkdir()
    stop_first(
        monkeypatch, labelling.Labeller, "__call__", lambda _: len([*stopped.rglob("*.parts/*.npy")]) == 2
    )
    stop_first(monkeypatch, Trainer, "_report", lambda trainer: trainer.state.step == 3)
    answer = distil(stopped, *given)
    said = "what is labelled is saved; resume with: python -m nmt.train resume=runs/run"
    assert (answer.code, answer.err) == (143, f"stopped while the teachers made soft labels; {said}\n")
    assert distil(stopped, *given).code == 143
    answer = inside(train, "resume=runs/run", folder=stopped)
    assert answer.code == 0, answer.err
    assert re.search(r"soft labels: of \d+ of [\d,]+ pairs\n", answer.out)
    assert weights(run) == weights(stopped / "runs" / "run")
    for side in ("source.model", "target.model"):
        one, other = (folder / "checkpoints" / "best" / side for folder in (run, teachers[0]))
        assert one.read_bytes() == other.read_bytes()
    plain = tmp_path / "plain"
    plain.mkdir()
    data = settings(run)["data"]
    (extra,) = data["extra"]
    assert (extra["soft_weight"], data["tokenizer"]["path"]) == (0.5, extra["soft_labels"])
    hard = f"[{{path: {tmp_path / extra['path']}}}]"
    tokenizers = f"data.tokenizer.path={tmp_path / data['tokenizer']['path']}"
    assert distil(plain, f"data.extra={hard}", tokenizers, "threads=1").code == 0
    assert weights(plain / "runs" / "run") != weights(run)  # the labels count
    monkeypatch.chdir(tmp_path)
    by_hand = [
        "soft_labels.py",
        *(f"--run={teacher}" for teacher in teachers),
        extra["path"],
        "--output=labels",
    ]
    monkeypatch.setattr("sys.argv", [*by_hand, "--threads=1"])
    script.main()
    for name in ("labels.npy", "soft_labels.json", "source.model", "target.model"):
        assert (tmp_path / "labels" / name).read_bytes() == (
            tmp_path / extra["soft_labels"] / name
        ).read_bytes()
    with pytest.raises(ConfigError, match=r"^--output labels: has soft labels already"):
        script.main()


def refused(answer: Answer) -> str:
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    return answer.err


def test_what_cannot_be_is_refused(distil, distilled, tmp_path, monkeypatch):
    shutil.copytree(distilled, tmp_path / "runs" / "run")
    assert "runs/run exists, with other settings (seed: 3, not 4)" in refused(
        distil(tmp_path, *SETTINGS, "seed=4")
    )
    teachers = "distillation.teachers=nothing"
    said = "no such run, or one without a checkpoint"
    assert refused(distil(tmp_path, "name=new", teachers)) == f"error: {teachers}: {said}\n"
    reverse = "distillation.reverse=nothing"
    assert refused(distil(tmp_path, "name=new", *TEACHERS, reverse)) == f"error: {reverse}: {said}\n"
    forward = f"distillation.reverse={distilled}"
    wrong = f"{distilled}: translates from en to mr, but the run needs a model of its other direction"
    assert wrong in refused(distil(tmp_path, "name=new", *TEACHERS, forward))
    other = "distillation.teacher_overrides=[data.tokenizer.vocab_size=300]"
    assert "the teachers of an ensemble need the same data" in refused(
        distil(tmp_path, "name=new", *TEACHERS, other)
    )
    soft = ("distillation.soft_weight=0.5", "distillation.agreement=60")
    assert "soft labels need teachers with the same data" in refused(
        distil(tmp_path, "name=new", *TEACHERS, *soft, other)
    )
    odd = tmp_path / "odd"
    shutil.copytree(distilled / "distillation" / "teachers" / "1", odd)
    for folder in (odd / "checkpoints").iterdir():
        shutil.copy(folder / "source.model", folder / "target.model")
        digest = hashlib.sha256((folder / "target.model").read_bytes()).hexdigest()
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        (folder / "manifest.json").write_text(
            json.dumps(manifest | {"target.model": digest}), encoding="utf-8"
        )
    given = f"distillation.teachers=[{distilled / 'distillation' / 'teachers' / '2'},{odd}]"
    assert "odd: its tokenizers are not those of" in refused(distil(tmp_path, "name=new", given, *soft))
    missing = "pretraining.path=nothing.tsv"
    assert refused(distil(tmp_path, "name=new", "pretraining.kind=tsv", missing)).startswith(
        f"error: {missing}: no such file"
    )
    (tmp_path / "bad.txt").write_bytes(b"good\n\xff\n")
    assert refused(distil(tmp_path, "name=new", *TEACHERS, "distillation.texts=bad.txt")).startswith(
        "error: distillation.texts: bad.txt, line 2: not UTF-8"
    )
    alone = ("distillation.train_teachers=1", "distillation.agreement=60")
    assert "needs two or more teachers" in refused(distil(tmp_path, "name=new", *alone))
    nothing = "distillation.training_sentences=false"
    assert f"{nothing}: leaves nothing" in refused(distil(tmp_path, "name=new", *TEACHERS, nothing))
    assert f"{nothing}: has no effect" in refused(distil(tmp_path, "name=new", nothing))
    small = "data.tokenizer.vocab_size=8"
    assert f"{small}: must be at least" in refused(distil(tmp_path, "name=new", *TEACHERS, small))
    assert not (tmp_path / "runs" / "new").exists()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "cannot run under torchrun" in refused(distil(tmp_path, "name=other", *TEACHERS))
