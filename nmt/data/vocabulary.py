"""The tokenizers of a prepared corpus, trained once and cached beside it."""

import hashlib
import json

from nmt.config import DataConfig, to_dict
from nmt.data.prepare import Prepared
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.errors import DataError, RunError
from nmt.files import write_bytes


def load_tokenizers(prepared: Prepared, config: DataConfig) -> tuple[Tokenizer, Tokenizer]:
    """The source and the target tokenizer, trained on the training part alone.

    Args:
        prepared: the corpus.
        config: kind and size are in `config.tokenizer`; with `joint`, both are one.

    Raises:
        ConfigError: when the corpus does not allow such a vocabulary.
        DataError: when a cached tokenizer is damaged.
    """
    train = prepared.parts["train"]
    sides = {
        "source": [example.source for example in train],
        "target": [reference for example in train for reference in example.references],
    }
    if config.tokenizer.joint:
        both = _load(prepared, config, "joint", sides["source"] + sides["target"])
        return both, both
    return _load(prepared, config, "source", sides["source"]), _load(
        prepared, config, "target", sides["target"]
    )


def _load(prepared: Prepared, config: DataConfig, side: str, sentences: list[str]) -> Tokenizer:
    name = hashlib.sha256(json.dumps(to_dict(config.tokenizer), sort_keys=True).encode()).hexdigest()[:12]
    path = prepared.folder / f"tokenizer-{name}.{side}.model"
    if not path.exists():
        model = train_tokenizer(sentences, config.tokenizer, "data.tokenizer")
        write_bytes(path, model)
    try:
        return Tokenizer(path.read_bytes())
    except RunError as error:
        raise DataError("damaged; delete it to train the tokenizer again", path) from error
