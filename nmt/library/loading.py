"""Loading what a `Translator` is made of, from run folders or from an exported model."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from nmt.decoding.search_ensemble import SearchEnsemble
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.errors import ConfigError
from nmt.evaluation.confidence import UNCALIBRATED, Calibration
from nmt.library.collecting import Finishing
from nmt.library.loaded import Loaded
from nmt.library.training_examples import ExampleFinder, no_datastore
from nmt.onnx.names import CONFIDENCE, is_exported

_NO_DATASTORE = "retrieval and examples need a run with its datastore; an exported model has none"


def load(paths: Sequence[Path], device: str, threads: int | None) -> Loaded:
    """Load run folders or exported models; see `nmt.Translator.load`. PyTorch is imported for runs only."""
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
            raise ConfigError(f"{folder}: its tokenizers are not the same as in {folders[0]}")
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
    )
