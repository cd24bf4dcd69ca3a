"""The output layers of a translation model as one matrix product.

Shapes: N rows, F feature size, E size of a source embedding, V target vocabulary.
"""

import torch
from torch import Tensor, nn

from nmt.model.inference.weights import search_copy
from nmt.model.translation import TranslationModel


class OutputLayer:
    """Log-probabilities from features and attended source embeddings: log softmax(W x + b + V g(f)), with the
    projection W (or tied embeddings) and the lexical model's V side by side in one matrix; or, where the
    lexical model shares W, log softmax(W (x + g(f)) + b).

    Args:
        model: whose output layers it computes, with the weights that they have now.
    """

    def __init__(self, model: TranslationModel) -> None:
        lexical = model.lexical
        self._hidden = None if lexical is None else search_copy(lexical.hidden)
        self._lexical_resize = None if lexical is None else search_copy(lexical.resize)
        self._shares = lexical is not None and lexical.output is None
        self._resize: nn.Module = nn.Identity()
        if model.tied is not None:
            self._resize = search_copy(model.tied.resize)
            weight, bias = model.target.table.weight, model.tied.bias
        else:
            assert model.vocabulary is not None
            weight, bias = model.vocabulary.weight, model.vocabulary.bias
        if lexical is not None and lexical.output is not None:
            weight = torch.cat((weight, lexical.output.weight), dim=1)
        self._weight = weight.detach().t().contiguous()  # [F + E, V], or [F, V]
        self._bias = weight.new_zeros(len(weight)) if bias is None else bias.detach().clone()

    @property
    def input_size(self) -> int:
        """The length of `inputs`."""
        return len(self._weight)

    def inputs(self, features: Tensor, attended: Tensor | None) -> Tensor:
        """What the matrix is multiplied by: features [N, F] and weighted averages of the source embeddings
        [N, E] → [N, F], or [N, F + E].
        """
        features = self._resize(features)
        if self._hidden is None:
            return features
        assert attended is not None
        assert self._lexical_resize is not None
        averages = attended.tanh()
        hidden = self._hidden(averages).tanh_().add_(averages)
        found = self._lexical_resize(hidden)
        return features + found if self._shares else torch.cat((features, found), dim=1)

    def __call__(self, inputs: Tensor) -> Tensor:
        """From `inputs` to log-probabilities [N, V], float32."""
        return torch.addmm(self._bias, inputs, self._weight).float().log_softmax(dim=-1)
