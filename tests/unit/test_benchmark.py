"""`scripts/benchmark.py`: what it counts, fits, compares and refuses; one small run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import TINY

from nmt import cli
from nmt.config.settings import Config
from nmt.data.batches import MicroBatches, collate
from nmt.errors import ConfigError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import benchmark  # noqa: E402
from timing import flops, machine, memory, report, scaling, statistics, workload  # noqa: E402
from timing.statistics import Measurement, Spread, spread  # noqa: E402

CPU = torch.device("cpu")
VOCABULARY = 30

# ---------------------------------------------------------------- floating-point operations


def test_the_operations_of_two_linear_layers():
    first, second = torch.nn.Linear(3, 5, bias=False), torch.nn.Linear(5, 2, bias=False)
    inputs = torch.randn(4, 3)
    forward = 2 * 4 * (3 * 5 + 5 * 2)
    assert flops.counted(lambda: second(first(inputs))) == forward
    weights, hidden = forward, 2 * 4 * 5 * 2  # the input needs no gradient
    assert flops.counted(lambda: second(first(inputs)).sum().backward()) == forward + weights + hidden


def by_hand(S: int, T: int) -> int:
    """The operations of an update of `TINY` (bidirectional GRU, additive attention) with one pair: each
    product of the equations once forward, and twice backward.
    """
    E, M, A, H, D, R, V = 7, 12, 9, 12, 6, 5, VOCABULARY
    encoder = S * 2 * 3 * (M // 2) * (E + M // 2)  # both directions; three gates
    memory = S * M * A  # keys
    bridge = M * H
    step = H * A + 3 * H * (D + H + M) + S * M  # query; gates; the average
    readout = 2 * R * (H + D + M) + R * V  # maxout of pairs; logits
    return 3 * 2 * (encoder + memory + bridge + T * (step + readout))


@pytest.fixture(scope="module")
def counted():
    found = flops.update_flops(Config(model=TINY), VOCABULARY)
    assert found is not None
    return found


def batch_of(*lengths: tuple[int, int]) -> MicroBatches:
    """Pairs with these numbers of source and target tokens, end-of-sentence included."""
    sources, targets = (
        [[4 + i % 20 for i in range(n - 1)] for n in side] for side in zip(*lengths, strict=True)
    )
    batch = collate(sources, targets)
    return MicroBatches([batch], batch.tokens)


@pytest.mark.parametrize("lengths", [(5, 5), (11, 4), (4, 13), (20, 20)])
def test_the_operations_of_the_gru_model_by_hand(counted, lengths):
    """Within 3 %: the first step of a recurrent layer needs no gradient of its state."""
    assert counted(batch_of(lengths).batches[0]) == pytest.approx(by_hand(*lengths), rel=0.03)


@pytest.mark.parametrize("model", ["bahdanau", "luong", "transformer"])
def test_the_operations_of_lengths_that_were_not_fitted(model):
    config = workload.compose(model, True, "training.precision=fp32")
    pair = batch_of((9, 4))
    update = workload.Updates(config, CPU, VOCABULARY)
    exact = flops.counted(lambda: update(pair))
    assert flops.update_flops(config, VOCABULARY)(pair.batches[0]) == pytest.approx(exact, rel=1e-9)


def test_padding_is_not_counted(counted):
    together = counted(batch_of((3, 9), (12, 2)).batches[0])
    apart = [counted(batch_of(one).batches[0]) for one in ((3, 9), (12, 2))]
    assert together == pytest.approx(sum(apart))
    update = workload.Updates(Config(model=TINY), CPU, VOCABULARY)
    assert flops.counted(lambda: update(batch_of((3, 9), (12, 2)))) > 1.05 * together


def test_a_model_whose_operations_are_no_polynomial_has_no_utilisation(monkeypatch):
    operations = iter([1, 10, 100, 1000, 1, 10, 100])
    monkeypatch.setattr(flops, "counted", lambda work: next(operations))
    assert flops.update_flops(Config(model=TINY), VOCABULARY) is None


def test_the_rate_is_the_best_so_far(monkeypatch):
    clock = iter([0.0, 2.0, 10.0, 10.5, 20.0, 21.0])
    monkeypatch.setattr(flops.time, "perf_counter", lambda: next(clock))
    rate = flops.MatrixRate(CPU, torch.float32, [10])
    rates = []
    for _ in range(3):
        rate.measure()
        rates.append(rate.best)
    assert rates == [1000, 4000, 4000]


# ---------------------------------------------------------------- repetitions


def test_median_and_quartiles():
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def test_works_take_turns_in_both_orders():
    calls: list[str] = []
    works = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = statistics.interleaved(works, 3, CPU)
    assert "".join(calls) == "cba" + "abc" + "cba" + "abc"
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_threads_are_set_for_the_work_only():
    before, inside = torch.get_num_threads(), []
    statistics.with_threads(before + 1, lambda: inside.append(torch.get_num_threads()))()
    assert (inside, torch.get_num_threads()) == ([before + 1], before)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.3])
def test_the_exponent_of_a_power_law(power):
    sizes = (8, 16, 32, 64)
    assert statistics.exponent(sizes, [3e-4 * size**power for size in sizes]) == pytest.approx(power)


def test_the_exponent_is_the_least_squares_one():
    sizes, seconds = (1, 10, 100), (1.0, 10.0, 1000.0)  # logarithms 0, 1, 3 over 0, 1, 2
    assert statistics.exponent(sizes, seconds) == pytest.approx(1.5)


def test_an_exponent_of_each_repetition():
    found = scaling.fitted({"against": "length"}, (2, 8), {2: [1.0, 1.0, 1.0], 8: [4.0, 16.0, 4.0]})
    assert found.key == {"against": "length", "from": 2, "to": 8}
    assert found.figures[scaling.EXPONENT] == Spread(*map(pytest.approx, (1.0, 1.0, 1.5)), 3)
    assert found.figures[scaling.LAST].median == 4.0


# ---------------------------------------------------------------- work


def test_updates_are_the_same_and_of_all_lengths():
    first, again = (memory.updates(640, False) for _ in range(2))
    widths = [update.batches[0].target.shape[1] for update in first]
    assert widths == sorted(widths)
    assert widths[0] < 10 < 25 < widths[-1]
    pairs = zip(first, again, strict=True)
    assert all(torch.equal(one.batches[0].source, other.batches[0].source) for one, other in pairs)


@pytest.mark.parametrize("beam", [1, 5])
def test_a_translation_has_its_maximum_length(monkeypatch, beam):
    config = Config(model=TINY)
    torch.manual_seed(1)
    model = workload.new_model(config, CPU).eval()
    model.vocabulary.bias.data[workload.EOS] += 50
    found = []
    search = workload.beam_search
    monkeypatch.setattr(
        workload, "beam_search", lambda *given, **named: found.extend(search(*given, **named))
    )
    workload.search_batch(model, [[5, 6, 7], [8]], beam, 1.0)
    assert [len(best[0].tokens) for best in found] == [6, 4]
    assert not any(best[0].finished for best in found)


# ---------------------------------------------------------------- a busy machine

STAT = "cpu  {busy} 0 0 {idle} 5 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n"
PROCESS = "{number} (a (strange) name) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 5 0 0 20 0 1 0 0 0 0\n"


@pytest.fixture
def proc(monkeypatch, tmp_path):
    """A /proc with two processes, of which one works: for half of the time, or as given."""
    ticks = machine.os.sysconf("SC_CLK_TCK")

    def write(busy: int, number: int, own: int) -> None:
        (tmp_path / "stat").write_text(STAT.format(busy=busy, idle=1000))
        for process, count in ((number, own), (78, 40)):
            (tmp_path / str(process)).mkdir(exist_ok=True)
            text = PROCESS.format(number=process, ticks=count)
            (tmp_path / str(process) / "stat").write_text(text)
        (tmp_path / "77" / "cmdline").write_bytes(b"/usr/bin/python\0-m\0nmt.train\0")

    def use(cores: float) -> None:
        write(500, 77, 100)
        monkeypatch.setattr(machine, "PROC", tmp_path)
        spent = round(cores * ticks)
        monkeypatch.setattr(machine.time, "sleep", lambda seconds: write(500 + spent, 77, 100 + spent))

    return use


def test_other_processes_are_named(proc):
    proc(0.5)
    load = machine.load()
    assert load == machine.Load(0.5, ("python -m nmt.train (process 77) 50%",))
    assert load.busy
    message = r"^other processes use 0\.5 cores: python -m nmt\.train \(process 77\) 50%; wait until"
    with pytest.raises(ConfigError, match=message):
        benchmark.refuse_busy(load, allowed=False)


def test_a_busy_machine_can_be_accepted(proc, capsys):
    proc(0.5)
    load = machine.load()
    assert benchmark.refuse_busy(load, allowed=True) is load
    assert capsys.readouterr().err.startswith("warning: other processes use 0.5 cores: python -m nmt.train")


def test_a_quiet_machine(proc, capsys):
    proc(0.1)
    load = machine.load()
    assert benchmark.refuse_busy(load, allowed=False) is load
    assert benchmark.refuse_busy(None, allowed=False) is None
    assert capsys.readouterr().err == ""


def test_without_proc_it_is_the_load_average(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    assert machine.load() == machine.Load(1.5)
    assert str(machine.load()) == "other processes use 1.5 cores"
    monkeypatch.delattr(machine.os, "getloadavg")
    assert machine.load() is None


# ---------------------------------------------------------------- comparison


def measured(model: str, threads: int, **figures: float) -> Measurement:
    return Measurement(
        "training",
        {"model": model, "threads": threads},
        {name: spread([value]) for name, value in figures.items()},
    )


def test_ratios_are_matched_by_all_conditions():
    now = [measured("luong", 1, speed=30.0, ms=2.0, busy=1.0), measured("luong", 2, speed=50.0)]
    then = [measured("bahdanau", 1, speed=1.0), measured("luong", 1, ms=4.0, speed=20.0, busy=0.0)]
    found = report.ratios(now, then)
    conditions = '{"model": "luong", "threads": 1}'
    assert found == {("training", conditions, "speed"): 1.5, ("training", conditions, "ms"): 0.5}
    lines = report.table(now, found).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["1.500", "0.500", "–", "–"]
    assert lines[0].endswith("now / then")


def test_the_order_of_conditions_does_not_matter():
    now = Measurement("search", {"beam": 5, "batch": 1}, {"speed": spread([2.0])})
    then = Measurement("search", {"batch": 1, "beam": 5}, {"speed": spread([4.0])})
    assert list(report.ratios([now], [then]).values()) == [0.5]


def test_another_machine_is_noted():
    now, then = {"cpu": "A", "torch": "2.10", "date": "today"}, {"cpu": "B", "torch": "2.10", "date": "then"}
    assert report.differences(now, then) == ["note: not the same cpu: B then, A now"]
    assert report.differences(now, now | {"date": "then"}) == []


def test_the_table():
    rows = [
        Measurement(
            "training", {"model": "luong", "batch": 4096}, {"tokens/s": Spread(1234.5, 9.876, 0.05, 7)}
        )
    ]
    head, line = report.table(rows).splitlines()
    assert head.split() == ["measurement", "figure", "median", "quartiles", "n"]
    assert " ".join(line.split()) == "training: luong, batch 4,096 tokens/s 1,234 9.88 – 0.05 7"


BROKEN = {"not JSON": "{", "a list": "[]", "no format": "{}", "no machine": '{"format": 1}'}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_another_file_to_compare_with(tmp_path, content):
    (tmp_path / "it.json").write_text(content)
    with pytest.raises(ConfigError, match=r"it\.json: not written by scripts/benchmark\.py$"):
        report.read(tmp_path / "it.json", small=False)


def test_another_format_to_compare_with(tmp_path):
    (tmp_path / "it.json").write_text('{"format": 2}')
    with pytest.raises(ConfigError, match="written by another version"):
        report.read(tmp_path / "it.json", small=False)


@pytest.mark.parametrize(("small", "message"), [(False, "with"), (True, "without")])
def test_small_models_are_not_compared_with_others(tmp_path, small, message):
    content = report.to_json({}, {"small": not small}, [None, None], [measured("luong", 1, speed=1.0)])
    (tmp_path / "it.json").write_text(json.dumps(content))
    assert report.read(tmp_path / "it.json", not small) == content
    with pytest.raises(ConfigError, match=f"measured {message} --small"):
        report.read(tmp_path / "it.json", small)


# ---------------------------------------------------------------- command line


def call(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run the script in this process."""
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments])
    code = 0
    try:
        cli.run(benchmark.main)
    except SystemExit as left:
        code = int(left.code or 0)
    return code, *capsys.readouterr()


