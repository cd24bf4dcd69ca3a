"""`python -m nmt.serve`: a server that translates, with a page for the browser."""

import argparse
import logging
import os
import re
import sys
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import cli
from nmt.config.server import ServerConfig
from nmt.library.arguments import add_combine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from nmt.library.api import Translator
    from nmt.server.engine import Engine

_KEY = "NMT_API_KEY"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SWITCH = 0.0005  # seconds that a thread which translates may keep the one that talks to clients waiting


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.serve",
        description="Serve trained runs over HTTP: our own API, that of LibreTranslate, and a page for the "
        "browser. See docs/server.md. SIGTERM or Ctrl-C finishes the requests that were accepted.",
    )
    parser.add_argument(
        "--run",
        action="append",
        metavar="[NAME=]RUN",
        help=f"run folder, or one of nmt.export, and its name for clients (default: {cli.DEFAULT_RUN}, named "
        "as its folder); given more than once: several models; runs with the same name translate together. A "
        "name such as en-mr says which languages it translates",
    )
    add_combine(parser)
    parser.add_argument(
        "--reverse",
        action="append",
        metavar="[NAME=]RUN",
        help="a run of the other direction: of the translations of the model NAME (default: the only one), "
        "prefer those from which it finds the source again, as --reverse of nmt.translate",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help=f"clients must send this key (default: the environment variable {_KEY}, if set)",
    )
    for item in fields(ServerConfig):
        many = isinstance(item.metadata["default"], list)
        default = "" if many else f" (default: {item.default})"
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            action="append" if many else "store",
            type=str if many else item.type,
            metavar=item.name.split("_")[-1].upper(),
            help=item.metadata["help"] + default,
        )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda …")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: one per core)")
    return parser


def main() -> None:
    """Run the command."""
    from nmt.allocator import return_freed_memory
    from nmt.errors import ConfigError

    arguments = parser().parse_args()
    config = _config(arguments)
    runs = _named_runs(arguments.run or [cli.DEFAULT_RUN])
    if arguments.combine and all(len(paths) == 1 for paths in runs.values()):
        raise ConfigError("--combine: has no effect, as no two runs have the same name (--run NAME=RUN)")
    reverse = _reverse_runs(arguments.reverse or [], runs)
    key = _key(arguments.api_key)
    serving = _import()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of clients that have left
    from nmt.server.service import Service

    sys.setswitchinterval(_SWITCH)
    return_freed_memory()
    with serving.bind(config) as listener, ExitStack() as stack:
        models = {
            name: _engine(name, paths, reverse.get(name), arguments, config.processes, stack)
            for name, paths in runs.items()
        }
        lines = _greeting(serving.address_of(listener), config, key, models)
        server = serving.Server(Service.of(config, key, models))
        server.serve_on(listener, lambda: print(*lines, sep="\n", file=sys.stderr, flush=True))


def _config(arguments: argparse.Namespace) -> ServerConfig:
    """The settings among the arguments, checked."""
    from nmt.config.validation import violations
    from nmt.errors import ConfigError

    given = {item.name: getattr(arguments, item.name) for item in fields(ServerConfig)}
    config = ServerConfig(**{name: value for name, value in given.items() if value is not None})
    wrong = [
        f"--{key.replace('_', '-')}={rest}" for key, _, rest in (v.partition("=") for v in violations(config))
    ]
    if arguments.threads is not None and arguments.threads < 1:
        wrong.append(f"--threads={arguments.threads}: must be at least 1")
    if wrong:
        raise ConfigError("; ".join(wrong))
    return config


def _key(given: str | None) -> str | None:
    """The API key, from the command line or the environment."""
    from nmt.errors import ConfigError

    key = os.environ.get(_KEY) or None if given is None else given
    if key is not None and not re.fullmatch("[!-~]+", key):
        where = _KEY if given is None else "--api-key"
        raise ConfigError(f"{where}: must be ASCII without spaces, and not empty; leave it out for no key")
    return key


