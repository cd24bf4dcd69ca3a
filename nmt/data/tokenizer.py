"""Subword tokenization with SentencePiece, lossless on cleaned text.

SentencePiece's own normalisation is off: ours (`nmt.data.text.clean`) is explicit and the same for
training, references and input. With byte fallback, a character not seen in training is encoded as bytes,
so there are no unknown tokens and every cleaned text round-trips exactly.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

import sentencepiece

from nmt.config.data import TokenizerConfig
from nmt.data.text import CharSpan
from nmt.errors import ConfigError, DataError, RunError

PAD, UNK, BOS, EOS = 0, 1, 2, 3  # the same in every vocabulary
EOS_PIECE = "</s>"
SPACE = "\u2581"
_RESERVED = "\u2585"
_TRAINER_SPEC = 0x12  # its tag in SentencePiece's ModelProto
_INPUT_FORMAT = b"\x3a\x03tsv"  # as a field of TrainerSpec


class Tokens(NamedTuple):
    """A text encoded as pieces.

    Attributes:
        text: the complete text.
        ids: one per piece.
        pieces: in SentencePiece's notation, `▁` for a space.
        offsets: the characters of `text` that each piece covers (empty inside a character encoded as bytes).
        tag: of a source, the id of the piece that the model reads before them (`nmt.data.target_languages`).
    """

    text: str
    ids: list[int]
    pieces: list[str]
    offsets: list[CharSpan]
    tag: int | None = None

    @property
    def input_ids(self) -> list[int]:
        """What the model reads: the tag, if any, and the pieces."""
        return self.ids if self.tag is None else [self.tag, *self.ids]


class Tokenizer:
    """A trained SentencePiece model.

    Args:
        model: the bytes of the model file; pure data, loading it executes no code.

    Raises:
        RunError: if the bytes are not a SentencePiece model.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise RunError("a tokenizer file is corrupt: not a SentencePiece model") from error
        if not model or self._processor.pad_id() != PAD or self._processor.eos_id() != EOS:
            raise RunError("a tokenizer file is incompatible: its special token ids differ")
        # Asked once of each piece, as each question takes a call.
        self._pieces: list[str] = self._processor.id_to_piece(list(range(len(self))))
        is_byte, is_control = self._processor.is_byte, self._processor.is_control
        self._bytes = {i: bytes([int(piece[3:5], 16)]) for i, piece in enumerate(self._pieces) if is_byte(i)}
        self._tags = {piece: i for i, piece in enumerate(self._pieces) if i > EOS and is_control(i)}

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def pieces(self) -> list[str]:
        """Every piece, in the order of the ids: special tokens, `<0x00>` … for bytes, then those of text."""
        return self._pieces.copy()

    def texts(self) -> dict[int, str]:
        """The pieces of text, by id: without special tokens and bytes; `▁` for a space."""
        model = self._processor
        special = (model.is_control, model.is_unknown, model.is_byte, model.is_unused)
        return {i: piece for i, piece in enumerate(self._pieces) if not any(kind(i) for kind in special)}

    def score(self, number: int) -> float:
        """Of a piece of text: the log-probability (unigram), or the priority of merging to it (bpe)."""
        return float(self._processor.get_score(number))

    def encode(self, text: str) -> list[int]:
        """Cleaned text → ids, without end-of-sentence."""
        ids: list[int] = self._processor.encode(text)
        return ids

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """Cleaned texts → the ids of each, as `encode`."""
        ids: list[list[int]] = self._processor.encode(texts, num_threads=1)
        return ids

    def piece_id(self, piece: str) -> int:
        """The id of a piece that no text is encoded as, such as `<synthetic>`.

        Raises:
            ConfigError: if the vocabulary has no such piece.
        """
        number = int(self._processor.piece_to_id(piece))
        if number in (PAD, UNK, BOS, EOS) or not self._processor.is_control(number):
            raise ConfigError(
                f"data.extra: the vocabulary has no piece {piece}; it was made without this tag"
            )
        return number

    def tags(self) -> dict[str, int]:
        """The pieces for which there is a `piece_id`, with it, in the order of the ids."""
        return self._tags.copy()

    def decode(self, ids: Sequence[int]) -> str:
        """Ids → text."""
        return self.decode_with_offsets(ids).text

    def encode_with_offsets(self, text: str) -> Tokens:
        """Cleaned text → its pieces and their offsets."""
        ids = self.encode(text)
        # An unknown piece is the text that it stands for.
        unknown = UNK in ids
        pieces = self._processor.encode(text, out_type=str) if unknown else [self._pieces[i] for i in ids]
        return self._with_offsets(ids, pieces)

    def decode_with_offsets(self, ids: Sequence[int]) -> Tokens:
        """Ids (such as a hypothesis) → the decoded text and the offsets of each piece in it.

        Bytes that are not valid UTF-8 become U+FFFD; an unknown piece becomes U+2047.
        """
        return self._with_offsets(list(ids), ["\u2047" if i == UNK else self._pieces[i] for i in ids])

    def _with_offsets(self, ids: list[int], pieces: list[str]) -> Tokens:
        if self._bytes.keys().isdisjoint(ids):
            text, ends = "".join(pieces), [*accumulate(map(len, pieces))]
        else:
            text, ends = self._decoded(ids, pieces)
        if text.startswith(SPACE):  # SentencePiece puts a space before the first word
            text, ends = text[1:], [max(end - 1, 0) for end in ends]
        return Tokens(text.replace(SPACE, " "), ids, pieces, list(map(CharSpan, [0, *ends], ends)))

    def _decoded(self, ids: list[int], pieces: list[str]) -> tuple[str, list[int]]:
        """The text of pieces, of which some are bytes, and where in it each of them ends."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, ends = "", []
        for number, piece in zip(ids, pieces, strict=True):
            text += decoder.decode(self._bytes.get(number) or piece.encode())
            ends.append(len(text))
        text += decoder.decode(b"", final=True)
        return text, [*ends[:-1], len(text)]  # an incomplete character belongs to the last piece


def count_words(sentences: Iterable[str]) -> Counter[str]:
    """How often each word occurs in cleaned sentences. As in SentencePiece, a word is what stands between
    spaces, and a sentence with U+2585, which it uses itself, is left out.
    """
    return Counter(chain.from_iterable(text.split(" ") for text in sentences if _RESERVED not in text))


def train_tokenizer(
    sentences: Iterable[str], config: TokenizerConfig, key: str, pieces: Sequence[str] = ()
) -> bytes:
    """Train SentencePiece; deterministic: the same sentences give the same bytes.

    Args:
        sentences: cleaned, from the training set only.
        config: kind and size.
        key: the config key to name in errors, such as `data.tokenizer`.
        pieces: further pieces, such as `<synthetic>`, which no text is encoded as.

    Raises:
        ConfigError: if the vocabulary is too small for the corpus's characters.
        DataError: if reading the sentences raises it.
    """
    if trains_on_words(config):
        return train_on_words(count_words(sentences), config, key, pieces)
    failed: list[DataError] = []  # SentencePiece turns an error of its input into one of its own

    def read() -> Iterator[str]:
        try:
            yield from sentences
        except DataError as error:
            failed.append(error)
            raise

    try:
        return _train(read(), config, key, pieces)
    except ConfigError:
        if failed:
            raise failed[0] from None
        raise


def trains_on_words(config: TokenizerConfig) -> bool:
    """Whether a tokenizer depends only on how often each word occurs. The candidates for the pieces of a
    unigram model are substrings of the sentences.
    """
    return config.kind != "unigram"


def train_on_words(
    words: Mapping[str, int], config: TokenizerConfig, key: str, pieces: Sequence[str] = ()
) -> bytes:
    """As `train_tokenizer`, in less memory: SentencePiece keeps what it trains on.

    Args:
        words: from `count_words`, in any order; `trains_on_words` is true.
        config, key, pieces: as in `train_tokenizer`.

    Raises:
        ConfigError: as `train_tokenizer`.
    """
    lines = (f"{word}\t{words[word]}" for word in sorted(words))
    return _without_input_format(_train(lines, config, key, pieces, input_format="tsv"))


def _train(
    lines: Iterator[str], config: TokenizerConfig, key: str, pieces: Sequence[str], **settings: Any
) -> bytes:
    writer = io.BytesIO()
    if pieces:
        settings["control_symbols"] = list(pieces)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=writer,
            model_type=config.kind,
            vocab_size=config.vocab_size,
            hard_vocab_limit=False,  # a small corpus may give a smaller vocabulary
            byte_fallback=config.byte_fallback,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            max_sentence_length=1 << 20,
            num_threads=1,
            minloglevel=2,
            **settings,
        )
    except RuntimeError as error:
        raise ConfigError(_why_not(str(error), config, key)) from error
    return writer.getvalue()


def _why_not(error: str, config: TokenizerConfig, key: str) -> str:
    """The message for an error of training."""
    least = re.search(r"required_chars\D+(\d+) vs (\d+)", error)
    if least:
        return f"{key}.vocab_size={config.vocab_size}: must be at least {least[2]} for this corpus"
    if "(vocab_size) >= (0)" in error:
        return f"{key}.vocab_size={config.vocab_size}: too small; bytes and special tokens take 260"
    return f"{key}: SentencePiece cannot train on this corpus: {error}"


def _without_input_format(model: bytes) -> bytes:
    """A model file without the record of how its training text was given: as if by sentences.

    It is a message of Protocol Buffers: fields of a tag, a length and the content. The settings of training
    are in one of them, and the format, "tsv", is in one of theirs.
    """
    position = 0
    while model[position] != _TRAINER_SPEC:
        length, position = _varint(model, position + 1)
        position += length
    length, start = _varint(model, position + 1)
    settings = model[start : start + length].replace(_INPUT_FORMAT, b"", 1)
    assert len(settings) == length - len(_INPUT_FORMAT)
    return model[: position + 1] + _as_varint(len(settings)) + settings + model[start + length :]


def _as_varint(value: int) -> bytes:
    """A number as bytes of seven bits, the lowest first."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _as_varint(rest) if rest else bytes([low])


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number of several bytes, the lowest seven bits first, at a position, and where it ends."""
    value = shift = 0
    while message[position] >= 128:
        value |= (message[position] - 128) << shift
        position, shift = position + 1, shift + 7
    return value | message[position] << shift, position + 1
