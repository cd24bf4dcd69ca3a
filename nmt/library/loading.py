"""Loading what a `Translator` is made of, from run folders or from an exported model."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from nmt.config.decoding import COMBINE
from nmt.decoding.search_ensemble import SearchEnsemble
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.errors import ConfigError
from nmt.evaluation.confidence import UNCALIBRATED, Calibration
from nmt.library.collecting import Finishing
from nmt.library.loaded import Loaded
from nmt.library.training_examples import ExampleFinder, no_datastore
from nmt.library.unknown import nothing_unknown, unknown_text
from nmt.onnx.names import CONFIDENCE, is_exported

_NO_DATASTORE = "retrieval and examples need a run with its datastore; an exported model has none"


def load_systems(
    paths: Sequence[Path],
    device: str,
    threads: int | None,
    combine: str | None = None,
    reverse: Path | None = None,
) -> tuple[list[Loaded], Loaded | None]:
    """Load run folders or exported models; see `nmt.Translator.load`.

    Returns:
        a run or an ensemble, or those whose consensus is wanted; and the reverse model, if any.
    """
    if combine not in (None, *COMBINE):
        raise ConfigError(f"combine={combine}: choose one of {', '.join(COMBINE)}")
    if combine == "consensus" and len(paths) == 1:
        raise ConfigError(
            "combine=consensus: has no effect with one run; name several, or choose among the candidates of "
            "one (--mbr nbest, mbr='nbest')"
        )
    if len(paths) > 1 and combine is None:
        combine = _stored_combine(paths[0])
    together = [[path] for path in paths] if combine == "consensus" else [paths]
    systems = [_load(group, device, threads) for group in together]
    if combine == "consensus":
        for path, one in zip(paths, systems, strict=True):
            _check_languages(path, one.languages, systems[0].languages, f"not as {paths[0]}")
    if reverse is None:
        return systems, None
    back = _load([reverse], device, threads)
    check_reverse(reverse, back.languages, paths[0], systems[0].languages)
    return systems, back


def check_reverse(
    reverse: Path,
    reverse_languages: tuple[str, str] | None,
    forward: Path,
    languages: tuple[str, str] | None,
) -> None:
    """Check that a reverse model translates in the other direction, if the languages are known.

    Raises:
        ConfigError: if it does not.
    """
    opposite = None if languages is None else (languages[1], languages[0])
    why = f"but {forward} needs a model of its other direction"
    _check_languages(reverse, reverse_languages, opposite, why)


def _stored_combine(path: Path) -> str:
    """The setting of a run, or of the run that an exported model was."""
    if is_exported(path):
        from nmt.onnx.exported import exported_decoding

        return exported_decoding(path).combine
    from nmt.runs.run import open_run

    return open_run(path).decoding().combine


def _check_languages(
    path: Path, found: tuple[str, str] | None, wanted: tuple[str, str] | None, why: str
) -> None:
    if found is not None and wanted is not None and found != wanted:
        raise ConfigError(f"{path}: translates from {found[0]} to {found[1]}, {why}")


def _load(paths: Sequence[Path], device: str, threads: int | None) -> Loaded:
    """A run or an exported model, or several as an ensemble. PyTorch is imported for runs only."""
    exported = [path for path in paths if is_exported(path)]
    if not exported:
        if find_spec("torch") is None:
            raise ConfigError(
                f"{paths[0]}: not an exported model (python -m nmt.export), and runs need PyTorch, which is "
                "not installed"
            )
        from nmt.library.run_loading import load_runs

        return load_runs(paths, device, threads)
    if len(exported) < len(paths):
        raise ConfigError(
            f"{exported[0]}: an exported model cannot be part of an ensemble with runs; export them all"
        )
    if device not in ("auto", "cpu"):
        raise ConfigError(f"device={device}: an exported model runs on the CPU; choose auto or cpu")
    return _load_exported(exported, threads)


def _load_exported(folders: Sequence[Path], threads: int | None) -> Loaded:
    if find_spec("onnxruntime") is None:
        raise ConfigError(f"{folders[0]}: an exported model needs onnxruntime: pip install onnxruntime")
    from nmt.onnx.exported import open_exported

    opened = [open_exported(folder, threads) for folder in folders]
    first = opened[0]
    for folder, one in zip(folders, opened, strict=True):
        if (one.source.model, one.target.model) != (first.source.model, first.target.model):
            raise ConfigError(
                f"{folder}: its tokenizers are not the same as in {folders[0]}; they may "
                "differ with --combine consensus"
            )
    alone = len(opened) == 1
    model = first.model if alone else SearchEnsemble([one.model for one in opened])
    return Loaded(
        name="+".join(one.about.name for one in opened),
        make=lambda config: SearchTranslator(model, first.source, first.target, config),
        decoding=first.decoding,
        source=first.source,
        heads=model.heads,
        finishing=Finishing(
            first.target,
            Calibration.load(folders[0] / CONFIDENCE) if alone else UNCALIBRATED,
            ExampleFinder(no_datastore(_NO_DATASTORE), first.decoding),
        ),
        limit=first.about.limit,
        languages=first.about.languages,
        directions=first.about.directions,
        is_unknown=unknown_text(first.source, ()) if first.about.copies_unknown else nothing_unknown,
    )
