"""What a `Translator` needs of run folders: models, tokenizers, settings, calibration. With PyTorch."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from nmt.config.directions import known_directions, main_direction, target_languages
from nmt.data.examples import load_examples
from nmt.data.tokenizer import Tokenizer
from nmt.device import choose_device
from nmt.evaluation.confidence import UNCALIBRATED, Calibration
from nmt.library.collecting import Finishing
from nmt.library.loaded import Loaded
from nmt.library.training_examples import ExampleFinder
from nmt.library.unknown import unknown_text
from nmt.runs.load import load_models
from nmt.runs.run import Run, open_run, reopen_run

_SHORTEST_LIMIT = 50
"""Subwords; a shorter limit would split what models that know only short sentences translate as well."""


def load_runs(paths: Sequence[Path], device: str, threads: int | None) -> Loaded:
    """Load run folders; see `nmt.Translator.load`."""
    if threads is not None:
        torch.set_num_threads(threads)
    runs = [open_run(path) for path in paths]
    decoding, data = runs[0].decoding(), reopen_run(runs[0].folder)[1].data
    known, place = known_directions(data), choose_device(device)
    loaded, sources = load_models(runs, place), _sources(runs[0], data.both_directions)
    return Loaded(
        name="+".join(run.folder.name for run in runs),
        make=loaded.translator,
        decoding=decoding,
        source=loaded.source,
        heads=loaded.heads,
        finishing=Finishing(
            loaded.target,
            Calibration.load(runs[0].confidence) if len(runs) == 1 else UNCALIBRATED,
            ExampleFinder(lambda: loaded.datastore.supporting(), decoding),
        ),
        limit=_limit(sources, loaded.source),
        languages=next(iter(known), None),
        directions=tuple(known) if target_languages(data) else (),
        is_unknown=unknown_text(loaded.source, sources),
        share_threads=partial(_share, torch.get_num_threads()),
    )


def _share(threads: int, batches: int) -> None:
    """Let this thread, and no other, compute with its share of so many threads."""
    own = max(1, threads // batches)
    if torch.get_num_threads() != own:
        torch.set_num_threads(own)


def _sources(run: Run, both_directions: bool) -> list[str]:
    """The sources of the development and test sets."""
    files = [run.examples(split) for split in ("dev", "test") if run.examples(split).exists()]
    examples = [example for file in files for example in load_examples(file)]
    sources = [example.source for example in examples]
    if both_directions:
        sources += [reference for example in examples for reference in example.references]
    return sources


def _limit(sources: list[str], tokenizer: Tokenizer) -> int:
    """The longest source of the development and test sets, in subwords: about the longest of the training
    set. Models translate badly what is much longer than all that they have seen.
    """
    return max([len(ids) for ids in tokenizer.encode_all(sources)] + [_SHORTEST_LIMIT])


def languages(run: Run) -> tuple[str, str] | None:
    """Codes of the languages of the main direction, where the settings of the data name them."""
    return main_direction(reopen_run(run.folder)[1].data)
