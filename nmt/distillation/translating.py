"""A file of sentences translated by several runs into a TSV of pairs, in parts, of which none is done twice
if it is interrupted.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch

from nmt.config.decoding import DecodingConfig
from nmt.data.lines import file_lines
from nmt.data.workers import in_order
from nmt.decoding.combination import CombinedTranslator
from nmt.decoding.reranking import Pool, Reranker, for_candidates
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator
from nmt.device import choose_device
from nmt.distillation.progress import Progress, memory_explained, threads_restored
from nmt.errors import RunError
from nmt.evaluation.consensus import consensus
from nmt.files import replacing, write_text
from nmt.runs.load import load_combined, load_translator
from nmt.runs.run import Run

logger = logging.getLogger("nmt")
_PART = 512  # sentences
_GPU_BATCH = 32_768  # decoding.batch_tokens: a step of search takes as long with few hypotheses as with many


@dataclass(frozen=True)
class Teachers:
    """Translates parts with the teachers, which are loaded when the first part comes, in the process that
    gets it. On a CPU with one thread, so that the number of processes does not matter.

    Attributes:
        folders: of their runs.
        decoding: the search settings.
        device: for all.
        agreement: how much they have to agree on a translation, each searching by itself; None: they search
            together, as `decoding.combine` says. The agreement is the mean chrF2 of a translation with
            those by the others, 0 to 100 (`nmt.evaluation.consensus`).
        reverse: folder of a run of the other direction, which ranks the candidates of each that searches
            (`nmt.decoding.reranking`); None: they are in the order of the search.
    """

    folders: tuple[Path, ...]
    decoding: DecodingConfig
    device: str
    agreement: float | None = None
    reverse: Path | None = None

    @cached_property
    def _translators(self) -> list[Translator | CombinedTranslator]:
        """One, or one of each teacher, if they have to agree."""
        device = choose_device(self.device)
        if device.type == "cpu":
            torch.set_num_threads(1)
        runs, own = [Run(folder) for folder in self.folders], _for_device(self.decoding, device)
        if self.agreement is None:
            return [load_combined(runs, [own] * len(runs), device, self._back)]
        if self.reverse is not None:
            own = for_candidates(own, own)
        return [load_combined([run], [own], device) for run in runs]

    @cached_property
    def _back(self) -> Translator | None:
        """In the other direction."""
        if self.reverse is None:
            return None
        run, device = Run(self.reverse), choose_device(self.device)
        return load_translator(run, _for_device(run.decoding(), device), device)

    def __call__(self, sentences: list[str]) -> str:
        """The lines of the pairs; a translation that is blank, was cut at the length limit, or that the
        teachers do not agree on makes none.
        """
        chosen = map(self._chosen, zip(*self._best(sentences), strict=True))
        return "".join(
            f"{sentence}\t{best.text}\n"
            for sentence, best in zip(sentences, chosen, strict=True)
            if best is not None and best.finished and best.text
        )

    def _best(self, sentences: list[str]) -> list[list[Translation]]:
        """The best translation of each sentence by all together, or by each; the candidates of all are ranked
        at once, as many are found by several.
        """
        decoding = self.decoding
        if self.agreement is None or self._back is None:
            return [[best for best, *_ in one.translate(sentences)] for one in self._translators]
        pools = [
            Pool(sentence, [candidates], decoding.method == "sample", decoding.reverse_weight)
            for one in self._translators
            for sentence, candidates in zip(
                sentences, one.translate(sentences, decoding.candidates), strict=True
            )
        ]
        ranked = Reranker(consensus=False, reverse=self._back).rank(pools)
        best = [first for first, *_ in ranked]
        return [best[start : start + len(sentences)] for start in range(0, len(best), len(sentences))]

    def _chosen(self, translations: Sequence[Translation]) -> Translation | None:
        """The one most like the others, if they agree."""
        if self.agreement is None:
            return translations[0]
        number, agreement = consensus([one.text for one in translations])
        return translations[number] if agreement >= self.agreement else None


def translate_file(
    sentences: Path, output: Path, teachers: Teachers, workers: int | None = None, gpu_workers: int = 1
) -> None:
    """Translate a file with some runs, by beam search.

    What is translated is kept in a folder next to `output` until all is; a second call goes on from there.
    The result does not depend on the number of processes.

    Args:
        sentences: cleaned, distinct, one per line.
        output: sentences and translations, separated by tabs; without translations that are blank, were cut
            at the length limit, or that the teachers do not agree on.
        teachers: the runs, with the device as the setting.
        workers: on a CPU: number of processes, by default one per core.
        gpu_workers: the same on a GPU.

    Raises:
        ConfigError: if the tokenizers of the teachers of an ensemble differ.
        RunError: if a checkpoint is missing or corrupt, or no translation can be used.
        NmtError: if the memory of a GPU does not suffice for the processes.
    """
    chosen = choose_device(teachers.device)
    if chosen.type != "cpu":
        workers = gpu_workers
    parts = output.with_name(f"{output.stem}.parts")
    parts.mkdir(exist_ok=True)
    total, done = sum(1 for _ in file_lines(sentences)), len(list(parts.glob("*.tsv")))
    logger.info(f"{total:,} sentences, {min(done * _PART, total):,} of them translated before")
    together = replace(teachers, device=str(chosen))
    progress = Progress("translated", "sentences", total, done * _PART)
    with (
        memory_explained(workers),
        threads_restored(),
        closing(in_order(together, _parts(sentences, done), workers)) as results,
    ):
        for number, lines in enumerate(results, done):
            write_text(parts / f"{number:07d}.tsv", lines)
            progress.add(_PART)
    translations = sorted(parts.glob("*.tsv"))
    kept = sum(1 for part in translations for _ in file_lines(part))
    unusable = "blank or cut at the length limit"
    if teachers.agreement is not None:
        unusable += ", or the teachers do not agree on them"
    if not kept:
        raise RunError(
            f"{parts}: none of the {total:,} translations by the teachers can be used: all are {unusable}; "
            "train the teachers longer, in a new run"
        )
    _join(translations, output)
    shutil.rmtree(parts)
    logger.info(f"synthetic pairs: {kept:,}; {total - kept:,} translations left out as {unusable}")


def _for_device(decoding: DecodingConfig, device: torch.device) -> DecodingConfig:
    """With large batches on a GPU."""
    if device.type == "cpu":
        return decoding
    return replace(decoding, batch_tokens=max(decoding.batch_tokens, _GPU_BATCH))


def _parts(sentences: Path, done: int) -> Iterator[list[str]]:
    lines = (line for _, line in islice(file_lines(sentences), done * _PART, None))
    while part := list(islice(lines, _PART)):
        yield part


def _join(parts: Sequence[Path], output: Path) -> None:
    with replacing(output, "wb") as file:
        for part in parts:
            with part.open("rb") as lines:
                shutil.copyfileobj(lines, file)
