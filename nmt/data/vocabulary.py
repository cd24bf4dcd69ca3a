"""The tokenizers of a prepared corpus, trained once and cached beside it, and its links in their pieces."""

import hashlib
import json

from nmt.config import DataConfig
from nmt.data.alignment import Link, expand_links, parse_pharaoh, piece_groups
from nmt.data.examples import Example
from nmt.data.prepare import Prepared
from nmt.data.text import word_spans
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.errors import DataError, RunError
from nmt.files import write_bytes
from nmt.schema import to_dict


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


def piece_links(example: Example, source: Tokenizer, target: Tokenizer) -> list[Link]:
    """The word alignment of a training example as links between its pieces."""
    groups = []
    for tokenizer, text in ((source, example.source), (target, example.references[0])):
        tokens = tokenizer.cut(text)
        groups.append(piece_groups(tokens.spans, word_spans(tokens.text)))
    return expand_links(parse_pharaoh(example.alignments[0]), *groups)


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
