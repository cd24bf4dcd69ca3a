"""Measure the server, and try to break it.

Starts `python -m nmt.serve` on a free port of the loopback interface, and measures:

1. a lone request, against the library in this process: the median of the differences, each between the
   fastest of fifteen;
2. 32 clients at a time, against one after the other: requests per second; and, to explain them, the server's
   processor time, without that of --processes, and the mean size of its batches;
3. many clients at a time, for a minute and until 5,000 requests are answered: good ones, malformed ones,
   oversized ones, clients that send slowly or stop midway, and clients that leave. Good requests must have no
   error, the others an answer of 4xx or 503, and memory must not grow.

Then it sends SIGTERM during requests; these must be answered. Prints a table; exit status 1 if a figure is
not as it should be.
"""

import argparse
import asyncio
import itertools
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a checkout, without installation

from server_load.clients import Clients, Tally  # noqa: E402
from server_load.wire import Wire  # noqa: E402

from nmt import cli  # noqa: E402

FIRST, LAST, GROWTH = 500, 5000, 0.05  # memory may grow by this between these requests
SLOWER = 0.005  # seconds that a lone request may take longer than the library
TOGETHER, FASTER = 32, 5.0  # clients, and how many times faster than one after the other
TEXTS, REPETITIONS = 20, 15  # of lone requests and calls of the library
MIX = {"good": 10, "stream": 2, "malformed": 2, "oversized": 1, "slow": 2, "leaving": 3}
_BATCHES = r'nmt_batch_texts_count\{model="test"\}'
_ADDRESS = re.compile(r"on http://127\.0\.0\.1:(\d+) ")


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python scripts/load_test.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", metavar="RUN", default="runs/latest", help="default: %(default)s")
    parser.add_argument(
        "--sentences",
        metavar="FILE",
        help="lines to translate, up to the first tab (default: of the test set)",
    )
    parser.add_argument("--clients", type=int, metavar="N", default=200, help="default: %(default)s")
    parser.add_argument(
        "--processes", type=int, metavar="N", default=0, help="of the server (default: it has none)"
    )
    parser.add_argument("--seconds", type=float, metavar="N", default=60, help="default: %(default)s")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    file = Path(arguments.sentences or Path(arguments.run, "test", "translations.tsv"))
    lines = file.read_text(encoding="utf-8").splitlines()
    sentences = [line.partition("\t")[0] for line in lines if line.partition("\t")[0].strip()]
    command = [sys.executable, "-m", "nmt.serve", "--run", f"test={arguments.run}", "--port", "0"]
    command += ["--body-timeout", "2", "--processes", str(arguments.processes)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    cli.limit_spinning(spinning=True)  # of this process: else its threads take the cores of the server
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        found = _ADDRESS.search(process.stderr.readline())
        if not found:
            sys.exit(f"error: the server did not start:\n{process.stderr.read()}")
        right = asyncio.run(_measure(int(found[1]), process, sentences, arguments))
    finally:
        process.kill()
    sys.exit(0 if right else 1)


async def _measure(
    port: int, process: "subprocess.Popen[str]", sentences: Sequence[str], arguments: argparse.Namespace
) -> bool:
    results = [
        await _lone(port, sentences, arguments.run),
        await _together(port, sentences),
        *await _load(port, process, sentences, arguments.clients, arguments.seconds),
        await _stop(port, process, sentences),
    ]
    return all(results)


def _row(name: str, value: str, right: bool) -> bool:
    print(f"{name:44} {value:>24}  {'ok' if right else 'WRONG'}", flush=True)
    return right


async def _lone(port: int, sentences: Sequence[str], run: str) -> bool:
    """A request by itself, against a call of the library, in turn."""
    import nmt

    translator, wire = nmt.Translator.load(run), Wire(port)
    ours, its = [], []
    for text in sentences[:TEXTS]:
        calls, requests = [], []
        for _ in range(REPETITIONS):
            start = time.perf_counter()
            (expected,) = translator.translate([text])
            between = time.perf_counter()
            reply = await wire.post("/v1/translate", {"text": text})
            requests.append(time.perf_counter() - between)
            calls.append(between - start)
            assert expected.text in reply.body.decode(), "the server translates otherwise than the library"
        ours.append(min(calls))
        its.append(min(requests))
    wire.close()
    more = statistics.median(one - other for one, other in zip(its, ours, strict=True))
    value = f"{statistics.median(ours) * 1000:.1f} {more * 1000:+.1f} ms"
    return _row("a lone request: library, + server", value, more <= SLOWER)


async def _together(port: int, sentences: Sequence[str]) -> bool:
    """Requests per second of many clients and of one, in turn."""
    rates: list[tuple[float, float]] = []
    times: list[tuple[float, float]] = []
    sizes: list[float] = []
    for repetition in range(5):
        texts = [sentences[(repetition * 320 + i) % len(sentences)] for i in range(320)]
        one, one_time = await _rate(port, texts[::5], 1)
        batches = await _metric(port, _BATCHES)
        many, many_time = await _rate(port, texts, TOGETHER)
        sizes.append(len(texts) / (await _metric(port, _BATCHES) - batches))
        rates.append((one, many))
        times.append((one_time, many_time))
    ratio = statistics.median(many / one for one, many in rates)
    one, many = (statistics.median(rate) for rate in zip(*rates, strict=True))
    right = _row(
        f"requests of 1 → {TOGETHER} clients", f"{one:.0f} → {many:.0f} /s = {ratio:.1f} ×", ratio >= FASTER
    )
    one, many = (1000 * statistics.median(time) for time in zip(*times, strict=True))
    print(f"{'  processor time of a request':44} {f'{one:.1f} → {many:.1f} ms':>24}")
    print(f"{'  texts in a batch':44} {f'1 → {statistics.median(sizes):.1f}':>24}", flush=True)
    return right


async def _rate(port: int, texts: Sequence[str], clients: int) -> tuple[float, float]:
    """Requests per second with so many clients, and the server's processor time of each."""
    before = await _metric(port, "process_cpu_seconds_total")
    seconds = await _time(port, texts, clients)
    used = await _metric(port, "process_cpu_seconds_total") - before
    return len(texts) / seconds, used / len(texts)


async def _time(port: int, texts: Sequence[str], clients: int) -> float:
    """Seconds to translate texts with so many clients."""
    todo = iter(texts)

    async def client() -> None:
        wire = Wire(port)
        for text in todo:
            reply = await wire.post("/v1/translate", {"text": text})
            assert reply.status == 200, reply
        wire.close()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - start


async def _load(
    port: int, process: "subprocess.Popen[str]", sentences: Sequence[str], clients: int, seconds: float
) -> list[bool]:
    """All kinds of clients at a time."""
    tally = Tally()
    end = time.monotonic() + seconds
    running = Clients(port, sentences, tally)

    def over() -> bool:
        return time.monotonic() > end and tally.requests >= LAST

    kinds = itertools.cycle(kind for kind, share in MIX.items() for _ in range(share))
    tasks = [asyncio.create_task(running.run(next(kinds), seed, over)) for seed in range(clients)]
    while tally.requests < FIRST:
        await asyncio.sleep(0.05)
    before = _memory(process.pid)
    while tally.requests < LAST:
        await asyncio.sleep(0.05)
    after = _memory(process.pid)
    await asyncio.gather(*tasks)
    last = _memory(process.pid)
    for kind in MIX:
        counts = {answer: n for (of, answer), n in sorted(tally.answers.items()) if of == kind}
        print(f"  {kind:42} {', '.join(f'{answer}: {n}' for answer, n in counts.items()):>24}")
    took = seconds + time.monotonic() - end
    growth = f"{before / 2**20:.0f} → {after / 2**20:.0f} → {last / 2**20:.0f} MiB"
    return [
        _row(
            f"{clients} clients for {took:.0f} s",
            f"{tally.requests} requests, {len(tally.wrong)} wrong",
            not tally.wrong,
        ),
        _row(f"memory at {FIRST}, {LAST}, {tally.requests} requests", growth, after <= (1 + GROWTH) * before),
    ]


def _memory(pid: int) -> int:
    """Resident bytes of a process and those that it has started."""
    of_process = Path(f"/proc/{pid}")
    pages = int((of_process / "statm").read_text().split()[1])
    children = "".join(file.read_text() for file in of_process.glob("task/*/children")).split()
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_memory(int(child)) for child in children)


async def _metric(port: int, name: str) -> float:
    """A figure of the server's `/metrics`, whose name is a regular expression."""
    wire = Wire(port)
    text = (await wire.get("/metrics")).body.decode()
    wire.close()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


async def _stop(port: int, process: "subprocess.Popen[str]", sentences: Sequence[str]) -> bool:
    """SIGTERM during requests."""
    wires = [Wire(port) for _ in range(TOGETHER)]
    posts = [
        asyncio.create_task(wire.post("/v1/translate", {"text": list(sentences[:20])})) for wire in wires
    ]
    await asyncio.sleep(0.2)
    pending = sum(not post.done() for post in posts)
    process.send_signal(signal.SIGTERM)
    replies = await asyncio.gather(*posts, return_exceptions=True)
    answered = sum(not isinstance(reply, BaseException) and reply.status == 200 for reply in replies)
    code = await asyncio.to_thread(process.wait, 60)
    value = f"{answered} of {TOGETHER} answered, exit {code}"
    return _row(f"SIGTERM, with {pending} requests pending", value, answered == TOGETHER and code == 0)


if __name__ == "__main__":
    main()
