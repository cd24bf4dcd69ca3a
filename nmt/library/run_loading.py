"""What a `Translator` needs of run folders: models, tokenizers, settings, calibration. With PyTorch."""

from collections.abc import Sequence
from pathlib import Path

import torch

from nmt.data.examples import load_examples
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.device import choose_device
from nmt.evaluation.confidence import UNCALIBRATED, Calibration
from nmt.library.collecting import Finishing
from nmt.library.loaded import Loaded
from nmt.runs.load import load_ensemble
from nmt.runs.run import Run, open_run, reopen_run

_SHORTEST_LIMIT = 50
"""Subwords; a shorter limit would split what models that know only short sentences translate as well."""


def load_runs(paths: Sequence[Path], device: str, threads: int | None) -> Loaded:
    """Load run folders; see `nmt.Translator.load`."""
    if threads is not None:
        torch.set_num_threads(threads)
    runs = [open_run(path) for path in paths]
    decoding = runs[0].decoding()
    first = load_ensemble(runs, decoding, choose_device(device))
    return Loaded(
        name="+".join(run.folder.name for run in runs),
        make=lambda config: SearchTranslator(first.model, first.source, first.target, config),
        decoding=decoding,
        source=first.source,
        heads=first.heads,
        finishing=Finishing(
            first.target, Calibration.load(runs[0].confidence) if len(runs) == 1 else UNCALIBRATED
        ),
        limit=_limit(runs[0], first.source),
        languages=languages(runs[0]),
    )


def _limit(run: Run, tokenizer: Tokenizer) -> int:
    """The longest source of the development and test sets, in subwords: about the longest of the training
    set. Models translate badly what is much longer than all that they have seen.
    """
    files = [run.examples(split) for split in ("dev", "test") if run.examples(split).exists()]
    sources = [example.source for file in files for example in load_examples(file)]
    return max([len(ids) for ids in tokenizer.encode_all(sources)] + [_SHORTEST_LIMIT])


def languages(run: Run) -> tuple[str, str] | None:
    """Codes of the languages, where the settings of the data name them."""
    data = reopen_run(run.folder)[1].data
    if data.source != "manythings":
        return None
    pair = ("eng", data.language)
    return (pair[1], pair[0]) if data.swap else pair
