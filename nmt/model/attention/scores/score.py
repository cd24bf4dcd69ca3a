"""What an attention score is: how well a query matches each source state. One module per formula.

A score prepares its keys once per sentence and is then called once per decoder step. With several heads,
each uses its own slice (Vaswani et al. 2017, §3.2.2).

Shapes: B batch, T target length, S source length, Q query size, M state size, K heads, D key size per
head.
"""

from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from nmt.config.extensions import SCORES
from nmt.config.model import AttentionConfig, ModelConfig
from nmt.model.linear import Linear


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """[B, L, K·D] → [B, K, L, D]: head k has the k-th slice of each vector."""
    B, L, size = vectors.shape
    return vectors.view(B, L, heads, size // heads).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """[B, K, L, D] → [B, L, K·D]: the inverse of `split_heads`."""
    return vectors.transpose(1, 2).flatten(2)


class LoopForm(NamedTuple):
    """A score as vᵀ tanh(W s + key), or without v as (W s)ᵀ key: the forms that the loops with a hand-written
    backward pass (`nmt.model.loops`) know. They are for one head.

    Attributes:
        query: W, [D, Q]; None: the identity.
        energy: v, [D]; None: a dot product.
    """

    query: Tensor | None
    energy: Tensor | None


class Score(nn.Module):
    """score(s, h) of queries s and encoder states h. How to add one: docs/extending.md.

    Args:
        query_size: Q.
        state_size: M.
        config: heads, and the settings in `uses`.

    Attributes:
        requires: dotted keys of the settings that must be given with this score.
        uses: those that have an effect with it besides, but not with every score.
        divided: dotted key of the size that is split among the heads, besides `model.encoder.size`.
        own_initialisation: whether its own parameters (not those of submodules) keep the values set by the
            constructor, whatever `model.initialisation` says.
        heads: K.
        key_size: D.
        positions: number of positions that have a score; None: all have one.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    divided: ClassVar[str | None] = "model.decoder.size"
    own_initialisation: ClassVar[bool] = False
    heads: int
    key_size: int
    positions: int | None = None

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()

    @staticmethod
    def conflicts(model: ModelConfig) -> list[str]:
        """What is wrong with the settings, one message each."""
        return []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A subclass with a `forward` of its own does not inherit the loop form of another."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "loop_form" not in vars(cls):
            cls.loop_form = Score.loop_form  # type: ignore[method-assign]

    def loop_form(self) -> LoopForm | None:
        """The same score for a hand-written loop, with the keys of `prepare`; None: there is no such form."""
        return None

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → keys, [B, K, S, D]; once per sentence."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        raise NotImplementedError


class ProjectedKeysScore(Score):
    """Base class of the scores that compare the query with W h."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.heads, self.key_size = config.heads, query_size // config.heads
        self.key = Linear(state_size, query_size, bias=False)  # W

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W h, [B, K, S, D]."""
        return split_heads(self.key(states), self.heads)


def build_score(query_size: int, state_size: int, config: AttentionConfig) -> Score:
    """The score that `model.attention.score` chooses. Arguments as for `Score`."""
    chosen = SCORES.load(config.score)
    assert issubclass(chosen, Score), chosen
    return chosen(query_size, state_size, config)
