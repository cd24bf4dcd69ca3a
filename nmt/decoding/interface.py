"""What search needs of a model; and of a constraint: see `nmt.decoding.constraint`.

Search runs on the host, in NumPy. A model computes wherever it likes (`nmt.decoding.torch_model` is the
adapter to PyTorch): its state and its predictions are opaque values, and search asks for the few numbers that
it needs, once per step.

Shapes: B sentences, b of them still being decoded, N rows (hypotheses that are computed), K slots per
sentence (the beam size), H attention heads, S source length, T target length, V vocabulary, C candidates per
row, M tokens asked for by name. Masks are True at real tokens.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.constraint import Constraint

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

_NOTHING: Integers = np.zeros(0, np.int64)


# ---------------------------------------------------------------- models


class Rows(NamedTuple):
    """What one step computes: N rows, sentence by sentence. The rows of a sentence are its best hypotheses,
    in its first slots.

    Attributes:
        tokens: [N], the last token of each.
        parents: [N], the row of the step before that each extends; at the first step, the sentence.
        counts: [b], the number of rows of each sentence, 1 to K.
        going: [b], which of the sentences of the step before these are; None: all of them. One is named twice
            where its search branches.
        width: K.
    """

    tokens: Integers
    parents: Integers
    counts: Integers
    going: Integers | None
    width: int

    @property
    def sentences(self) -> Integers:
        """[N], the sentence of each row, 0 to b - 1, ascending."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def slots(self) -> Integers | None:
        """[N], the slot of each row among b·K, ascending; None: every slot has a row."""
        if len(self.tokens) == len(self.counts) * self.width:
            return None
        return np.flatnonzero(np.arange(self.width) < self.counts[:, None])


@dataclass(frozen=True)
class Query:
    """What search asks of the predictions of a step.

    Attributes:
        count: C, the number of best tokens of each row.
        banned: tokens that are not candidates in any row, [X].
        bans: rows and tokens, [Y] and [Y]: the tokens that are not candidates in these rows either.
        named: rows and tokens, [M] and [M]: tokens whose log-probabilities are wanted, candidates or not.
        attention: whether the attention weights are wanted.
        rows: those that are asked about, as whose indices `bans` and `named` count; None: all.
    """

    count: int
    banned: Integers
    bans: tuple[Integers, Integers] = (_NOTHING, _NOTHING)
    named: tuple[Integers, Integers] = (_NOTHING, _NOTHING)
    attention: bool = False
    rows: Integers | None = None


class Answer(NamedTuple):
    """The reply to a `Query`.

    Attributes:
        values: [N, C], log-probabilities of the best tokens; minus infinity if there are fewer than C. If a
            row has a NaN, there is one among these.
        tokens: [N, C], ascending in each row. Of tokens that are equally probable, the lower ones are among
            the best.
        named: [M], log-probabilities of the tokens asked for, as the model predicts them.
        attention: [N, S], mean over the heads; None if not asked for.
    """

    values: Floats
    tokens: Integers
    named: Floats
    attention: Floats | None


class Attention(Protocol):
    """Attention weights [N, H, S] of some rows, wherever they are."""

    def select(self, rows: Integers) -> Self:
        """Those of rows by index."""
        ...

    def concatenate(self, others: Sequence[Self]) -> Self:
        """The rows of this one, then those of others; all of the same search."""
        ...

    def numpy(self) -> Floats:
        """[N, H, S], an array of its own."""
        ...


StateT = TypeVar("StateT")
StateT_co = TypeVar("StateT_co", covariant=True)


class Step(Protocol[StateT_co]):
    """The result of one step, for N rows."""

    @property
    def state(self) -> StateT_co:
        """The state after this step."""
        ...

    @property
    def attention(self) -> Attention:
        """The attention weights of each row, N rows."""
        ...

    def read(self, query: Query) -> Answer:
        """The numbers that beam and greedy search need. A GPU is waited for once, but where several tokens
        are equally probable at the cut-off.
        """
        ...

    def log_probabilities(self) -> Floats:
        """[N, V], all of them, none above 0: a new array or a view that the caller must not change."""
        ...


class SearchModel(Protocol[StateT]):
    """A model that can be searched, sampled from and aligned, in evaluation mode. Its methods change nothing
    in it, so that several threads can call them at the same time. The state is an immutable value with the
    decoder's state and the encoded source.
    """

    @property
    def heads(self) -> int:
        """H, the number of attention heads; 0: it has no attention."""
        ...

    def encode(self, source: Integers, mask: Booleans) -> StateT:
        """Encode sentences.

        Args:
            source: [B, S]; each sentence ends with end-of-sentence.
            mask: [B, S].

        Returns:
            the initial state, of B sentences with one row each.
        """
        ...

    def step(self, state: StateT, rows: Rows) -> Step[StateT]:
        """Process the last token of each row, and predict the next.

        Args:
            state: after the step before, or from `encode`.
            rows: the hypotheses to extend.
        """
        ...

    def score(
        self,
        source: Integers,
        source_mask: Booleans,
        previous: Integers,
        target: Integers,
        target_mask: Booleans,
        attention: bool,
    ) -> tuple[Floats, Floats | None]:
        """Forced decoding: score given translations.

        Args:
            source, source_mask: as for `encode`.
            previous: [B, T], the target shifted right, starting with begin-of-sentence.
            target: [B, T]; each sentence ends with end-of-sentence.
            target_mask: [B, T].
            attention: whether the attention weights are wanted.

        Returns:
            log-probability of each target token [B, T], of any value on padding; and attention weights
            [B, H, T, S], or None.
        """
        ...


# ---------------------------------------------------------------- options


@dataclass(frozen=True)
class SearchOptions:
    """What to search for in one call, beyond `nmt.config.decoding.DecodingConfig`; an index is the number of
    a sentence in the call, from 0.

    Attributes:
        nbest: number of hypotheses of each sentence, at most the beam size.
        attention: the sentences whose hypotheses get their attention.
        trace: the sentences whose beam is kept as a tree.
        constraints: of each sentence that has any.
        free: of these, those whose search without the constraint counts as well: if its best hypothesis meets
            the constraint, those of its n best that do are the result, and others follow them only if there
            are fewer than n. Of constraints with a `watch`. The value is whether a hypothesis, given as its
            tokens without end-of-sentence, meets the constraint.
        text: tokens → text; given: of several hypotheses with the same text only the best one counts.
    """

    nbest: int = 1
    attention: frozenset[int] = frozenset()
    trace: frozenset[int] = frozenset()
    constraints: dict[int, Constraint] = field(default_factory=dict)
    free: dict[int, Callable[[Sequence[int]], bool]] = field(default_factory=dict)
    text: Callable[[list[int]], Hashable] | None = None
