"""Commands as a shell runs them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

TRAINING = ("experiment=debug", "data.max_words=4", "training.validate_every=10")  # seconds


class Answer(NamedTuple):
    """The result of a command: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def command(*arguments: object, folder: Path, stdin: bytes = b"") -> Answer:
    """`python -m` with these arguments, in a subprocess with working directory `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    out, err = (stream.decode().replace(os.linesep, "\n") for stream in (done.stdout, done.stderr))
    return Answer(done.returncode, out, err)


def lines_of(out: str) -> list[str]:
    """The lines of an output, which must end with a newline; only U+000A separates lines."""
    assert out.endswith("\n")
    return out.removesuffix("\n").split("\n")
