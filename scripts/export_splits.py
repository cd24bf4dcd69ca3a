"""Write the training, development and test sets as plain text, to train another system on the same splits.

python scripts/export_splits.py FOLDER [data=… data.archive=… other settings as for nmt.train]

Writes `train|dev|test.src` and `.tgt`, one sentence per line; further references go to `.tgt.1`, `.tgt.2` …
"""

import sys
from pathlib import Path

from nmt import cli
from nmt.config.settings import Config
from nmt.data.examples import export_text
from nmt.data.prepare import prepare
from nmt.errors import ConfigError
from nmt.files import write_text
from nmt.launch.main import with_config


def main() -> None:
    """Run the command: the folder, then overrides."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    if len(sys.argv) < 2 or "=" in sys.argv[1] or sys.argv[1].startswith("-"):
        raise ConfigError("give the output folder first: scripts/export_splits.py FOLDER [data=…]")
    folder = Path(sys.argv.pop(1))

    def task(config: Config, name: str, overrides: tuple[str, ...]) -> None:
        prepared = prepare(config.data)
        export_text(prepared.splits, folder)
        if licence := prepared.report["licence"]:
            write_text(folder / "LICENCE.txt", licence + "\n")
        for split, examples in prepared.splits.items():
            print(f"{folder / split}.src, .tgt: {len(examples):,} lines")

    with_config(task)


if __name__ == "__main__":
    cli.run(main)
