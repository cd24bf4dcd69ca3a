"""Check that `nmt.translate` needs no more memory for a million lines than for ten thousand.

    python scripts/check_memory.py --run RUN [--lines 10000 1000000] [--attention]

The lines are piped through standard input, made as they are read; the translations are counted and thrown
away. Prints the peak memory of each count of lines, and exits with 1 if the largest is more than 10 % above
the smallest. Unix only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

WORDS = ("the", "dog", "sees", "a", "small", "house", "where", "my", "cat", "eats", "bread", "Rahul", "today")
ALLOWED = 1.10


def line(number: int) -> bytes:
    """Line `number`: 1 to 4 words, different from line to line."""
    chosen = [WORDS[(number * step) % len(WORDS)] for step in (1, 3, 7, 11)]
    return (" ".join(chosen[: 1 + number % 4]) + ".\n").encode()


def feed(pipe: IO[bytes], count: int) -> None:
    """Write lines, and close the pipe."""
    with pipe:
        for number in range(count):
            pipe.write(line(number))


def peak(run: Path, count: int, attention: Path | None, options: list[str]) -> tuple[float, float]:
    """The peak memory, in MiB, and the seconds of translating so many lines.

    Raises:
        RuntimeError: if the number of lines out is not that of the lines in.
    """
    command = [sys.executable, "-m", "nmt.translate", "--run", str(run), *options]
    command += ["--attention", str(attention)] if attention else []
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    threading.Thread(target=feed, args=(process.stdin, count), daemon=True).start()
    found = sum(1 for _ in process.stdout)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or found != count:
        raise RuntimeError(f"{count} lines in, {found} lines out, exit code {process.returncode}")
    return usage.ru_maxrss / 1024, time.perf_counter() - started


def main() -> None:
    """Run the check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--attention", action="store_true", help="also write the attention, as JSON lines")
    parser.add_argument("--beam-size", default="1", help="of the search (default: %(default)s)")
    parser.add_argument("--max-length", default="4", help="of a translation (default: %(default)s)")
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.lines:
            file = Path(folder) / "attention.jsonl" if arguments.attention else None
            options = ["--beam-size", arguments.beam_size, "--max-length", arguments.max_length]
            memory, seconds = peak(arguments.run, count, file, options)
            size = f", {file.stat().st_size / 2**20:.0f} MiB of attention" if file else ""
            print(f"{count} lines: {memory:.1f} MiB, {seconds:.0f} s{size}", flush=True)
            peaks.append(memory)
    print(f"ratio: {max(peaks) / min(peaks):.3f}")
    sys.exit(max(peaks) > ALLOWED * min(peaks))


if __name__ == "__main__":
    main()
