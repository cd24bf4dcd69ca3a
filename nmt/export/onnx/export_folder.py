"""A model as a folder that translates without PyTorch (`nmt.onnx`)."""

import copy
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data

from nmt.config.decoding import DecodingConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import to_dict
from nmt.data.tokenizer import Tokenizer
from nmt.errors import ConfigError
from nmt.export.onnx.batch_invariance import swap_scores
from nmt.export.onnx.best_tokens import add_best_tokens, groups
from nmt.export.onnx.merging import merge_products
from nmt.export.onnx.quantising import quantise
from nmt.export.onnx.recurrent_operators import OperatorEncoder
from nmt.export.onnx.search_graphs import EXAMPLE_TOKEN, EncoderGraph, StepGraph, example, named, tensors
from nmt.export.onnx.tracing import FREE, free_sizes, trace
from nmt.files import naming, sha256, sync_folder, write_bytes, write_json
from nmt.model.encoders.recurrent import RecurrentEncoder
from nmt.model.inference.prepared import PreparedModel
from nmt.model.translation import TranslationModel
from nmt.onnx import names
from nmt.onnx.exported import About

_ALIGNMENT = 4096  # bytes: pages of memory
_BATCH_TOKENS = {names.FP32: 4096, names.INT8: 2048}
"""Of the search, at most: larger batches gain nothing on a CPU, and take more memory."""


def export_graphs(model: TranslationModel, precision: str) -> dict[str, onnx.ModelProto]:
    """The graphs of a model, by file name.

    Args:
        model: in evaluation mode, on the CPU, in float32.
        precision: one of `names.PRECISIONS`.
    """
    step = _step_graph(PreparedModel(model))
    read = [value.name for value in step.graph.input if value.name.startswith((names.STATE, names.MEMORY))]
    add_best_tokens(step, model.target.table.num_embeddings)
    encoder = _encoder_graph(model, read)
    merge_products(encoder)
    graphs = {names.ENCODER: encoder, names.STEP: step}
    for graph in graphs.values():
        swap_scores(graph)
        if precision == names.INT8:
            quantise(graph)
    return graphs


def _encoder_graph(model: TranslationModel, outputs: list[str]) -> onnx.ModelProto:
    exported = copy.deepcopy(model).requires_grad_(False)
    if isinstance(exported.encoder, RecurrentEncoder):
        exported.encoder = OperatorEncoder(exported.encoder).eval()
    graph = EncoderGraph(PreparedModel(exported), outputs)
    arguments = torch.full((3, 7), EXAMPLE_TOKEN), torch.tensor([7, 5, 6])
    inputs = (names.SOURCE, names.LENGTHS)
    return trace(graph, arguments, ({0: FREE, 1: FREE}, {0: FREE}), inputs, outputs)


def _step_graph(prepared: PreparedModel) -> onnx.ModelProto:
    with torch.inference_mode(False), torch.no_grad():
        (state, memory), others = example(prepared, 3, 7), example(prepared, 2, 6)
    values, other_values = named(state, memory), named(*others)
    free = [free_sizes(value, other_values[name]) for name, value in values.items()]
    indices = {
        names.TOKENS: torch.tensor([4, 5, 6, 7, 8, 9, 10, 11]),
        names.PARENTS: torch.tensor([0, 2]),
        names.SIBLINGS: torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]),
        names.ROWS: torch.tensor([[0, 1, 2, 3, 0], [0, 0, 0, 0, 0], [4, 5, 6, 7, 0]]),
        names.SLOTS: torch.tensor([0, 1, 2, 3, 10, 11, 12, 13]),
    }
    sizes: list[Any] = [dict.fromkeys(range(index.dim()), FREE) for index in indices.values()]
    attention = [names.ATTENTION] if prepared.heads else []
    after = [names.NEXT + name for name in tensors(state)]
    return trace(
        StepGraph(prepared, state, memory),
        (*indices.values(), torch.tensor(4), [value.clone() for value in values.values()]),
        (*sizes, {}, free),
        (*indices, names.TIME, *values),
        (names.LOG_PROBABILITIES, *attention, *after),
    )


def move_weights(graphs: Iterable[onnx.ModelProto]) -> bytes:
    """Move the large constants of the graphs to a file next to theirs, and return its content."""
    content = bytearray()
    for tensor in [tensor for graph in graphs for tensor in graph.graph.initializer]:
        value = numpy_helper.to_array(tensor).tobytes()
        if len(value) >= _ALIGNMENT:
            content += bytes(-len(content) % _ALIGNMENT)
            tensor.raw_data = value
            set_external_data(tensor, names.WEIGHTS, len(content), len(value))
            tensor.ClearField("raw_data")
            content += value
    return bytes(content)


def exported_files(
    model: TranslationModel,
    tokenizers: tuple[Tokenizer, Tokenizer],
    config: ModelConfig,
    decoding: DecodingConfig,
    about: About,
    precision: str,
) -> dict[str, bytes]:
    """The content of each file of an exported model, but for the manifest.

    Args:
        model: in evaluation mode, on the CPU, in float32.
        tokenizers: of source and target.
        config, decoding: settings of the model and of the search.
        about: of the run.
        precision: one of `names.PRECISIONS`.

    Raises:
        ConfigError: if the model does what ONNX cannot.
    """
    graphs = export_graphs(model, precision)
    files = {names.WEIGHTS: move_weights(graphs.values())}
    files |= {name: graph.SerializeToString() for name, graph in graphs.items()}
    files |= {names.SOURCE_TOKENIZER: tokenizers[0].model, names.TARGET_TOKENIZER: tokenizers[1].model}
    settings = {
        "format": names.FORMAT,
        "precision": precision,
        "heads": model.heads,
        "groups": groups(model.target.table.num_embeddings),
        "about": about._asdict(),
        "model": to_dict(config),
        "decoding": to_dict(for_cpu(decoding, precision)),
    }
    return files | {names.SETTINGS: json.dumps(settings, ensure_ascii=False, indent=2).encode()}


def for_cpu(decoding: DecodingConfig, precision: str) -> DecodingConfig:
    """The settings of the search of a run, which may have been meant for a GPU, on a CPU."""
    return replace(decoding, batch_tokens=min(decoding.batch_tokens, _BATCH_TOKENS[precision]))


def write_exported(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write these files and their manifest to `folder`, in one go; an exported model there is replaced.

    Raises:
        ConfigError: if the folder has other files in it.
        OSError: if writing fails; it names `folder`, and what was there is kept.
    """
    check_replaceable(folder)
    fresh, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("new", "old"))
    try:
        with naming(folder):
            for left in (fresh, old):  # left by a crash
                shutil.rmtree(left, ignore_errors=True)
            fresh.mkdir(parents=True)
            for name, content in files.items():
                write_bytes(fresh / name, content)
            write_json(fresh / names.MANIFEST, {name: sha256(fresh / name) for name in sorted(files)})
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """Nothing but an exported model may be replaced.

    Raises:
        ConfigError: if there is anything else.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    known = {*names.FILES, names.CONFIDENCE, names.MANIFEST}
    if not folder.is_dir() or folder.is_symlink() or {path.name for path in folder.iterdir()} - known:
        raise ConfigError(
            f"{folder}: exists, and is not an exported model; choose another --output, or remove it"
        )
