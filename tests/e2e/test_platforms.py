"""Training and translating without the modules, signals and links that only POSIX has."""

from pathlib import Path

import pytest
from console import Answer, command, lines_of
from inside import SHORT, STEPS

HIDDEN = ("fcntl", "resource", "termios", "pwd", "grp")
PROGRAM = f"""
import builtins, errno, importlib, os, pkgutil, runpy, signal, sys

real = builtins.__import__

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    ours = ((globals or {{}}).get("__package__") or "").split(".")[0] == "nmt"
    if ours and name.split(".")[0] in {HIDDEN!r}:
        raise ModuleNotFoundError(name)
    return real(name, globals, locals, fromlist, level)

def refused(*arguments, **options):
    raise OSError(errno.EPERM, "A required privilege is not held by the client")

builtins.__import__, os.symlink = guarded, refused
for owner, name in ((signal, "SIGHUP"), (signal, "SIGUSR1"), (os, "O_DIRECTORY"), (os, "fork")):
    if hasattr(owner, name):
        delattr(owner, name)
try:
    exec("import fcntl", {{"__package__": "nmt.data"}})
except ModuleNotFoundError:
    print("hidden", file=sys.stderr)

import nmt
for module in pkgutil.walk_packages(nmt.__path__, "nmt."):
    importlib.import_module(module.name)
del sys.modules["nmt.train"], sys.modules["nmt.translate"]
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def begun(folder: Path) -> Answer:
    return elsewhere("nmt.train", *SHORT, "name=run", folder=folder)


def elsewhere(*arguments: object, folder: Path) -> Answer:
    """`python -m` with these arguments, with everything POSIX-only removed."""
    (folder / "elsewhere.py").write_text(PROGRAM, encoding="utf-8")
    answer = command("elsewhere", *arguments, folder=folder)
    assert answer.err.startswith("hidden\n"), answer.err
    return answer._replace(err=answer.err.removeprefix("hidden\n"))


def test_training(folder, begun):
    assert begun.code == 0, begun.err
    latest = folder / "runs" / "latest"
    assert not latest.exists()
    assert f"warning: {Path('runs', 'latest')}: cannot be created" in begun.out
    assert {path.name for path in (folder / "runs").iterdir()} == {"run"}
    assert (folder / "runs" / "run" / "report.html").is_file()


@pytest.mark.slow
def test_translating_and_resuming_the_newest_run_without_a_link_to_it(folder, begun):
    assert begun.code == 0
    answer = elsewhere("nmt.translate", "The dog sees.", "She sings.", folder=folder)
    assert (answer.code, len(lines_of(answer.out))) == (0, 2), answer.err
    answer = elsewhere("nmt.train", "resume=runs/latest", f"training.max_steps={STEPS + 1}", folder=folder)
    assert answer.code == 0, answer.err
    assert f"resuming after step {STEPS} of {STEPS + 1}\n" in answer.out
