"""The ways to translate: each takes a list of texts, and gives the n best of each."""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import nmt
from invariance.comparison import Comparison, Found, NBest, compare
from nmt.data.tokenizer import Tokens
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator
from nmt.onnx.names import FP32, INT8
from nmt.runs.load import load_translator
from nmt.runs.run import Run

Translate = Callable[[list[str]], list[NBest]]
LARGE = 65536  # batch_tokens: all texts of a call are in one batch
CLIENTS = 32  # of the server at a time
TOGETHER = 64  # texts in a request, at most; of more, each is one of its own
_MBR = "nbest"


def search_translator(run: Run, method: str, nbest: int, batch_tokens: int) -> Translator:
    """The search of a run on the CPU, as of the library but without its treatment of long texts."""
    config = run.decoding()
    config.method, config.batch_tokens = method, batch_tokens
    config.beam_size = max(config.beam_size, nbest)
    return load_translator(run, config, torch.device("cpu"))


def found_alone(run: Run, sentences: Sequence[str], method: str, nbest: int) -> dict[str, list[Translation]]:
    """What the search finds for each sentence alone."""
    translator = search_translator(run, method, nbest, batch_tokens=1)
    return dict(zip(sentences, translator.translate(sentences, nbest), strict=True))


def as_nbest(found: Sequence[Translation]) -> NBest:
    """Text and score of each."""
    return [Found(one.text, one.score) for one in found]


def forced(run: Run, expected: dict[str, list[Translation]]) -> Comparison:
    """The scores of the hypotheses that ended, by forced decoding of their subwords in large batches."""
    translator = search_translator(run, "beam", 1, LARGE)
    ended = {sentence: [one for one in group if one.finished] for sentence, group in expected.items()}
    pairs: list[tuple[Tokens, Tokens]] = [
        (one.source, one.target) for group in ended.values() for one in group
    ]
    scores = iter(one.score for one in translator.force_decode(pairs))
    found = {s: [Found(one.text, next(scores)) for one in group] for s, group in ended.items()}
    right = {s: as_nbest(group) for s, group in ended.items()}
    return compare("forced decoding", right, found.items())


@contextmanager
def open_way(way: str, run: Run, method: str, nbest: int, server: str | None = None) -> Iterator[Translate]:
    """A way to translate, by name.

    Args:
        way: its name.
        run: what translates.
        method, nbest: of all translations.
        server: address of a server with this run; None: one is started.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if way == "search":
            translator = search_translator(run, method, nbest, LARGE)
            yield lambda texts: [as_nbest(group) for group in translator.translate(texts, nbest)]
        elif way == "library":
            yield _library(run.folder, method, nbest)
        elif way == "command":
            yield lambda texts: _command(run.folder, folder, texts, method, nbest)
        elif way in ("onnx", "int8"):
            precision = INT8 if way == "int8" else FP32
            _python("nmt.export", "--run", run.folder, "--output", folder / way, "--precision", precision)
            yield _library(folder / way, method, nbest)
        elif server is not None:
            yield lambda texts: _posted(server, texts, method, nbest)
        else:
            with _server(run.folder, folder) as url:
                yield lambda texts: _posted(url, texts, method, nbest)


def _options(method: str, nbest: int) -> dict[str, Any]:
    options: dict[str, Any] = {"nbest": nbest}
    return options | ({"sample": True} if method == "sample" else {"mbr": _MBR} if method == "mbr" else {})


def _library(folder: Path, method: str, nbest: int) -> Translate:
    translator = nmt.Translator.load(folder, device="cpu", batch_tokens=LARGE)

    def translate(texts: list[str]) -> list[NBest]:
        found = translator.translate(texts, **_options(method, nbest))
        return [_nbest(one.to_dict()) for one in found]

    return translate


def _nbest(translation: dict[str, Any]) -> NBest:
    """Of the JSON of a translation."""
    return [Found(one["text"], one["score"]) for one in (translation, *translation["alternatives"])]


def _python(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def _command(run: Path, folder: Path, texts: list[str], method: str, nbest: int) -> list[NBest]:
    (folder / "texts").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="")
    how = {"beam": [], "sample": ["--sample"], "mbr": ["--mbr", _MBR]}[method]
    lines = _python(
        "nmt.translate", "--run", run, "--input", folder / "texts", "--json", "--nbest", nbest,
        "--device", "cpu", "--batch-tokens", LARGE, *how,
    )  # fmt: skip
    return [_nbest(json.loads(line)) for line in lines.removesuffix("\n").split("\n")]


@contextmanager
def _server(run: Path, folder: Path) -> Iterator[str]:
    """A server on a free port; its address."""
    log = folder / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "nmt.serve",
                "--run",
                run,
                "--port",
                "0",
                "--device",
                "cpu",
                "--timeout",
                "600",
            ],
            stderr=file,
        )
    try:
        while not (address := re.search(r"http://[\d.]+:\d+", log.read_text(encoding="utf-8"))):
            if server.poll() is not None:
                raise RuntimeError(f"nmt.serve: {log.read_text(encoding='utf-8')}")
        yield address[0]
    finally:
        server.terminate()
        server.wait()


def _posted(url: str, texts: list[str], method: str, nbest: int) -> list[NBest]:
    """A few texts as one request; many as a request each, of several clients at a time."""

    def post(some: list[str]) -> list[NBest]:
        content = json.dumps({"text": some, **_options(method, nbest)}).encode()
        request = urllib.request.Request(
            f"{url.rstrip('/')}/v1/translate", content, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            return [_nbest(one) for one in json.load(answer)["translations"]]

    if len(texts) <= TOGETHER:
        return post(texts)
    with ThreadPoolExecutor(CLIENTS) as pool:
        return [group for groups in pool.map(post, [[text] for text in texts]) for group in groups]
