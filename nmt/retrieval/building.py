"""Making the datastore of tokenised pairs.

Shapes: M target tokens of all pairs, D dimensions of a key.
"""

import numpy as np

from nmt.data.tokenizer import EOS
from nmt.model.inference.prepared import PreparedModel
from nmt.retrieval.datastore_files import Datastore
from nmt.retrieval.features import Pairs, features, principal_components


def build_datastore(model: PreparedModel, pairs: Pairs, dimension: int) -> tuple[Datastore, float]:
    """The keys and values of all target tokens of some pairs, end-of-sentence included.

    Args:
        model: the model.
        pairs: at least one.
        dimension: D, at most; as many as there are features, if these are fewer.

    Returns:
        the datastore, and the part of the variance of the features that its keys keep.
    """
    reduction = principal_components(model, pairs, dimension)
    starts = pairs.starts
    M, lengths = int(starts[-1]), np.diff(starts)
    keys = np.empty((M, len(reduction.components)), np.float16)
    for batch in features(model, pairs, pairs.every(1)):
        reduced = (batch.values - reduction.mean) @ reduction.components.t()
        keys[batch.rows] = reduced.half().cpu().numpy()
    tokens = np.full(M, EOS, np.int32)
    ends = np.zeros(M, np.bool_)
    ends[starts[1:] - 1] = True
    tokens[~ends] = pairs.targets.values
    sentences = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    positions = (np.arange(M) - starts[sentences]).astype(np.int32)
    mean, components = (part.cpu().numpy() for part in (reduction.mean, reduction.components))
    return Datastore(keys, tokens, sentences, positions, mean, components), reduction.kept
