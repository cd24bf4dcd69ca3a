"""`python -m nmt.train`: from a corpus to a run folder with a trained, evaluated model."""

import sys

from nmt import cli
from nmt.config import Config


def help_text() -> str:
    """How to call it, and every setting with its default."""
    from nmt.schema import as_text, settings

    lines = [
        "usage: python -m nmt.train [GROUP=CHOICE ...] [KEY=VALUE ...]",
        "",
        "Train a translation model and evaluate it. Everything goes into one folder below runs/.",
        "",
        "  data=manythings|sample|tsv|moses    experiment=demo|debug",
        "  model=bahdanau|luong|luong_local|seq2seq|transformer|…: a file of configs/model/",
        "  resume=RUN    go on with a run",
        "  -m KEY=A,B    one run for each value (a sweep)      --cfg job    show the settings and stop",
        "",
        "Settings and their defaults; the files of data=, model= and experiment= choose some of them anew:",
    ]
    for key, item, value in settings(Config()):
        choices = f" ({'|'.join(item.metadata['choices'])})" if item.metadata["choices"] else ""
        lines.append(f"  {key}={as_text(value)}\n      {item.metadata['help']}{choices}")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return
    from nmt.composition import with_config

    with_config(_train)


def _train(config: Config, name: str, overrides: tuple[str, ...]) -> float:
    from nmt.pipeline import train
    from nmt.resume import Request

    return train(Request(config, name, overrides))


if __name__ == "__main__":
    cli.run(main)
