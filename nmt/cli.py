"""What all commands share: one line for a user's mistake, exit codes, start-up of torch."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO


def add_run_arguments(parser: argparse.ArgumentParser, beam: bool = True) -> None:
    """The arguments of every command that works with a trained run; `beam` if it searches."""
    parser.add_argument("--run", default="runs/latest", metavar="RUN", help="folder (default: %(default)s)")
    if beam:
        parser.add_argument("--beam-size", type=int, metavar="N", help="hypotheses kept; 1: greedy")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda …")


def open_output(path: str | None) -> AbstractContextManager[IO[str]]:
    """What `--output` names, to write text to: a file that is replaced whole, or not at all; a device or
    pipe as it is; standard output if there is none.
    """
    from nmt.files import replacing

    if path is None:
        return nullcontext(sys.stdout)
    place = Path(path).resolve()  # a link stays a link
    if place.exists() and not place.is_file():  # a device or a pipe is written to, not replaced
        return place.open("w", encoding="utf-8", newline="")
    return replacing(place)


def run(main: Callable[[], None]) -> None:
    """Run a command and leave the process: 0 done, 2 the user's mistake, 1 ours, 130 interrupted, 143
    terminated.

    With NMT_TRACEBACK=1 in the environment errors come with their traceback.
    """
    from nmt.errors import NmtError, StoppedError
    from nmt.files import explain

    _share_cores()
    try:
        main()
        sys.stdout.flush()
    except StoppedError as stop:
        _fail(str(stop), stop.code)
    except NmtError as error:
        _fail(f"error: {' '.join(str(error).split())}", 2)
    except BrokenPipeError:  # the reader of our output (head, say) has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except OSError as error:  # a full disk, a folder that may not be written
        _fail(f"error: {explain(error, 'the output')}", 2)
    except Exception as error:
        kind = type(error).__name__
        first_line = (str(error).splitlines() or [""])[0]
        _fail(f"internal error: {kind}: {first_line} (NMT_TRACEBACK=1 shows where)", 1)


def _share_cores() -> None:
    """Let torch's threads, when they wait for each other, spin for microseconds and then sleep. GNU's OpenMP
    spins for milliseconds; where another program is busy too, that costs nearly all the speed, and on idle
    cores it gains nothing. It is read when torch is loaded; what the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _fail(message: str, code: int) -> None:
    if os.environ.get("NMT_TRACEBACK") == "1":
        traceback.print_exc()
    if message:
        print(message, file=sys.stderr)
    sys.exit(code)
