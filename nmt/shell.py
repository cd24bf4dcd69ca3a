"""Quoting of commands that are printed for the user to copy into a shell."""

import os
import shlex
import subprocess


def option(name: str, value: object) -> tuple[str, ...]:
    """The arguments for an option and its value, also if the value starts with "-"."""
    return (f"{name}={value}",) if str(value).startswith("-") else (name, str(value))


def command(*words: object) -> str:
    """A command line with these arguments, quoted for a POSIX shell, or for the command prompt on Windows."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)
