"""`scripts/check_gpu.py`: which checks it runs, their criteria, and its output; without a GPU."""

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nmt.config.settings import Config
from nmt.library.translated import Translation

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import check_gpu  # noqa: E402
import gpu_speed  # noqa: E402
from gpu_check import commands, results, trainings  # noqa: E402
from gpu_check.commands import Bench, FailedError, SkippedError  # noqa: E402
from timing import clock  # noqa: E402


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, "auto", steps=8, threads=1)


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The script in a subprocess, without the package on Python's path."""
    return subprocess.run(
        [sys.executable, SCRIPTS / "check_gpu.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | variables,
    )


# ---------------------------------------------------------------- end to end


def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    answer = run(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: nothing to check: PyTorch ")
    assert answer.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_its_checks_pass_on_a_cpu(tmp_path):
    answer = run(tmp_path, "--device", "cpu", "--output", "found.json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    report = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert report["passed"]
    checks = {row["check"]: row for row in report["checks"]}
    assert checks["same command twice, bahdanau"]["found"] == "identical weights"
    assert checks["stop and resume, bahdanau"]["found"].endswith("of 40; identical weights")
    assert checks["torchrun, bahdanau"]["found"] == "one process, gloo; identical weights"
    assert checks["translate, bahdanau"]["found"].startswith("324 of 324 translations identical")
    assert [row["result"] for row in checks.values()].count("skipped") == 1  # the tests that need CUDA
    assert [(speed["work"], speed["batch"]) for speed in report["speeds"]] == [
        ("training", 128),
        ("training", 256),
        ("plain", 128),
        ("beam 5", 4096),
    ]
    assert all(row["check"] in answer.stdout for row in report["checks"])


def test_every_check_is_there_after_those_it_needs(bench):
    stages = [[name for name, _ in checks] for checks, _ in check_gpu.stages(bench, check_gpu.MODELS)]
    names = [name for stage in stages for name in stage]
    works = (
        "same command twice",
        "stop and resume",
        "translate",
        "evaluate",
        "align",
        "captured is plain",
        "speed",
    )
    models = ("bahdanau", "luong", "transformer")
    assert sorted(names) == sorted(
        [f"train {model}, {precision}" for model in models for precision in ("fp32", "bf16", "fp16")]
        + [f"{work}, {model}" for work in works for model in models]
        + ["torchrun, bahdanau", "tests that need CUDA"]
    )
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage}
    for model in models:
        exact, twice = stage_of[f"train {model}, fp32"], stage_of[f"same command twice, {model}"]
        assert exact < twice < stage_of[f"stop and resume, {model}"]
        assert exact < stage_of[f"translate, {model}"]
        assert exact < stage_of[f"train {model}, bf16"]
    assert stages[-1] == [f"speed, {model}" for model in models]


# ---------------------------------------------------------------- commands


def test_a_command_that_fails_shows_what_it_said(bench):
    arguments = ("-c", "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)")
    row = check_gpu.run_check("it", lambda: commands.python(bench, *arguments))
    assert (row.result, row.found, row.output) == ("failed", "exit status 3", ("one", "two"))
    assert check_gpu.row_text(row).splitlines()[1:] == ["    | one", "    | two"]


def test_a_command_that_hangs_is_ended(bench):
    arguments = ("-c", "import time; print('begun', flush=True); time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(FailedError, match=r"not finished after 2 s") as failure:
        commands.python(bench, *arguments, seconds=2)
    assert failure.value.output == "begun\n"
    assert time.monotonic() - started < 30


def test_commands_use_this_checkout_and_the_variables_given(bench):
    arguments = ("-c", "import nmt, os; print(nmt.__file__, os.environ['NCCL_DEBUG'], sep='\\n')")
    output = commands.python(bench, *arguments, NCCL_DEBUG="INFO")
    assert output.splitlines() == [str(SCRIPTS.parent / "nmt" / "__init__.py"), "INFO"]


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        ("fine", ("ok", "fine")),
        (SkippedError("no pytest"), ("skipped", "no pytest")),
        (FailedError("differs"), ("failed", "differs")),
        (KeyError("scores"), ("failed", "KeyError: 'scores'")),
    ],
)
def test_whatever_happens_in_a_check_is_its_result(outcome, result):
    def check() -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    row = check_gpu.run_check("it", check)
    assert (row.result, row.found) == result


def test_a_failed_check_stops_no_other():
    def fail() -> str:
        raise FailedError("broken")

    checks = [("one", fail), ("two", lambda: "fine")]
    rows = list(check_gpu.run_stage(checks, 2))
    assert [(row.check, row.result) for row in rows] == [("one", "failed"), ("two", "ok")]


# ---------------------------------------------------------------- criteria


def save_run(bench: Bench, name: str, value: float) -> Path:
    """A finished run whose weights are two numbers."""
    folder = bench.run(name) / "checkpoints" / "last"
    folder.mkdir(parents=True)
    save_file({"weight": torch.tensor([1.0, value])}, folder / "model.safetensors")
    report = {"validations": [{"loss": value}]}
    (bench.run(name) / "training.json").write_text(json.dumps(report), encoding="utf-8")
    return bench.run(name)


@pytest.mark.parametrize(
    ("value", "usual", "verdict"),
    [
        (2.0, 0.0, "identical weights"),
        (
            2.5,
            0.03,
            "5.0e-01 (weight), those of two runs of the same command by up to 3.0e-02; last losses",
        ),
        (2.5, 0.02, None),
        (2.5, 0.0, None),
    ],
)
def test_a_resumed_training_may_be_as_far_as_two_equal_ones(bench, value, usual, verdict):
    uninterrupted = save_run(bench, "uninterrupted", 2.0)
    save_run(bench, "other", value)
    bench.apart["luong"] = usual
    if verdict is None:
        with pytest.raises(FailedError, match=r"differ by up to 5\.0e-01"):
            trainings.compared(bench, "luong", uninterrupted, "other")
    else:
        assert verdict in trainings.compared(bench, "luong", uninterrupted, "other")


def test_what_needs_a_training_that_failed_is_skipped(bench):
    with pytest.raises(SkippedError, match="needs the training run luong-fp32, which failed"):
        results.translate(bench, "luong")
    save_run(bench, "luong-fp32", 2.0)
    save_run(bench, "other", 2.0)
    with pytest.raises(SkippedError, match="the second failed"):
        trainings.compared(bench, "luong", bench.run("luong-fp32"), "other")


def training_that_prints(monkeypatch, bench: Bench, name: str, text: str, *losses: float) -> None:
    """Fake a training run with this output and these losses."""

    def python(*arguments: object, **options: object) -> str:
        report = {"validations": [{"loss": loss} for loss in losses], "skipped": 1}
        bench.run(name).mkdir(parents=True, exist_ok=True)
        (bench.run(name) / "training.json").write_text(json.dumps(report), encoding="utf-8")
        return text

    monkeypatch.setattr(trainings, "python", python)


@pytest.mark.parametrize(
    ("device", "losses", "verdict"),
    [
        ("cuda:0", (5.0, 3.0), None),
        ("cpu", (5.0, 3.0), "did not train on the requested device"),
        ("cuda:0", (5.0, 5.0), "does not decrease"),
        ("cuda:0", (5.0, float("nan")), "does not decrease"),
        ("cuda:0", (5.0, 4.5), "but 3.10 in fp32"),
    ],
)
def test_a_training_is_judged_by_its_device_and_losses(monkeypatch, bench, device, losses, verdict):
    training_that_prints(monkeypatch, bench, "luong-fp32", "parameters, on cuda:0 in torch.float32", 5.0, 3.1)
    trainings.train(bench, "luong", "fp32")
    said = f"model: 7 parameters, on {device} in torch.float16\n"
    training_that_prints(monkeypatch, bench, "luong-fp16", said, *losses)
    if verdict is None:
        found = trainings.train(bench, "luong", "fp16")
        assert found == "on cuda:0 in float16, loss 5.00 → 3.00, 1 updates skipped"
    else:
        with pytest.raises(FailedError, match=verdict):
            trainings.train(bench, "luong", "fp16")


NCCL = """NCCL version 2.27.5+cuda13.0
host:1:2 [0] NCCL INFO ncclCommInitRankConfig comm 0x5 rank 0 nranks 1 cudaDev 0 - Init COMPLETE
"""


def test_torchrun_must_have_used_nccl(monkeypatch, bench):
    save_run(bench, "luong-fp32", 3.0)  # with CUDA graphs, which are not used under torchrun
    for name in ("luong-plain", "luong-torchrun"):
        save_run(bench, name, 2.0)
    bench.apart["luong"] = 0.0
    monkeypatch.setattr(trainings, "python", lambda *arguments, **variables: NCCL)
    assert trainings.torchrun(bench, "luong") == "one process, NCCL 2.27.5+cuda13.0; identical weights"
    monkeypatch.setattr(trainings, "python", lambda *arguments, **variables: "NCCL version 2.27.5")
    with pytest.raises(FailedError, match="NCCL was not used"):
        trainings.torchrun(bench, "luong")


@pytest.mark.parametrize(
    ("graphs", "apart", "verdict"),
    [(7, 2e-5, None), (7, 2e-4, "differ by up to"), (7, float("nan"), "differ"), (0, 0.0, "0 graphs")],
)
def test_captured_updates_must_have_been_captured_and_agree(monkeypatch, bench, graphs, apart, verdict):
    def python(*arguments: object, **options: object) -> str:
        found = {"updates": 100, "graphs": graphs, "apart": apart, "padding_apart": 3e-4}
        (bench.folder / "luong-captured.json").write_text(json.dumps(found), encoding="utf-8")
        return ""

    monkeypatch.setattr(trainings, "python", python)
    if verdict is None:
        expected = "100 updates, 7 graphs, losses differ by up to 2.0e-05, from unpadded ones by 3.0e-04"
        assert trainings.captured(bench, "luong") == expected
    else:
        with pytest.raises(FailedError, match=verdict):
            trainings.captured(bench, "luong")


def translated(text: str, score: float) -> dict:
    """An object of `nmt.translate --json`."""
    return Translation(source="s", text=text, score=score, log_probability=score).to_dict()


def test_agreement_counts_translations_and_compares_scores():
    ours = [translated("a", -1.0), translated("b", -2.0)]
    theirs = [translated("a", -1.25), translated("c", -2.0)]
    assert results.agreement(ours, theirs) == (1, 0.25)


@pytest.mark.parametrize(
    ("other", "largest"),
    [
        ([[[0.5, 0.5]], [[1.0]]], 0.0),
        ([[[0.25, 0.75]], [[1.0]]], 0.25),
        ([[[0.5, 0.5]]], float("inf")),
        ([[[0.5, 0.5]], [[0.5, 0.5]]], float("inf")),
    ],
)
def test_the_largest_difference_between_matrices(other, largest):
    assert results.farthest([[[0.5, 0.5]], [[1.0]]], other) == largest


# ---------------------------------------------------------------- measuring


def test_busy_time_counts_overlapping_kernels_once():
    events = [
        {"cat": "kernel", "ts": 100.0, "dur": 10.0},
        {"cat": "kernel", "ts": 105.0, "dur": 10.0},  # on another stream
        {"cat": "kernel", "ts": 106.0, "dur": 1.0},  # within the previous one
        {"cat": "gpu_memcpy", "ts": 200.0, "dur": 5.0},
        {"cat": "cuda_runtime", "ts": 0.0, "dur": 1000.0},
        {"cat": "gpu_user_annotation", "ts": 0.0, "dur": 1000.0},
        {"name": "process_name"},
    ]
    seconds, kernels = clock.gpu_time(events)
    assert seconds == pytest.approx(20e-6)
    assert kernels == 3


def test_work_is_repeated_for_its_time_and_often_enough():
    total, count, seconds = clock.repeated(lambda: 3, torch.device("cpu"), 0.05, at_least=2)
    assert total == 3 * count
    assert count > 2
    assert seconds >= 0.05
    assert clock.repeated(lambda: 3, torch.device("cpu"), 0.0, at_least=4)[:2] == (12, 4)


def test_operations_without_a_deterministic_kernel_are_named(monkeypatch):
    def update(batch: object) -> None:
        for _ in range(2):
            torch.zeros(3).put_(torch.tensor([1]), torch.tensor([2.0]))  # not deterministic on any device
        warnings.warn("something else", UserWarning, stacklevel=1)

    monkeypatch.setattr(gpu_speed, "Updates", lambda *arguments: update)
    named = gpu_speed.nondeterministic(Config(), torch.device("cpu"))
    assert named == ["put_ does not have a deterministic implementation"]
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_table_of_speeds():
    speed = {"model": "luong", "precision": "bfloat16", "milliseconds": 12.34}
    rows = [
        speed
        | {
            "work": "training",
            "batch": 16384,
            "per_second": 123456.7,
            "busy": 0.456,
            "kernels": 1234.5,
            "graphs": 9,
        },
        speed
        | {
            "work": "beam 5",
            "batch": 4096,
            "per_second": 78.9,
            "busy": None,
            "kernels": None,
            "graphs": None,
        },
    ]
    head, training, search = check_gpu.speed_table(rows).splitlines()
    assert (
        " ".join(training.split())
        == "luong training 16,384 bfloat16 123,457 tokens/s 12.3 ms/update 46 % 1,234 9"
    )
    assert " ".join(search.split()) == "luong beam 5 4,096 bfloat16 79 sentences/s 12.3 ms/step – – –"
    assert len(head) == len(training) == len(search)
