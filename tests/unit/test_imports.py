"""Allowed imports between packages, and that `--help` imports nothing slow."""

import ast
import importlib.util
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "nmt"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"errors", "config", "files", "cli", "device"}
ROOMS = {  # a folder or file in nmt/: which others it may import
    "errors": set(),
    "config": {"errors"},
    "files": {"errors"},
    "device": {"errors", "config"},
    "processes": {"errors"},
    "cli": {"errors", "files"},
    "data": BASE,
    "model": BASE,
    "visualisation": {"errors", "files"},
    "storage": BASE | {"data", "model"},
    "training": BASE | {"data", "model", "storage", "processes"},
    "decoding": BASE | {"data", "model", "storage"},
    "evaluation": BASE | {"data", "model", "storage", "decoding", "visualisation"},
    "summary": {"config", "data", "cli", "storage"},
    "resume": {"errors", "config", "files", "data", "storage"},
    "launch": BASE | {"data", "storage", "training", "resume"},
}
COMMANDS = {"train", "translate", "evaluate", "align"}
OTHERS = {file.stem for file in PACKAGE.glob("*.py")} - ROOMS.keys() - COMMANDS - {"__init__"}
"""Modules in nmt/ that may import all rooms but `launch`."""
HEAVY = ("torch", "hydra", "omegaconf", "numpy", "matplotlib", "sentencepiece", "sacrebleu", "tensorboard")
HELP_MODULES = 100  # what --help may import, beyond a bare interpreter; measured: 59 to 71


def module_name(file: Path) -> str:
    return ".".join(("nmt", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def is_module(name: str) -> bool:
    place = PACKAGE.joinpath(*name.split(".")[1:])
    return place.with_suffix(".py").is_file() or place.is_dir()


def imports(source: str, module: str) -> set[str]:
    """Our modules that a source file imports anywhere, including in functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, module.rpartition(".")[0])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if base.startswith("nmt") and is_module(full) else base)
    return {name for name in found if name.split(".")[0] == "nmt" and name != "nmt"}


def room(module: str) -> str:
    return module.split(".")[1]


def forbidden(module: str, imported: set[str]) -> list[str]:
    own = room(module)
    everything = ROOMS.keys() | OTHERS
    allowed = {own} | ROOMS.get(own, everything if own in COMMANDS else everything - {"launch"})
    return sorted(name for name in imported if room(name) not in allowed)


# ---------------------------------------------------------------- direction


def test_every_room_has_its_place_in_the_table() -> None:
    folders = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert folders <= ROOMS.keys(), "a new folder in nmt/: add to ROOMS what it may import"
    assert all((PACKAGE / f"{name}.py").is_file() for name in COMMANDS)


def test_the_table_has_no_way_back() -> None:
    order = list(TopologicalSorter(ROOMS).static_order())  # raises CycleError for a cycle
    assert order.index("data") < order.index("storage") < order.index("training")
    assert not {"data", "model"} & (ROOMS["data"] | ROOMS["model"])
    assert not {"decoding", "evaluation"} & ROOMS["training"]
    assert not [name for name, imported in ROOMS.items() if "launch" in imported]


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_go_one_way(file: Path) -> None:
    module = module_name(file)
    found = imports(file.read_text(encoding="utf-8"), module)
    if module == "nmt":
        assert not found, "importing the package must cost nothing"
    else:
        assert not forbidden(module, found)


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {
        module_name(file): imports(file.read_text(encoding="utf-8"), module_name(file)) for file in FILES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the circle


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*/__init__.py")), ids=module_name)
def test_folders_do_not_import_for_others(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("nmt.data.batches", "def f():\n    from nmt.model.encoder import Encoder", ["nmt.model.encoder"]),
        ("nmt.model.decoders.bridge", "import torch, nmt.data.text", ["nmt.data.text"]),
        ("nmt.model.decoders.bridge", "from ..data import text", ["nmt.data.text"]),
        ("nmt.model.decoders.bridge", "from .encoder import Encoder", []),
        ("nmt.training.loop", "from nmt import decoding", ["nmt.decoding"]),
        ("nmt.training.loop", "if True:\n    from nmt.evaluation import aer", ["nmt.alignment.aer"]),
        ("nmt.visualisation.heatmap", "from nmt.config.settings import Config", ["nmt.config.settings"]),
        ("nmt.evaluation.metrics", "from nmt import pipeline", ["nmt.runs.pipeline"]),
        ("nmt.runs.resume", "from nmt.training.loop import Trainer", ["nmt.training.loop"]),
        ("nmt.data.download", "from nmt import __version__", []),
        ("nmt.runs.pipeline", "from nmt.launch.main import with_config", ["nmt.launch.main"]),
        ("nmt.runs.resume", "from nmt.launch import sweep", ["nmt.launch.sweep"]),
        ("nmt.train", "from nmt.launch.main import with_config", []),
        ("nmt.launch.sweep", "from nmt.launch import results\nimport nmt.runs.pipeline", ["nmt.runs.pipeline"]),
        ("nmt.translate", "from nmt import cli, pipeline\nfrom nmt.decoding.search import search", []),
    ],
)  # fmt: skip
def test_this_test_sees_what_is_wrong(module: str, source: str, wrong: list[str]) -> None:
    assert forbidden(module, imports(source, module)) == wrong


# ---------------------------------------------------------------- start-up time

MAIN = 'if __name__ == "__main__":'
WATCH = f"""
import runpy, sys
name = sys.argv[1]
sys.argv = ["nmt." + name, "--help"]
bare = len(sys.modules)
try:
    runpy.run_module("nmt." + name, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print(len(sys.modules) - bare, *[module for module in {HEAVY!r} if module in sys.modules], file=sys.stderr)
"""
LIGHT = ["train", "translate", "evaluate", "align"]


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_every_command_is_here() -> None:
    assert sorted(LIGHT) == [
        file.stem for file in FILES if file.parent == PACKAGE and MAIN in file.read_text()
    ]


@pytest.mark.parametrize("command", LIGHT)
def test_help_answers_in_a_blink(command: str) -> None:
    """As it imports little: counted, as time depends on what else the machine does."""
    run = ask("-c", WATCH, command)
    assert run.returncode == 0
    assert run.stdout.startswith(f"usage: python -m nmt.{command} ")
    count, *heavy = run.stderr.split()
    assert not heavy
    assert int(count) < HELP_MODULES


@pytest.mark.parametrize("command", LIGHT)
def test_help_as_a_shell_runs_it(command: str) -> None:
    run = ask("-m", f"nmt.{command}", "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(f"usage: python -m nmt.{command} ")


def test_a_training_imports_what_draws_only_when_it_draws() -> None:
    """A second of every start and resume, also of those that log no pictures."""
    run = ask("-c", "import sys, nmt.runs.pipeline; print(*{'matplotlib', 'fontTools'} & sys.modules.keys())")
    assert (run.stdout, run.stderr) == ("\n", "")
