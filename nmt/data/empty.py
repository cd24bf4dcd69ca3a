"""Why a corpus leaves a split empty, and what the user can do about it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmt.data.split import LARGE_COMPONENT, SPLITS


def all_held_out(dropped: Mapping[str, int]) -> str:
    """What to add to an error if there are no pairs left: how many were dropped for the sets of the user."""
    shared = sum(count for reason, count in dropped.items() if reason.startswith("in_"))
    return f"; {shared} share a sentence with the development or test set" if shared else ""


def why_empty(split: str, pairs: int, sizes: NDArray[np.int64], dropped: Mapping[str, int]) -> str:
    """Error message for an empty split: the cause and the remedy.

    Args:
        split: "train", "dev" or "test".
        pairs: number of cleaned pairs.
        sizes: of the components, [C].
        dropped: number of the other pairs by reason.
    """
    own = "dev and test sets of your own (data.dev_path, data.test_path)"
    if split != "train":
        own = (
            f"a {split} set of your own (data.{split}_path=FILE.tsv, or data.{split}_source_path=FILE and "
            f"data.{split}_target_paths=FILE)"
        )
    lost = "".join(
        f"; {dropped[reason]:,} more were dropped by {key}"
        for reason, key in (("too_long", "data.max_words"), ("ratio", "data.max_ratio"))
        if dropped[reason] > pairs
    )
    divisible = int((sizes <= LARGE_COMPONENT).sum())
    if divisible < len(SPLITS):
        return (
            f"all of its {pairs:,} usable pairs are connected through shared sentences (the largest "
            f"connected component has {sizes.max():,}), and a component is never split, so that "
            f"train, dev and test share no sentence; this leaves the {split} set empty; provide {own}, "
            f"or add pairs that share no sentence with these{lost}"
        )
    if split == "train":
        return (
            f"its {pairs:,} usable pairs leave nothing to train on; lower data.dev_fraction and "
            f"data.test_fraction{lost}"
        )
    return (
        f"its {pairs:,} usable pairs leave the {split} set empty: they form {len(sizes):,} components of "
        f"pairs that share sentences, and each goes to one split; raise data.{split}_fraction, or provide "
        f"{own}{lost}"
    )
