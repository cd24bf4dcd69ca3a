"""What all commands share: arguments, standard streams, one line for an error, start-up of torch."""

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
_closed: set[str] = set()
"""The standard streams that were closed when the command started."""


class TextParser(argparse.ArgumentParser):
    """A parser for a command that takes free text: its errors say how to give one that begins with "-"."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in the base class; the words are kept for `error`."""
        self._words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Leave with a usage message, exit code 2."""
        unknown = [
            word
            for word in self._words
            if word.startswith("-") and word.partition("=")[0] not in self._option_string_actions
        ]
        if unknown and "--" not in self._words:
            message += f'; a text that begins with "-" comes after --: {self.prog} -- {shlex.join(unknown)}'
        super().error(message)


def path(text: str) -> str:
    """An argument that names a file or folder: a leading `~` is the home folder, also where the shell does
    not expand it (`--run=~/x`, quotes).
    """
    return os.path.expanduser(text)  # noqa: PTH111 (a trailing slash and "-" stay as they are)


def add_run_arguments(parser: argparse.ArgumentParser, beam: bool = True) -> None:
    """The arguments of every command that works with a trained run; `beam` if it searches."""
    parser.add_argument(
        "--run", type=path, default="runs/latest", metavar="RUN", help="folder (default: %(default)s)"
    )
    if beam:
        parser.add_argument("--beam-size", type=int, metavar="N", help="hypotheses kept; 1: greedy")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda …")


def check_stream(name: str, instead: str) -> None:
    """Refuse to use a standard stream that is closed.

    Args:
        name: "stdin" or "stdout".
        instead: what to do.

    Raises:
        ConfigError: when it was closed when the command started (`<&-`, `>&-`).
    """
    from nmt.errors import ConfigError

    if name in _closed:
        raise ConfigError(f"standard {name.removeprefix('std')}put is closed; {instead}")


def check_output(path: str | None) -> None:
    """Refuse what `open_output` could not open for want of a standard output, before any work.

    Raises:
        ConfigError: when that is closed, and there is no `--output`.
    """
    if path is None:
        check_stream("stdout", "redirect it to a file, or give --output FILE")


def open_output(path: str | None) -> AbstractContextManager[IO[str]]:
    """What `--output` names, to write text to: a file that is replaced whole, or not at all; a device or
    pipe as it is; standard output if there is none. Text is UTF-8, and lines end as written.

    Raises:
        ConfigError: when that is closed.
    """
    from nmt.files import replacing

    if path is None:
        check_output(path)
        assert isinstance(sys.stdout, io.TextIOWrapper)
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
        return nullcontext(sys.stdout)
    place = Path(path).resolve()  # a link stays a link
    if place.exists() and not place.is_file():  # a device or a pipe is written to, not replaced
        return place.open("w", encoding="utf-8", newline="")
    return replacing(place)


def run(main: Callable[[], None]) -> None:
    """Run a command and leave the process: 0 done, 2 the user's mistake, 1 ours, 130 interrupted, 143
    terminated. Of our mistakes the traceback is printed, then one line; of others the line alone.

    With NMT_TRACEBACK=1 in the environment all errors come with their traceback.
    """
    _prepare_streams()
    from nmt.failures import describe

    _share_cores()
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output (head, say) has left
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
    """Put the null device in place of closed standard streams: else the next file that is opened would take
    the number of one, and what a library prints would end up in that file. Let no character fail that a
    stream's encoding does not have.
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


def _share_cores() -> None:
    """Let torch's threads, when they wait for each other, spin for microseconds and then sleep. GNU's OpenMP
    spins for milliseconds; where another program is busy too, that costs nearly all the speed, and on idle
    cores it gains nothing. It is read when torch is loaded; what the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
