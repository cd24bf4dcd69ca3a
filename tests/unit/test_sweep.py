"""Sweeps with a fake task: preflight checks, run folders, the table, other sweepers and launchers."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

from nmt import cli
from nmt.config.settings import Config
from nmt.errors import DataError, RunError, StoppedError
from nmt.launch.main import with_config
from nmt.launch.results import Job, read_jobs, table
from nmt.runs.run import create_run


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Hydra keeps state in globals."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run a sweep as the command would; the score is the seed, or the result of `behave(config)`."""

    def run(*arguments: str, behave: Callable[[Config], float] = lambda config: float(config.seed)):
        done: list[Config] = []

        def task(config: Config, name: str, overrides: tuple[str, ...]) -> float:
            done.append(config)
            if config.resume is None:
                create_run(config, name)
            return behave(config)

        monkeypatch.setattr(sys, "argv", ["nmt.train", "-m", *arguments])
        monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *_, **__: None)  # composes again
        code: object = 0
        try:
            cli.run(lambda: with_config(task))
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return SimpleNamespace(done=done, code=code, out=out, rows=rows(out), err=err)

    return run


def rows(out: str) -> list[list[str]]:
    """The cells of the table, below its heading."""
    return [line.split() for line in out.strip().splitlines()[1:]]


def raising(error: BaseException, seed: int) -> Callable[[Config], float]:
    def behave(config: Config) -> float:
        if config.seed == seed:
            raise error
        return float(config.seed)

    return behave


# ---------------------------------------------------------------- preflight check


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "seed=1,2 training.epochs=2,0",
            "training.epochs=0: must be at least 1 (job seed=1 training.epochs=0); 2 of the 4 jobs are",
        ),
        ("data=sample model=bahdanau,seq2seq training.guided_alignment=0.5", "training.guided_alignment=0.5"),
        ("seed=1,many", "seed: Value 'many' of type 'str' could not be converted"),
        ("model=luong,transformer9", "model=transformer9: no such choice; available: bahdanau, "),
        ("training.epoch=1,2", "training.epoch: no such setting; did you mean training.epochs?"),
        ("seed=1,2 data.path=${nowhere}", "data.path: Interpolation key 'nowhere' not found"),
        ("device=cpu,tpu", "device=tpu: no such device; choose"),
        ("device=cpu training.precision=fp32,fp16", "training.precision=fp16: only supported on CUDA GPUs"),
        ("seed=interval(1,3)", "seed=interval(1,3): not a list of values; add hydra/sweeper=optuna"),
        ("seed=1,2 hydra/sweeper=clever", "hydra/sweeper=clever: no such choice; available: basic"),
        ("runs=a,b", "runs=a: all jobs of a sweep use the same runs= folder"),
        ("name=a/b,c", "name=a/b: must be a plain folder name"),
        (
            "seed=1,2 name=x",
            "name=x: more than one job of the sweep would use this run folder; make it differ, as",
        ),
        ("resume=runs/a,runs/b", "resume=runs/a: no such run"),
        ("data=tsv data.path=gone.tsv,lost.tsv", "data.path=gone.tsv: no such file in "),
        ("data=sample data.dev_path=gone.tsv seed=1,2", "data.dev_path=gone.tsv: no such file in "),
    ],
)
def test_a_mistake_in_any_job_is_refused_before_the_first(
    arguments: str, message: str, sweep, tmp_path: Path
) -> None:
    result = sweep(*arguments.split())
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1
    assert (result.done, result.out, result.code) == ([], "", 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--cfg job seed=1,2", "--cfg: cannot be combined with -m"),
        ("seed=1,2 hydra.job.name=a,b", "hydra.job.name=a,b: not a list of values"),
        ("--config-dir gone seed=1,2", "--config-dir gone: no such folder"),
    ],
)
def test_what_is_no_sweep_is_refused(arguments: str, message: str, sweep, tmp_path: Path) -> None:
    result = sweep(*arguments.split())
    assert result.err.startswith(f"error: {message}")
    assert (result.err.count("\n"), result.done, result.out, result.code) == (1, [], "", 2)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused_ahead(sweep, tmp_path: Path) -> None:
    (tmp_path / "runs" / "b").mkdir(parents=True)
    result = sweep("name=a,b")
    assert result.err == "error: name=b: runs/b exists; choose another name (job name=b)\n"
    assert (result.done, [path.name for path in (tmp_path / "runs").iterdir()]) == ([], ["b"])