MISTAKES = {
    "--only training,speed": "--only 'speed': choose from training, search",
    "--models nothing": "--models nothing: no such file in configs/model",
    "--threads 0": "--threads 0: must be at least 1",
    "--threads 1 9999": "--threads 9999: this machine has ",
    "--batch-tokens 640 -1": "--batch-tokens -1: must be at least 1",
    "--repetitions 0": "--repetitions 0: must be at least 1",
    "--precision fp32 int8": "--precision 'int8': choose from fp32, bf16, fp16",
    "--precision fp16 --device cpu": "training.precision=fp16: only supported on CUDA",
    "--device tpu": "device=tpu: no such device",
    "--compare missing.json": "missing.json: No such file",
    "--output .": "--output .: is a folder",
    "--nothing": "unrecognized arguments: --nothing",
    "--threads x": "argument --threads: invalid int value: 'x'",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_mistakes(monkeypatch, capsys, arguments):
    code, out, err = call(monkeypatch, capsys, *arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {MISTAKES[arguments]}")
    assert err.count("\n") == 1


def test_a_busy_machine_is_refused_before_any_work(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "load", lambda: machine.Load(1.0, ("make (process 5) 100%",)))
    code, out, err = call(monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("error: other processes use 1.0 cores: make (process 5) 100%; wait")
    assert not list(tmp_path.iterdir())


def test_help_imports_nothing_heavy():
    program = "import runpy, sys; sys.argv = ['benchmark.py', '--help']\n"
    program += f"sys.path.insert(0, {str(SCRIPTS)!r})\n"
    program += f"try: runpy.run_path({str(SCRIPTS / 'benchmark.py')!r}, run_name='__main__')\n"
    program += "except SystemExit as left: assert not left.code\n"
    program += "assert not {'torch', 'hydra', 'omegaconf', 'numpy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python scripts/benchmark.py ")


FIGURES = {
    "matrix product": {"GFLOP/s, best"},
    "training": {"target tokens/s", "ms per update", "FLOP utilisation", "peak memory, MiB"},
    "search": {"sentences/s"},
    "startup": {"s, nmt.translate", "s, import torch", "nmt.translate / import torch"},
    "preparation": {"pairs/s read, cleaned and split", "pairs/s tokenised"},
    "scaling": {"exponent", "s, smallest", "s, largest"},
}


@pytest.mark.slow
def test_a_small_run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "load", lambda: None)
    arguments = ("--small", "--device", "cpu", "--precision", "fp32", "--threads", "1")
    code, out, err = call(monkeypatch, capsys, *arguments)
    assert code == 0, err
    content = json.loads((tmp_path / "runs" / "benchmark.json").read_text(encoding="utf-8"))
    assert content.keys() == {"format", "machine", "settings", "busy_cores", "measurements"}
    assert content["machine"]["torch"] == torch.__version__
    assert content["settings"]["models"] == ["bahdanau"]
    found = report.measurements(content)
    assert len({(one.kind, json.dumps(one.key)) for one in found}) == len(found) == 1 + 1 + 4 + 1 + 1 + 4
    for one in found:
        assert one.figures.keys() == FIGURES[one.kind]
        for name, figure in one.figures.items():
            assert figure.lower <= figure.median <= figure.upper
            assert name == "exponent" or figure.lower > 0
            assert name in out
    utilisation = next(one for one in found if one.kind == "training").figures["FLOP utilisation"]
    assert 0 < utilisation.median < 1
    assert {one.kind for one in found} == FIGURES.keys()
    arguments = ("--only", "preparation", "--compare", "runs/benchmark.json", "--output", "again.json")
    code, out, err = call(monkeypatch, capsys, "--small", "--device", "cpu", *arguments)
    assert code == 0, err
    lines = [line for line in out.splitlines() if "pairs/s" in line]
    assert len(lines) == 2
    assert all(0.01 < float(line.split()[-1]) < 100 for line in lines)
    assert "note:" not in out
