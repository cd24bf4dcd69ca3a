"""The learning rate as a pure function of the step: there is no scheduler state to lose."""

import math

from nmt.config import TrainingConfig


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """The rate of update `step`.

    Linear warm-up to `config.learning_rate`, then with p the share of the remaining updates done and
    f the final share: cosine f + (1 − f)(1 + cos πp)/2; linear 1 − (1 − f) p; inverse_sqrt
    √(warm-up / step) (Vaswani et al. 2017, §5.3); constant 1.

    Args:
        step: from 1.
        total: the number of updates planned.
        config: where the highest rate and the shape come from.
    """
    warmup = min(config.warmup_steps, total)
    if step <= warmup:
        return config.learning_rate * step / warmup
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    floor = config.final_rate
    shapes = {
        "cosine": floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - (1 - floor) * progress,
        "inverse_sqrt": math.sqrt(max(warmup, 1) / step),
        "constant": 1.0,
    }
    return config.learning_rate * shapes[config.decay]
