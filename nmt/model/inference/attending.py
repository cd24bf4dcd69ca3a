"""Attention of all hypotheses of a sentence at once: its keys are not copied for each.

Shapes: b sentences, K hypotheses per sentence, N rows, H heads, S source length, Q query size, X value size.
"""

from torch import Tensor

from nmt.model.attention.layer import Attention, Keys, average_mapped
from nmt.model.attention.scopes import LocalMonotonicScope
from nmt.model.inference.layout import Layout


def attention_weights(
    attention: Attention, query: Tensor, keys: Keys, time: int, coverage: Tensor | None, layout: Layout
) -> Tensor:
    """The weights of one decoder step, for every slot.

    Args:
        attention: the module.
        query: [N, Q].
        keys: b rows.
        time: decoder step, from 0.
        coverage: [N, H, S], if used.
        layout: of the N rows.

    Returns:
        [b, H, K, S]; of any value in slots without a row.
    """
    if attention.coverage is None and not isinstance(attention.scope, LocalMonotonicScope):
        return attention.weights(layout.pad(query), keys, time)
    # Coverage is of a hypothesis, and so are keys with it; a monotonic window moves along the query axis.
    own = keys.select(layout.sentence_of_rows(query.device))
    weights = attention.weights(query.unsqueeze(1), own, time, coverage)  # [N, H, 1, S]
    return layout.pad(weights.squeeze(2)).transpose(1, 2)


def weighted_average(weights: Tensor, values: Tensor, layout: Layout) -> Tensor:
    """Weights [b, H, K, S] and values [b, H·S, X] from `mapped_values` → [N, X]."""
    return layout.unpad(average_mapped(weights, values))


def rows_of(weights: Tensor, layout: Layout) -> Tensor:
    """[b, H, K, S] → [N, H, S]."""
    return layout.unpad(weights.transpose(1, 2))
