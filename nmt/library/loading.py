"""Loading what a `Translator` is made of, from run folders or from an exported model."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from nmt.decoding.translator import Translator as SearchTranslator
from nmt.errors import ConfigError
from nmt.evaluation.confidence import Calibration
from nmt.library.collecting import Finishing
from nmt.library.loaded import Loaded
from nmt.onnx.names import CONFIDENCE, is_exported


def load(paths: Sequence[Path], device: str, threads: int | None) -> Loaded:
    """Load run folders or an exported model; see `nmt.Translator.load`. PyTorch is imported for runs only."""
    exported = [path for path in paths if is_exported(path)]
    if not exported:
        if find_spec("torch") is None:
            raise ConfigError(
                f"{paths[0]}: not an exported model (python -m nmt.export), and runs need PyTorch, which is "
                "not installed"
            )
        from nmt.library.run_loading import load_runs

        return load_runs(paths, device, threads)
    if len(paths) > 1:
        raise ConfigError(f"{exported[0]}: an exported model cannot be part of an ensemble; give run folders")
    if device not in ("auto", "cpu"):
        raise ConfigError(f"device={device}: an exported model runs on the CPU; choose auto or cpu")
    return _load_exported(exported[0], threads)


def _load_exported(folder: Path, threads: int | None) -> Loaded:
    if find_spec("onnxruntime") is None:
        raise ConfigError(f"{folder}: an exported model needs onnxruntime: pip install onnxruntime")
    from nmt.onnx.exported import open_exported

    model, source, target, decoding, about = open_exported(folder, threads)
    return Loaded(
        name=about.name,
        make=lambda config: SearchTranslator(model, source, target, config),
        decoding=decoding,
        source=source,
        heads=model.heads,
        finishing=Finishing(target, Calibration.load(folder / CONFIDENCE)),
        limit=about.limit,
        languages=about.languages,
    )