def test_one_run_cannot_be_resumed_twice(sweep) -> None:
    create_run(Config(name="a"), "")
    result = sweep("resume=runs/a,./runs/a")
    assert "resume=./runs/a: more than one job of the sweep would use this run folder" in result.err
    assert result.code == 2


def test_processes_that_train_together_have_no_sweep(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = sweep("seed=1,2")
    assert (result.done, result.code) == ([], 2)
    assert "torchrun" in result.err


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    """A folder of configs of the user's own."""
    folder = tmp_path / "my presets"
    for name, lines in {
        "experiment/search": "# @package _global_\nhydra:\n  mode: MULTIRUN\n",
        "experiment/other": "# @package _global_\ntraining:\n  epochs: 7\n",
        "hydra/sweeper/grid": "defaults:\n  - basic\nparams:\n  seed: 5,0,6\n",
        "model/wrong": "encoder:\n  sise: 3\n",
    }.items():
        file = (folder / name).with_suffix(".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(lines, encoding="utf-8")
    return folder


def test_presets_of_ones_own_may_be_swept(presets: Path, sweep) -> None:
    result = sweep("--config-dir", presets.name, "experiment=debug,other")
    assert 7 in {config.training.epochs for config in result.done}
    assert sorted(row[0] for row in result.rows) == ["debug", "other"]
    wrong = sweep("--config-dir", presets.name, "model=luong,wrong")
    assert wrong.err.startswith(
        "error: model.encoder.sise: no such setting; did you mean model.encoder.size?"
    )
    assert (wrong.done, wrong.code) == ([], 2)


def test_what_a_preset_sweeps_over_is_checked_and_shown(presets: Path, sweep) -> None:
    arguments = ("--config-dir", presets.name, "hydra/sweeper=grid")
    result = sweep(*arguments, "training.epochs=1,2")
    assert (result.err, result.code) == ("", 0)
    assert [row[:2] for row in result.rows] == [[seed, str(n)] for seed in "650" for n in (1, 2)]
    refused = sweep(*arguments, "training.epochs=0")
    assert "3 of the 3 jobs are invalid" in refused.err


def test_a_preset_does_not_start_a_sweep_by_itself(
    presets: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nmt.train", "--config-dir", str(presets), "experiment=search"])
    with pytest.raises(SystemExit):
        cli.run(lambda: with_config(lambda config, name, overrides: 1.0))
    assert capfd.readouterr().err.startswith("error: hydra.mode=MULTIRUN: start a sweep with -m")


# ---------------------------------------------------------------- run folders


def test_every_job_has_a_run_folder_of_its_own(sweep, tmp_path: Path) -> None:
    result = sweep("data=sample", "model=bahdanau,luong")
    (folder,) = tmp_path.glob("runs/sweep-*")
    stamp = folder.name.removeprefix("sweep-")
    names = [f"sample-bahdanau-{stamp}-0", f"sample-luong-{stamp}-1"]
    assert [config.name for config in result.done] == names
    assert [row[-1] for row in result.rows] == [f"runs/{name}" for name in names]


def test_a_name_may_be_made_of_settings(sweep) -> None:
    result = sweep("seed=5,7", "name=y-${hydra:job.num}-${seed}")
    assert [config.name for config in result.done] == ["y-0-5", "y-1-7"]
    assert result.rows == [["7", "7.00", "runs/y-1-7"], ["5", "5.00", "runs/y-0-5"]]


def test_two_sweeps_of_one_second_have_two_folders(sweep, tmp_path: Path) -> None:
    now = time.time()
    taken = [time.strftime("sweep-%Y%m%d-%H%M%S", time.localtime(now + second)) for second in (0, 1)]
    for name in taken:
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert sweep("seed=2").rows[0][0] == "2.00"
    assert not [path for name in taken for path in (tmp_path / "runs" / name).iterdir()]


def test_a_folder_of_another_sweep_is_not_used_again(sweep, tmp_path: Path) -> None:
    (tmp_path / "runs" / "lr").mkdir(parents=True)
    (tmp_path / "runs" / "lr" / "result.json").write_text('{"number": 0, "overrides": [], "score": 1.0}')
    result = sweep("seed=3", "hydra.sweep.dir=runs/lr")
    assert result.err == "error: hydra.sweep.dir=runs/lr: exists; choose another folder\n"
    assert (result.done, result.out) == ([], "")


def test_a_job_that_is_sent_again_resumes_its_run(sweep, tmp_path: Path) -> None:
    def behave(config: Config) -> float:
        if config.seed == 1:  # as if the second job had started before
            create_run(replace(config, seed=2, name=str(config.name).removesuffix("0") + "1"), "")
            (folder,) = tmp_path.glob("runs/sweep-*")
            (folder / "1").mkdir()
            (folder / "1" / "result.json").write_text("{}")
        return 1.0

    first, second = sweep("seed=1,2", behave=behave).done
    assert first.resume is None
    assert second.resume == f"runs/{str(first.name).removesuffix('0')}1"


# ---------------------------------------------------------------- the table


def test_the_best_comes_first(sweep) -> None:
    scores = {1: 12.345, 2: 0.0, 3: 100.0}
    result = sweep("seed=1,2,3", "data=sample", behave=lambda config: scores[config.seed])
    stamp = str(result.done[0].name).rpartition("-")[0]
    assert result.out == (
        f"\nseed  dev bleu  run\n"
        f"3       100.00  runs/{stamp}-2\n"
        f"1        12.35  runs/{stamp}-0\n"
        f"2         0.00  runs/{stamp}-1\n"
    )
    assert (result.err, result.code) == ("", 0)


def test_failed_jobs_are_in_the_table(sweep) -> None:
    result = sweep("seed=1,2", behave=raising(DataError("not a\ncorpus", "x.tsv"), seed=1))
    assert [row[:2] for row in result.rows] == [["2", "2.00"], ["1", "failed"]]
    assert result.out.endswith("  x.tsv: not a corpus\n")
    assert (result.err, result.code) == ("error: x.tsv: not a corpus\n", 2)


def test_a_fault_of_ours_is_in_the_table_too(sweep) -> None:
    result = sweep("seed=1,2", behave=raising(ValueError("no"), seed=1))
    assert [row[:2] for row in result.rows] == [["2", "2.00"], ["1", "failed"]]
    assert result.out.endswith("  ValueError: no\n")
    assert result.code == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (StoppedError("everything is saved", 15), 143, "everything is saved\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_a_stopped_sweep_shows_the_jobs_so_far(error, code: int, message: str, sweep) -> None:
    result = sweep("seed=1,2", behave=raising(error, seed=2))
    assert [row[:2] for row in result.rows] == [["1", "1.00"], ["2", "stopped"]]
    assert (result.err, result.code) == (message, code)


def test_a_signal_at_the_very_end_of_a_job_stops_the_sweep_after_it(sweep) -> None:
    def behave(config: Config) -> float:
        if config.seed == 1:
            raise DataError("no corpus")
        raise StoppedError("the run is finished", signal.SIGTERM, score=7.0)

    result = sweep("seed=1,2,3", behave=behave)
    assert [row[:2] for row in result.rows] == [["2", "7.00"], ["1", "failed"]]
    assert "dev bleu" in result.out
    assert (result.err, result.code) == ("the run is finished\n", 143)


def test_sigterm_where_nothing_catches_it(sweep) -> None:
    def behave(config: Config) -> float:
        if config.seed == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        return float(config.seed)

    before = signal.getsignal(signal.SIGTERM)
    result = sweep("seed=1,2", behave=behave)
    assert [row[:2] for row in result.rows] == [["1", "1.00"], ["2", "stopped"]]
    assert result.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_table() -> None:
    jobs = [
        Job(0, ["a.b=0.00123456789", "seed=1", "c=1"], "bleu", ".", 9.0),
        Job(1, ["a.b=2e-3", "seed=1", "c=1"], "bleu", "./gone", failure="no " * 50),
        Job(2, ["a.b=1e-3", "seed=1", "c=x y"], "bleu", "."),
    ]
    assert table(jobs, ["a.b", "c"]).splitlines() == [
        "a.b       c      dev bleu  run",
        "0.001235  1          9.00  .",
        "2e-3      1        failed       " + "no " * 22 + "no…",
        "1e-3      x y  unfinished  .",
    ]


@pytest.mark.parametrize("content", ["{", "[]", '{"number": 0}', '{"flavour": "sweet"}'])
def test_a_corrupt_record_is_named(content: str, tmp_path: Path) -> None:
    file = tmp_path / "0" / "result.json"
    file.parent.mkdir()
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=f"^{file}: corrupt"):
        read_jobs(tmp_path)


def test_scores_of_several_metrics_are_not_mixed() -> None:
    scores = [("loss", 3.0), ("bleu", 2.0), ("loss", 1.0), ("bleu", 4.0)]
    jobs = [Job(number, [f"m={name}"], name, ".", score) for number, (name, score) in enumerate(scores)]
    assert rows(table(jobs, ["m"])) == [
        [name, score, "."]
        for name, score in [("bleu", "4.00"), ("bleu", "2.00"), ("loss", "1.0000"), ("loss", "3.0000")]
    ]
    assert "dev score" in table(jobs, ["m"])


# ---------------------------------------------------------------- other sweepers and launchers


class Learner(Sweeper):
    """Like Optuna's: chooses each job after the previous one, and sees failures."""

    options: ClassVar = {"direction": "minimize"}
    results: ClassVar[list[object]] = []

    def __init__(self, direction: str) -> None:
        Learner.results.clear()

    def setup(self, *, hydra_context, task_function, config) -> None:
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        fixed = [one for one in arguments if "interval" not in one]
        for number in range(2):
            (result,) = self.launcher.launch([[f"seed={number - 1}", *fixed]], initial_job_idx=number)
            try:
                Learner.results.append(result.return_value)
            except Exception as error:
                Learner.results.append(str(error))


class Elsewhere(Launcher):
    """Like Submitit's: each job in its own process, which reports nothing back."""

    options: ClassVar = {}

    def setup(self, *, hydra_context, task_function, config) -> None:
        self.here = Plugins.instance().class_name_to_class[
            "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
        ]()
        self.here.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides, initial_job_idx: int):
        for number, overrides in enumerate(job_overrides):
            child = os.fork()
            if not child:
                self.here.launch([overrides], initial_job_idx + number)
                os._exit(0)
            os.waitpid(child, 0)
        return [JobReturn(status=JobStatus.COMPLETED) for _ in job_overrides]


@pytest.fixture
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    package = "hydra_plugins.fake"  # Hydra accepts no others
    plugins = Plugins.instance()  # scans for installed plugins before these exist
    module = ModuleType(package)
    monkeypatch.setitem(sys.modules, "hydra_plugins", ModuleType("hydra_plugins"))
    monkeypatch.setitem(sys.modules, package, module)
    for group, plugin in (("sweeper", Learner), ("launcher", Elsewhere)):
        plugin.__module__ = package
        setattr(module, plugin.__name__, plugin)
        plugins.register(plugin)
        node = {"_target_": f"{package}.{plugin.__name__}", **plugin.options}
        ConfigStore.instance().store(group=f"hydra/{group}", name="fake", node=node)


LEARN = ("hydra/sweeper=fake", "seed=interval(0,9)")


@pytest.mark.usefixtures("_plugins")
def test_a_sweeper_that_learns_gets_scores_and_failures(sweep) -> None:
    result = sweep(*LEARN, "hydra.sweeper.direction=maximize")
    failure = "seed=-1: must be at least 0"
    assert Learner.results == [failure, 0.0]
    assert [row[:2] for row in result.rows] == [["0", "0.00"], ["-1", "failed"]]
    assert result.err.endswith(f"\nerror: {failure}\n")
    assert result.code == 2


@pytest.mark.usefixtures("_plugins")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "hydra.sweeper.direction=minimize: would search for the worst bleu; add hydra.sweeper.dir"),
        ("training.metric=loss hydra.sweeper.direction=maximize", "hydra.sweeper.direction=maximize: "),
        (
            "training.metric=loss name=x",
            "name=x: more than one job of the sweep would use this run folder; make",
        ),
        (
            "training.metric=loss resume=runs/x",
            "resume=runs/x: more than one job of the sweep would use this run",
        ),
    ],
)
def test_what_no_sweeper_can_do_is_refused(arguments: str, message: str, sweep, tmp_path: Path) -> None:
    result = sweep(*LEARN, *arguments.split())
    assert result.err.startswith(f"error: {message}")
    assert (result.done, result.out, result.code) == ([], "", 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_plugins")
def test_jobs_in_other_processes_are_in_the_table(sweep, tmp_path: Path) -> None:
    behave = raising(DataError("not a corpus"), seed=2)
    result = sweep("hydra/launcher=fake", "seed=2,3", "device=cuda:77", behave=behave)
    assert result.done == []  # in this process
    assert [row[:2] for row in result.rows] == [["3", "3.00"], ["2", "failed"]]
    assert (result.err, result.code) == ("error: not a corpus\n", 2)
    (kept,) = tmp_path.glob("runs/sweep-*/1/result.json")
    assert json.loads(kept.read_text())["score"] == 3.0