def _named_runs(given: list[str]) -> dict[str, list[Path]]:
    """The folders of each model, by its name."""
    from nmt.errors import ConfigError
    from nmt.runs.latest import find_run

    runs: dict[str, list[Path]] = {}
    for text in given:
        asked, path = _name_and_path(text)
        name = find_run(path).resolve().name if asked is None else asked
        if asked is None and name in runs:
            raise ConfigError(f"--run {text}: another run is named {name}; name them: --run NAME={text}")
        runs.setdefault(name, []).append(path)
    return runs


def _reverse_runs(given: list[str], runs: dict[str, list[Path]]) -> dict[str, Path]:
    """The folder of the reverse model of each model that has one, by the model's name."""
    from nmt.errors import ConfigError

    reverse: dict[str, Path] = {}
    for text in given:
        name, path = _name_and_path(text)
        if name is None and len(runs) > 1:
            raise ConfigError(
                f"--reverse {text}: which of {', '.join(runs)} is it for? Give --reverse NAME={text}"
            )
        name = next(iter(runs)) if name is None else name
        if name not in runs:
            raise ConfigError(f"--reverse {text}: no model is named {name}, only {', '.join(runs)}")
        if name in reverse:
            raise ConfigError(f"--reverse {text}: {name} has one already, {reverse[name]}; give one")
        reverse[name] = path
    return reverse


def _name_and_path(text: str) -> tuple[str | None, Path]:
    """[NAME=]RUN in its parts; None if there is no name."""
    name, equals, folder = text.partition("=")
    named = bool(equals) and re.fullmatch(r"[\w.+-]+", name) is not None
    return name if named else None, Path(cli.path(folder if named else text))


def _import() -> "ModuleType":
    """The module that runs the server; what it needs is an extra."""
    from nmt.errors import ConfigError

    try:
        from nmt.server import serving
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "nmt":
            raise
        raise ConfigError(
            f"{error.name} is not installed: pip install starlette uvicorn prometheus-client"
        ) from error
    return serving


def _engine(
    name: str,
    paths: list[Path],
    reverse: Path | None,
    arguments: argparse.Namespace,
    processes: int,
    stack: ExitStack,
) -> "Engine":
    """A model, in processes of its own if there are any, which end with `stack`."""
    combine = arguments.combine if len(paths) > 1 else None
    load = partial(_load, name, paths, reverse, arguments.device, arguments.threads, combine)
    if not processes:
        return load()
    from nmt.server.engine_processes import EngineProcesses

    engine = EngineProcesses(load, processes)
    stack.callback(engine.close)
    return engine


def _load(
    name: str,
    paths: list[Path],
    reverse: Path | None,
    device: str,
    threads: int | None,
    combine: str | None,
) -> "Translator":
    """A model, ready to answer at once: the first translation takes longer than others."""
    from nmt.library.api import Translator

    translator = Translator.load(*paths, device=device, threads=threads, combine=combine, reverse=reverse)
    translator.languages = _languages(name) or translator.languages
    translator.translate([name])
    return translator


def _languages(name: str) -> tuple[str, str] | None:
    """The languages that the name of a model says, if it does: en-mr."""
    found = re.fullmatch("([a-z]{2,3})-([a-z]{2,3})", name)
    return (found[1], found[2]) if found else None


def _greeting(address: str, config: ServerConfig, key: str | None, models: "Iterable[str]") -> list[str]:
    """What is printed when it is about to serve."""
    lines = [f"serving {', '.join(models)} on {address} (Ctrl-C to stop)"]
    if config.host not in _LOOPBACK and key is None:
        lines.append("warning: other machines can use it without a key; --api-key KEY asks for one")
    return lines


if __name__ == "__main__":
    cli.run(main, spinning=False)  # the cores are those of the event loop and the clients as well
