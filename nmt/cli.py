"""Shared by all commands: arguments, standard streams, one-line error messages, environment for torch; and
commands that are printed for the user to copy into a shell.
"""

import argparse
import io
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, NoReturn

_STREAMS = ("stdin", "stdout", "stderr")
DEFAULT_RUN = "runs/latest"
_SPINNING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
"""Environment variables, of which each says how long OpenMP threads that wait spin."""
_closed: set[str] = set()
"""The standard streams that were closed when the command started."""


class TextParser(argparse.ArgumentParser):
    """A parser for free-text arguments; errors explain how to pass text that starts with "-"."""

    _arguments: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in the base class; keeps the arguments for `error`."""
        self._arguments = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and exit with code 2."""
        unknown = [
            argument
            for argument in self._arguments
            if argument.startswith("-") and argument.partition("=")[0] not in self._option_string_actions
        ]
        if unknown and "--" not in self._arguments:
            message += f'; put text that starts with "-" after --: {self.prog} -- {shlex.join(unknown)}'
        super().error(message)


def path(text: str) -> str:
    """Expand a leading `~` in a path argument, also where the shell does not (`--run=~/x`, quotes)."""
    return os.path.expanduser(text)  # noqa: PTH111 (keeps a trailing slash, and "-")


def add_run_arguments(parser: argparse.ArgumentParser, search: bool = True, device: bool = True) -> None:
    """Add the arguments shared by all commands that load a trained run; `search`: for commands that
    translate, with several runs together (see `runs_of`), also those of the beam; `device`: for
    commands that compute on one of the user's choice.
    """
    if search:
        parser.add_argument(
            "--run",
            type=path,
            action="append",
            metavar="RUN",
            help=f"run folder (default: {DEFAULT_RUN}); given more than once: these runs together",
        )
        parser.add_argument("--beam-size", type=int, metavar="N", help="beam size (1: greedy)")
        parser.add_argument(
            "--exact",
            action="store_true",
            help="beam search without decoding.lookahead: slower, and nearly always the same result",
        )
    else:
        parser.add_argument(
            "--run", type=path, default=DEFAULT_RUN, metavar="RUN", help="run folder (default: %(default)s)"
        )
    if device:
        parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda …")


def add_target_argument(parser: argparse.ArgumentParser, help: str) -> None:
    """Add the argument for the target language, of models that know several."""
    parser.add_argument("--to", metavar="LANGUAGE", help=f"{help} (default: of the main direction)")


def runs_of(arguments: argparse.Namespace) -> list[Path]:
    """The run folders of a command that translates: at least one."""
    return [Path(run) for run in arguments.run or [DEFAULT_RUN]]


def option(name: str, value: object) -> tuple[str, ...]:
    """The arguments for an option and its value, also if the value starts with "-"."""
    return (f"{name}={value}",) if str(value).startswith("-") else (name, str(value))


def command(*arguments: object) -> str:
    """A command line with these arguments, quoted for a POSIX shell, or for the command prompt on Windows."""
    texts = [str(argument) for argument in arguments]
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(texts)
    return shlex.join(texts)


def check_stream(name: str, instead: str) -> None:
    """Raise an error if a standard stream is closed.

    Args:
        name: "stdin" or "stdout".
        instead: what to do about it, for the message.

    Raises:
        ConfigError: if the stream was closed when the command started (`<&-`, `>&-`).
    """
    from nmt.errors import ConfigError

    if name in _closed:
        raise ConfigError(f"standard {name.removeprefix('std')}put is closed; {instead}")


def check_output(path: str | None) -> None:
    """Check before any work that `open_output` will have somewhere to write.

    Raises:
        ConfigError: if standard output is closed and there is no `--output`.
    """
    if path is None:
        check_stream("stdout", "redirect it to a file, or give --output FILE")


def open_output(path: str | None) -> AbstractContextManager[IO[str]]:
    """Open the `--output` for text: a regular file is replaced atomically, a device or pipe is written
    directly, and None means standard output. Text is UTF-8, without newline translation.

    Raises:
        ConfigError: if standard output is needed but closed.
    """
    from nmt.files import replacing

    if path is None:
        check_output(path)
        assert isinstance(sys.stdout, io.TextIOWrapper)
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
        return nullcontext(sys.stdout)
    target = Path(path).resolve()  # keep a symbolic link
    if target.exists() and not target.is_file():  # devices and pipes cannot be replaced
        return target.open("w", encoding="utf-8", newline="")
    return replacing(target)


def run(main: Callable[[], None], *, spinning: bool = True) -> None:
    """Run a command and exit: 0 success, 1 internal error, 2 user error, 130 interrupted, 143 terminated.
    Internal errors print a traceback and one line; all other errors print only the line.

    NMT_TRACEBACK=1 in the environment prints the traceback of every error.

    Args:
        main: the command.
        spinning: whether OpenMP threads that wait spin for microseconds before they sleep, or sleep at once:
            then the other threads of a server have the cores.
    """
    _prepare_streams()
    from nmt.errors import describe

    limit_spinning(spinning)
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output (such as head) has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (Exception, KeyboardInterrupt) as error:
        line, code, internal = describe(error, "the output")
        if internal or os.environ.get("NMT_TRACEBACK") == "1":
            traceback.print_exc()
        if line:
            print(line, file=sys.stderr)
        sys.exit(code)


def _prepare_streams() -> None:
    """Open the null device in place of closed standard streams: otherwise the next file opened would get
    one of their descriptors, and library output would end up in that file. Also escape characters that a
    stream's encoding cannot represent instead of failing.
    """
    _closed.clear()
    for number, name in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            _closed.add(name)
            descriptor = os.open(os.devnull, os.O_RDONLY if name == "stdin" else os.O_WRONLY)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def limit_spinning(spinning: bool) -> None:
    """Make waiting OpenMP threads spin for microseconds before they sleep, or not at all. GNU OpenMP spins
    for milliseconds by default; that costs nearly all the speed when another program uses the cores and gains
    nothing on idle ones. The variable is read when torch is loaded; the user's own settings take precedence.
    """
    if _SPINNING.isdisjoint(os.environ):
        name, value = ("GOMP_SPINCOUNT", "1000") if spinning else ("OMP_WAIT_POLICY", "passive")
        os.environ[name] = value
