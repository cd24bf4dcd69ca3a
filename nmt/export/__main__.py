"""`python -m nmt.export`: write a folder that translates without PyTorch."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nmt import cli
from nmt.onnx.names import FP32, INT8, PRECISIONS

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator
    from nmt.runs.run import Run

_CHECKED = 20  # sentence pairs
_PIECES = 6  # of a text that is not from the run's data
_TOLERANCE = 1e-4  # of a log-probability
_TOLERANCE_OF_8_BITS = 0.05  # of a log-probability, per subword, on average


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.export",
        description="Export a run to a folder that translates without PyTorch, with ONNX Runtime.",
    )
    parser.add_argument(
        "--output", type=cli.path, metavar="FOLDER", required=True, help="an exported model there is replaced"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=FP32,
        help="of weights and products; int8: smaller and faster, log-probabilities are only close to those "
        "of the run (default: %(default)s)",
    )
    cli.add_run_arguments(parser, search=False, device=False)
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    _check_packages()
    import torch

    from nmt.decoding.translator import Translator
    from nmt.export.onnx.export_folder import check_replaceable, exported_files, write_exported
    from nmt.library.run_loading import load_runs
    from nmt.library.unknown import nothing_unknown
    from nmt.onnx.exported import About, open_exported
    from nmt.onnx.names import CONFIDENCE
    from nmt.runs.checkpoint import load_checkpoint
    from nmt.runs.run import open_run

    folder, run = Path(arguments.output).absolute(), open_run(Path(arguments.run))
    check_replaceable(folder)
    loaded, checkpoint = load_runs([run.folder], "cpu", None), load_checkpoint(run.best, torch.device("cpu"))
    tokenizers = checkpoint.source, checkpoint.target
    copies = loaded.is_unknown is not nothing_unknown
    about = About(loaded.name, loaded.limit, loaded.languages, loaded.directions, copies)
    decoding = loaded.decoding.without_retrieval()  # the datastore is not exported
    files = exported_files(
        checkpoint.model, tokenizers, checkpoint.config, decoding, about, arguments.precision
    )
    if run.confidence.exists():
        files[CONFIDENCE] = run.confidence.read_bytes()
    with TemporaryDirectory() as place:  # what fails the comparison replaces nothing
        trial = Path(place) / "exported"
        write_exported(trial, files)
        differences = _differences(loaded.make(decoding), Translator(*open_exported(trial)[:4]), run)
    found = _checked(*differences, arguments.precision)
    write_exported(folder, files)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
    print(f"{folder}: {size:.1f} MiB; {found}")


def _check_packages() -> None:
    """Raise an error, before any work, if a package of the extra is missing."""
    from importlib.util import find_spec

    from nmt.errors import ConfigError

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"nmt.export needs more packages: pip install {' '.join(missing)}")


def _differences(one: "Translator", other: "Translator", run: "Run") -> tuple[float, float]:
    """The largest difference between the log-probabilities of translations by two translators, and the mean
    per subword.
    """
    pairs = _sentence_pairs(run) or _pairs_of_pieces(one)
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    mine, yours = (translator.align(sources, targets) for translator in (one, other))
    found = [abs(a.log_probability - b.log_probability) for a, b in zip(mine, yours, strict=True)]
    return max(found), sum(found) / sum(len(one.target) for one in mine)


def _checked(largest: float, mean: float, precision: str) -> str:
    """What is said about the differences.

    Raises:
        ConfigError: if the model loses too much in 8 bits.
    """
    from nmt.errors import ConfigError

    if precision != INT8:
        assert largest <= _TOLERANCE, f"log-probabilities differ by {largest:g} from those of the run"
        return f"log-probabilities are those of the run, to {largest:.1g}"
    differ = f"log-probabilities differ from those of the run by {mean:.2g} per subword on average"
    if not mean <= _TOLERANCE_OF_8_BITS:
        raise ConfigError(
            f"--precision {INT8}: {differ}, more than {_TOLERANCE_OF_8_BITS:g}; use --precision {FP32}"
        )
    return f"{INT8}; {differ} ({_CHECKED} sentences)"


def _sentence_pairs(run: "Run") -> list[tuple[str, str]]:
    """Sentences of the development or test set with a reference; none, if the run has no such files."""
    from nmt.data.examples import load_examples

    for path in map(run.examples, ("dev", "test")):
        if path.exists() and (examples := load_examples(path)[:_CHECKED]):
            return [(example.source, example.references[0]) for example in examples]
    return []


def _pairs_of_pieces(translator: "Translator") -> list[tuple[str, str]]:
    """Texts made of pieces of the vocabulary, one after another, as the model translates them."""
    pieces = list(translator.source.texts())
    size = max(1, min(_PIECES, len(pieces) // _CHECKED))
    parts = [pieces[start : start + size] for start in range(0, size * _CHECKED, size)]
    texts = [text for text in map(translator.source.decode, parts) if text.strip()]
    found = zip(texts, translator.translate(texts), strict=True)
    return [(text, best.text if best.text.strip() else text) for text, (best, *_) in found]


if __name__ == "__main__":
    cli.run(main)
