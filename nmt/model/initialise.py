"""Weight initialisation. It was measured to have a large effect on the quality of small models."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.config.model import ModelConfig
from nmt.model.attention.scores.score import Score
from nmt.model.cells import GATES
from nmt.model.translation import NO_DROPOUT, DropoutRates, TranslationModel

_FILLERS = {Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_}


class _Unfilled(TorchFunctionMode):
    """Makes the tensor methods that fill in initial values, and `torch.nn.init`, do nothing. On the meta
    device there are no values to fill in, but some of these functions would import PyTorch's compiler,
    which takes longer than the rest of a short translation.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by PyTorch in place of `func`."""
        kwargs = kwargs or {}
        if func in _FILLERS or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def empty_model(
    config: ModelConfig,
    source_vocabulary: int,
    target_vocabulary: int,
    padding: int,
    dropout: DropoutRates = NO_DROPOUT,
) -> TranslationModel:
    """A model on the meta device: allocates no weights and draws no random numbers. Arguments as for
    `build_model`.
    """
    with torch.device("meta"), _Unfilled():
        return TranslationModel(config, source_vocabulary, target_vocabulary, padding, dropout)


def build_model(
    config: ModelConfig,
    source_vocabulary: int,
    target_vocabulary: int,
    padding: int,
    dropout: DropoutRates = NO_DROPOUT,
) -> TranslationModel:
    """A model with initial weights drawn from torch's global generator.

    Args:
        config: architecture and sizes.
        source_vocabulary: source vocabulary size, in subwords.
        target_vocabulary: target vocabulary size, in subwords.
        padding: index of the padding token, whose embeddings are zero.
        dropout: dropout probabilities in training.
    """
    model = TranslationModel(config, source_vocabulary, target_vocabulary, padding, dropout)
    parameters = {
        f"{name}.{own}": parameter
        for name, module in model.named_modules()
        if not _is_initialised(module)
        for own, parameter in module.named_parameters(recurse=False)
    }
    if config.initialisation == "uniform":
        for parameter in parameters.values():
            nn.init.uniform_(parameter, -config.initial_range, config.initial_range)
    elif config.initialisation == "orthogonal":
        _orthogonal(parameters, config)
    else:
        _xavier(parameters)
    for embedding in (model.source, model.target):
        with torch.no_grad():
            embedding.table.weight[padding].zero_()
    return model


def _is_initialised(module: nn.Module) -> bool:
    """Whether its own parameters (not those of submodules) keep the values set by the constructor."""
    return isinstance(module, nn.LayerNorm) or (isinstance(module, Score) and module.own_initialisation)


def _orthogonal(parameters: dict[str, nn.Parameter], config: ModelConfig) -> None:
    """Bahdanau et al. 2015, appendix B.1: recurrent matrices orthogonal, the score's matrices
    from N(0, 0.001²), its v and all biases 0, all others from N(0, 0.01²).
    """
    for name, parameter in parameters.items():
        if "bias" in name or name.endswith("score.energy"):
            nn.init.zeros_(parameter)
        elif "weight_hh" in name:
            cell = config.encoder.cell if name.startswith("encoder.") else config.decoder.cell
            for gate in parameter.data.chunk(GATES[cell]):
                nn.init.orthogonal_(gate)
        else:
            nn.init.normal_(parameter, std=0.001 if ".score." in name else 0.01)


def _xavier(parameters: dict[str, nn.Parameter]) -> None:
    """Glorot and Bengio 2010, eq. 16, for each matrix as stored (in a GRU or LSTM, all gates in one matrix);
    embeddings from N(0, 1 / size), biases 0, as is usual for Transformers.
    """
    for name, parameter in parameters.items():
        if ".table." in name or ".position." in name:
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        elif parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
