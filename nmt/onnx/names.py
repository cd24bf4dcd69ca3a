"""Names in an exported model: of its files, and of the inputs and outputs of its graphs.

Tensors of the decoder's state are `state…` where they are read and `next…` where a step returns them; those
of the encoded source are `memory…`.
"""

from pathlib import Path

FORMAT = 1
"""Of the folder; a change that old versions cannot read gets another number."""
PRECISIONS = FP32, INT8 = "fp32", "int8"
"""Of the weights and the products with them."""
SETTINGS, MANIFEST = "exported.json", "manifest.json"
ENCODER, STEP, WEIGHTS = "encoder.onnx", "step.onnx", "weights.bin"
SOURCE_TOKENIZER, TARGET_TOKENIZER = "source.model", "target.model"
GRAPHS = (ENCODER, STEP)
FILES = (*GRAPHS, WEIGHTS, SOURCE_TOKENIZER, TARGET_TOKENIZER, SETTINGS)
CONFIDENCE = "confidence.json"
"""The calibration of the confidence; only if the run had one."""

SOURCE, LENGTHS = "source", "lengths"
TOKENS, PARENTS, SIBLINGS, ROWS, SLOTS, TIME = "tokens", "parents", "siblings", "rows", "slots", "time"
LOG_PROBABILITIES, ATTENTION = "log_probabilities", "attention"
STATE, NEXT, MEMORY = "state", "next", "memory"
COUNT, BEST, BEST_TOKENS = "count", "best", "best_tokens"


def is_exported(folder: Path) -> bool:
    """Whether a folder has an exported model."""
    return (folder / SETTINGS).is_file()
