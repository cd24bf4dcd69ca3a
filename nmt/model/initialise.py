"""First weights. They decide much of the quality of a small recurrent model: measured, not assumed."""

import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.model.translation import TranslationModel


def build_model(
    config: ModelConfig, source_vocabulary: int, target_vocabulary: int, padding: int
) -> TranslationModel:
    """A model with first weights drawn from torch's global random state.

    Args:
        config: sizes and kinds of the parts.
        source_vocabulary: number of source pieces.
        target_vocabulary: number of target pieces.
        padding: index of the padding token, whose embeddings are zero.
    """
    model = TranslationModel(config, source_vocabulary, target_vocabulary, padding)
    if config.initialisation == "uniform":
        for parameter in model.parameters():
            nn.init.uniform_(parameter, -config.initial_range, config.initial_range)
    else:
        _orthogonal(model)
    for embedding in (model.encoder.embedding, model.embedding):
        with torch.no_grad():
            embedding.weight[padding].zero_()
    return model


def _orthogonal(model: TranslationModel) -> None:
    """Bahdanau et al. 2015, appendix B.1: recurrent matrices orthogonal, the score's matrices
    from N(0, 0.001²), its v and all biases 0, the rest from N(0, 0.01²).
    """
    for name, parameter in model.named_parameters():
        if "bias" in name or name.endswith("score.energy.weight"):
            nn.init.zeros_(parameter)
        elif "weight_hh" in name or (".recurrence." in name and ".hidden." in name):
            for gate in parameter.data.chunk(3):
                nn.init.orthogonal_(gate)
        else:
            nn.init.normal_(parameter, std=0.001 if ".score." in name else 0.01)
