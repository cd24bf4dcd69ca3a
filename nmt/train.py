"""`python -m nmt.train`: train and evaluate a model; everything goes into one run folder."""

import sys

from nmt import cli
from nmt.config.settings import Config


def help_text() -> str:
    """Usage and every setting with its default."""
    from nmt.config.extensions import SOURCES
    from nmt.config.schema import as_text, settings

    lines = [
        "usage: python -m nmt.train [GROUP=CHOICE ...] [KEY=VALUE ...]",
        "",
        "Train a translation model and evaluate it. Everything is written to one folder under runs/.",
        "",
        f"  data={'|'.join(SOURCES.names())}    experiment=demo|quick|hour|best|rdrop|distilled|debug",
        "  model=bahdanau|luong|luong_local|seq2seq|transformer|…: a file in configs/model/",
        "  resume=RUN    resume a run",
        "  -m KEY=A,B    one run per value (a sweep)           --cfg job    print the settings and exit",
        "",
        "Settings and their defaults; the files of data=, model= and experiment= override some of them:",
    ]
    for key, item, value in settings(Config()):
        choices = f" ({'|'.join(item.metadata['choices'])})" if item.metadata["choices"] else ""
        lines.append(f"  {key}={as_text(value)}\n      {item.metadata['help']}{choices}")
    return "\n".join(lines)


def main() -> None:
    """Run the command."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return
    from nmt.launch.main import with_config

    with_config(_train)


def _train(config: Config, name: str, overrides: tuple[str, ...]) -> float:
    from nmt.distillation.stages import is_staged, train_in_stages
    from nmt.launch.teachers import teacher_settings
    from nmt.runs.pipeline import train
    from nmt.runs.resume import Request

    request = Request(config, name, overrides)
    if not is_staged(request):
        return train(request)
    return train_in_stages(request, teacher_settings(config) if config.resume is None else ())


if __name__ == "__main__":
    cli.run(main)
