"""Commands that are printed for the user to paste into a shell."""

import os
import shlex
import subprocess


def option(name: str, value: object) -> tuple[str, ...]:
    """An option with its value as words of a command, also with a value that begins with "-"."""
    return (f"{name}={value}",) if str(value).startswith("-") else (name, str(value))


def command(*words: object) -> str:
    """A command line that gives a program exactly these words, whatever characters are in them.

    Quoted for a POSIX shell, on Windows for its command prompt.
    """
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)
