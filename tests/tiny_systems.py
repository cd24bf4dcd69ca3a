"""Untrained translators with tokenizers of their own."""

import dataclasses

from tiny import ENGLISH, MARATHI, TINY, tiny_model, tiny_tokenizers, with_decoder

from nmt.config.data import TokenizerConfig
from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import EOS, Tokenizer, train_tokenizer
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator

DECODING = DecodingConfig(beam_size=4, candidates=3, max_length=8)
TEXTS = [*ENGLISH[:3], "", "the dog " * 9]


def two_sides() -> list[tuple[Tokenizer, Tokenizer]]:
    """Two pairs of tokenizers, which differ."""
    config = TokenizerConfig(vocab_size=330, kind="unigram")
    source, target = (Tokenizer(train_tokenizer(text, config, "x")) for text in (ENGLISH, MARATHI))
    found = [tiny_tokenizers(), (source, target)]
    assert found[0][1].encode(MARATHI[0]) != target.encode(MARATHI[0])
    return found


def tiny_system(source: Tokenizer, target: Tokenizer, seed: int = 3, style="bahdanau", **changes):
    """A translator with random weights."""
    model = tiny_model(len(source), len(target), with_decoder(TINY, style=style), seed=seed)
    model.vocabulary.bias.data[EOS] += 1.2  # so that some translations finish with EOS
    return Translator(TorchModel(model), source, target, dataclasses.replace(DECODING, **changes))
