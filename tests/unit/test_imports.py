"""Allowed imports between packages, and that `--help` imports nothing slow."""

import ast
import functools
import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Set
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "nmt"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"allocator", "errors", "config", "files", "cli", "device"}
IMPORTS = {  # a package or module in nmt/: which others it may import
    "errors": set(),
    "allocator": set(),
    "config": {"errors"},
    "files": {"errors"},
    "device": {"errors", "config"},
    "cli": {"errors", "files"},
    "alignment": {"errors"},
    "data": BASE | {"alignment"},
    "model": BASE,
    "visualisation": {"errors", "files"},
    "training": BASE | {"data", "model"},
    "decoding": BASE | {"alignment", "data", "model"},
    "retrieval": BASE | {"data", "model"},
    "evaluation": BASE | {"alignment", "data", "decoding"},
    "onnx": BASE | {"data", "decoding"},
    "export": BASE | {"alignment", "data", "model", "decoding", "evaluation", "visualisation", "onnx"},
    "runs": BASE
    | {"alignment", "data", "model", "training", "decoding", "evaluation", "export", "visualisation", "onnx"}
    | {"retrieval"},
    "library": BASE | {"alignment", "data", "decoding", "evaluation", "export", "onnx", "runs"},
    "launch": BASE | {"data", "training", "runs"},
    "distillation": BASE | {"data", "model", "training", "decoding", "evaluation", "runs", "library"},
    "server": BASE | {"library", "visualisation"},
}
COMMANDS = {"train", "translate", "evaluate", "align", "serve", "datastore"}
HEAVY = ("torch", "hydra", "omegaconf", "numpy", "matplotlib", "sentencepiece", "sacrebleu", "tensorboard")
HELP_MODULES = 100  # what --help may import, beyond a bare interpreter; measured: 59 to 71


def module_name(file: Path) -> str:
    return ".".join(("nmt", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or path.is_dir()


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


@functools.cache
def imports_of(file: Path) -> frozenset[str]:
    """Our modules that a file of the package imports."""
    return frozenset(imports(file.read_text(encoding="utf-8"), module_name(file)))


def package_of(module: str) -> str:
    return module.split(".")[1]


def forbidden(module: str, imported: Set[str]) -> list[str]:
    own = package_of(module)
    command = own in COMMANDS or module.endswith(".__main__")
    allowed = {own} | (IMPORTS.keys() if command else IMPORTS[own])
    return sorted(name for name in imported if package_of(name) not in allowed)


# ---------------------------------------------------------------- direction


def test_every_package_is_in_the_table() -> None:
    folders = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert folders <= IMPORTS.keys(), "a new folder in nmt/: add to IMPORTS what it may import"
    assert all((PACKAGE / f"{name}.py").is_file() for name in COMMANDS)


def test_the_root_has_the_commands_and_what_they_share() -> None:
    root = {file.stem for file in PACKAGE.glob("*.py")}
    assert root == COMMANDS | {"__init__", "cli", "errors", "files", "device", "allocator"}


def test_no_two_modules_have_the_same_name() -> None:
    names = Counter(file.name for file in FILES if file.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_the_table_has_no_cycle() -> None:
    order = list(TopologicalSorter(IMPORTS).static_order())  # raises CycleError for a cycle
    assert order.index("data") < order.index("training") < order.index("runs")
    assert not {"data", "model"} & (IMPORTS["data"] | IMPORTS["model"])
    assert not {"decoding", "evaluation"} & IMPORTS["training"]
    assert not [name for name, imported in IMPORTS.items() if "launch" in imported]


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_go_one_way(file: Path) -> None:
    module = module_name(file)
    found = imports_of(file)
    if (
        module == "nmt"
    ):  # for types, and when they are first used: see test_importing_the_package_costs_nothing
        assert {package_of(name) for name in found} == {"library"}
    else:
        assert not forbidden(module, found)


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {module_name(file): imports_of(file) for file in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the circle


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*/**/__init__.py")), ids=module_name)
def test_folders_do_not_import_for_others(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("nmt.data.batches", "def f():\n    from nmt.model.cells import CELLS", ["nmt.model.cells"]),
        ("nmt.model.decoders.bridge", "import torch, nmt.data.text", ["nmt.data.text"]),
        ("nmt.model.decoders.bridge", "from ...data import text", ["nmt.data.text"]),
        ("nmt.model.decoders.bridge", "from .memory import Memory", []),
        ("nmt.training.trainer", "from nmt import decoding", ["nmt.decoding"]),
        ("nmt.training.trainer", "if True:\n    from nmt.alignment import aer", ["nmt.alignment.aer"]),
        ("nmt.visualisation.heatmap", "from nmt.config.settings import Config", ["nmt.config.settings"]),
        ("nmt.evaluation.metrics", "from nmt.runs import pipeline", ["nmt.runs.pipeline"]),
        ("nmt.training.step", "from nmt.runs.run import Run", ["nmt.runs.run"]),
        ("nmt.data.download", "from nmt import __version__", []),
        ("nmt.runs.pipeline", "from nmt.launch.main import with_config", ["nmt.launch.main"]),
        ("nmt.runs.resume", "from nmt.launch import sweep", ["nmt.launch.sweep"]),
        ("nmt.train", "from nmt.launch.main import with_config", []),
        ("nmt.launch.sweep", "from . import results\nimport nmt.export.writer", ["nmt.export.writer"]),
        ("nmt.translate", "from nmt import cli\nfrom nmt.decoding.search import beam_search", []),
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
LIGHT = ["train", "translate", "evaluate", "align", "serve", "export", "datastore"]


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_every_command_is_here() -> None:
    commands = [file for file in FILES if MAIN in file.read_text()]
    names = [file.parent.name if file.stem == "__main__" else file.stem for file in commands]
    assert sorted(LIGHT) == sorted(names)


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


def test_importing_the_package_costs_nothing() -> None:
    """The library is imported when it is first used."""
    program = "import sys, nmt; print(*[name for name in sys.modules if name.startswith('nmt.')], end=' ')"
    program += "; nmt.TranslationOptions; print('nmt.library.options' in sys.modules)"
    run = ask("-c", program)
    assert (run.stdout, run.stderr) == (" True\n", "")


def test_a_training_imports_what_draws_only_when_it_draws() -> None:
    """A second of every start and resume, also of those that log no pictures."""
    run = ask("-c", "import sys, nmt.runs.pipeline; print(*{'matplotlib', 'fontTools'} & sys.modules.keys())")
    assert (run.stdout, run.stderr) == ("\n", "")
