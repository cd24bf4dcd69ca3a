"""What all commands share, in a subprocess."""

import json
import os
import runpy
import subprocess
import sys

import pytest

from nmt import cli, serve
from nmt.cli import command, option

SAID = """
import os, sys
from nmt import cli
names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
cli.run(lambda: print(*map(os.environ.get, names), *sys.modules), spinning={})
"""
SPINNING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")


@pytest.mark.parametrize(
    ("spinning", "given", "expected"),
    [
        (True, {}, ["1000", "None"]),
        (False, {}, ["None", "passive"]),
        (True, {"GOMP_SPINCOUNT": "7"}, ["7", "None"]),
        (True, {"OMP_WAIT_POLICY": "active"}, ["None", "active"]),
        (False, {"KMP_BLOCKTIME": "1"}, ["None", "None"]),
    ],
)
def test_threads_that_wait_leave_the_cores_to_others(spinning, given, expected):
    environment = {key: value for key, value in os.environ.items() if key not in SPINNING}
    done = subprocess.run(
        [sys.executable, "-c", SAID.format(spinning)],
        env=environment | given,
        capture_output=True,
        text=True,
        check=True,
    )
    *found, modules = done.stdout.split(maxsplit=2)
    assert found == expected
    assert "nmt.errors" in modules.split()
    assert "torch" not in modules.split()  # torch reads them when it is loaded


def test_threads_of_a_server_do_not_spin(monkeypatch):
    given = []
    monkeypatch.setattr(cli, "run", lambda main, **options: given.append(options))
    runpy.run_path(str(serve.__file__), run_name="__main__")
    assert given == [{"spinning": False}]


# ---------------------------------------------------------------- errors


def ended(program: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command whose `main` is this program."""
    lines = "".join(f"    {line}\n" for line in program.splitlines())
    code = f"import errno, os, sys\nfrom nmt import cli, errors\ndef main():\n{lines}cli.run(main)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("{}['mine']", "internal error: KeyError: 'mine'"),
        ("raise OSError('mine')", "internal error: OSError: mine"),  # without errno
        ("import io; io.BytesIO().fileno()", "internal error: UnsupportedOperation: fileno"),
        ("raise RuntimeError('mine\\nand more')", "internal error: RuntimeError: mine"),
        ("raise AssertionError", "internal error: AssertionError: "),
        ("import nmt.none", "internal error: ModuleNotFoundError: No module named 'nmt.none'"),
    ],
)
def test_our_mistakes_come_with_their_traceback(program, line):
    code, out, err = ended(program)
    assert (code, out) == (1, "")
    first, *rest, last = err.splitlines()
    assert (first, last) == ("Traceback (most recent call last):", line)
    assert any(", in main" in one for one in rest)


@pytest.mark.parametrize(
    ("program", "code", "line"),
    [
        ("raise errors.DataError('is empty', 'a.txt', 3)", 2, "error: a.txt, line 3: is empty"),
        ("raise errors.ConfigError('one\\n  two')", 2, "error: one two"),
        ("raise errors.StoppedError('stopped', 15)", 143, "stopped"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
        ("raise OSError(errno.ENOSPC, 'Full', 'a')", 2, "error: a: Full; free some space"),
        (
            "import no_such_package.x",
            2,
            "error: the Python package no_such_package is not installed; install it with pip",
        ),
        ("open('/nothing/there')", 2, "error: /nothing/there: No such file or directory; fix that"),
    ],
)
def test_other_errors_are_one_line(program, code, line):
    assert ended(program) == (code, "", f"{line}\n")
    found, _, err = ended(program, NMT_TRACEBACK="1")
    assert found == code
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith(f"\n{line}\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1:strict"])
def test_what_the_terminal_cannot_show_is_escaped(encoding):
    code, out, err = ended(
        "print('मराठी → \\udcff'); raise errors.DataError('नाही')", PYTHONIOENCODING=encoding
    )
    assert code == 2
    assert out == f"{'मराठी → '.encode('ascii', 'backslashreplace').decode()}\\udcff\n"
    assert err == f"error: {'नाही'.encode('ascii', 'backslashreplace').decode()}\n"


# ---------------------------------------------------------------- arguments


def test_a_leading_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    from nmt import align, evaluate, translate

    expanded = {
        translate: ("--run=~/x", "--input=~/x", "--output=~/x", "--attention=~/x"),
        align: ("--run=~/x", "--source=~/x", "--target=~/x", "--gold=~/x", "--reverse=~/x", "--output=~/x"),
        evaluate: ("--run=~/x", "--source=~/x", "--output=~/x", "--reference=~/x"),
    }
    for module, arguments in expanded.items():
        values = vars(module.parser().parse_args(arguments))
        for argument in arguments:
            name = argument.removeprefix("--").partition("=")[0]
            assert values[name] in ("/home/me/x", ["/home/me/x"]), argument
    given = evaluate.parser().parse_args(["--reference", "~/a", "b~", "--run", "~"])
    assert (given.reference, given.run) == (["/home/me/a", "b~"], ["/home/me"])
    assert translate.parser().parse_args(["--input", "-", "~/text"]).input == "-"
    assert translate.parser().parse_args(["~/text"]).text == ["~/text"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["-Hello"], "-- -Hello"),
        (["-x"], "-- -x"),
        (["Hello", "--no", "-a=b c"], "-- --no '-a=b c'"),
        (["--run", "x", "-Hello"], "-- -Hello"),
    ],
)
def test_a_text_that_begins_with_a_hyphen(capsys, arguments, hint):
    from nmt import translate

    with pytest.raises(SystemExit) as left:
        translate.parser().parse_args(arguments)
    assert left.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("python -m nmt.translate: error: ")
    assert last.endswith(f'put text that starts with "-" after --: python -m nmt.translate {hint}')
    assert translate.parser().parse_args(["--", *arguments]).text == arguments


def test_other_mistakes_are_not_about_texts(capsys):
    from nmt import translate

    with pytest.raises(SystemExit):
        translate.parser().parse_args(["--nbest", "many", "text"])
    assert "comes after" not in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--grid", "--sheet"])  # the second is its old name
def test_one_image_of_all_sentences(flag):
    from nmt import translate

    assert translate.parser().parse_args([flag, "text"]).grid
    assert not translate.parser().parse_args(["text"]).grid
    assert "--sheet" not in translate.parser().format_help()


# ---------------------------------------------------------------- printed commands


ARGUMENTS = [
    "My Drive",
    "it's",
    "$HOME",
    "`x`",
    "a\\b",
    "मराठी",
    "(1)",
    "*",
    "-x",
    "",
    'a"b',
    "a\nb",
    "~",
    "!",
    "a;b",
]


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_shell_passes_on_the_arguments():
    program = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
    line = command(*program, *ARGUMENTS)
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert json.loads(done.stdout) == ARGUMENTS


def test_plain_arguments_stay_plain():
    assert command("python", "-m", "nmt.train", "resume=runs/x") == "python -m nmt.train resume=runs/x"


def test_a_value_that_begins_with_a_hyphen_is_no_option():
    assert command("x", *option("--run", "-runs/a b")) == "x '--run=-runs/a b'"
    assert command("x", *option("--run", "runs/a")) == "x --run runs/a"
