"""Which training sentences a translation is made of.

Shapes: T target tokens of a translation, without end-of-sentence.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config.decoding import RetrievalConfig
from nmt.data.grouping import pad
from nmt.data.tokenizer import BOS, EOS
from nmt.model.inference.prepared import PreparedModel
from nmt.retrieval.token_memory import TokenMemory


@dataclass(frozen=True)
class SupportingSentences:
    """Finds the training sentences whose tokens support those of a translation. Several threads can use it.

    Attributes:
        model: the model that the translations are of.
        memory: the training tokens.
        sentences: the number of the pair that each is of, [M].
        pairs: the training pairs, source and target.
    """

    model: PreparedModel
    memory: TokenMemory
    sentences: NDArray[np.int32]
    pairs: Sequence[tuple[str, str]]

    @torch.inference_mode()
    def of_tokens(
        self, source: Sequence[int], target: Sequence[int], config: RetrievalConfig
    ) -> list[dict[int, float]]:
        """Of each token of a translation, the support of training sentences, by their number: the kernel
        weights of those of the k tokens nearest to it that are the same token.

        Args:
            source, target: tokens, T of the target; without end-of-sentence.
            config: k and temperature.
        """
        tokens, mask = pad([source], last=EOS)
        previous, target_mask = pad([target], first=BOS)
        given = (
            torch.from_numpy(part).to(self.model.device) for part in (tokens, mask, previous, target_mask)
        )
        inputs, _ = self.model.forced_inputs(*given)
        retrieved = self.memory.retrieve(inputs[: len(target)], config)
        found: list[dict[int, float]] = []
        rows = (part.tolist() for part in retrieved)
        for token, indices, tokens_of_row, weights in zip(target, *rows, strict=True):
            support: dict[int, float] = defaultdict(float)
            for index, value, weight in zip(indices, tokens_of_row, weights, strict=True):
                if value == token:
                    support[int(self.sentences[index])] += weight
            found.append(dict(support))
        return found
