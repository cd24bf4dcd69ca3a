"""Learning rate and teacher-forcing ratio as pure functions of the step: no state to save."""

import math

from nmt.config.training import TrainingConfig


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """The learning rate at update `step`.

    Linear warm-up to `config.learning_rate`, then that times a factor. With p the fraction of the updates
    after warm-up that are done and f = `config.final_lr_ratio`: cosine f + (1 − f)(1 + cos πp)/2; linear
    1 − (1 − f) p; inverse_sqrt √(warm-up / step) (Vaswani et al. 2017, §5.3); constant 1.

    Args:
        step: from 1.
        total: planned number of updates.
        config: peak learning rate, warm-up and decay.
    """
    warmup = min(config.warmup_steps, total)
    if step <= warmup:
        return config.learning_rate * step / warmup
    fraction = min(1.0, (step - warmup) / max(1, total - warmup))
    floor = config.final_lr_ratio
    shapes = {
        "cosine": floor + (1 - floor) * (1 + math.cos(math.pi * fraction)) / 2,
        "linear": 1 - (1 - floor) * fraction,
        "inverse_sqrt": math.sqrt(max(warmup, 1) / step),
        "constant": 1.0,
    }
    return config.learning_rate * shapes[config.decay]


def teacher_forcing_ratio(step: int, total: int, config: TrainingConfig) -> float:
    """The teacher-forcing ratio at update `step` (Bengio et al. 2015, §2.4).

    It decays from 1 at the first update to f = `config.teacher_forcing` at the last; with p the fraction of
    the updates done: linear 1 − (1 − f) p; exponential f^p; inverse_sigmoid f + (1 − f) (σ(5 − 10p) − σ(−5))
    / (σ(5) − σ(−5)). The paper's constants k and c are chosen to give exactly these end values.

    Args:
        step: from 1.
        total: planned number of updates.
        config: final ratio and decay.
    """
    fraction, floor = (step - 1) / max(1, total - 1), config.teacher_forcing
    if config.teacher_forcing_decay == "exponential":
        return float(floor**fraction)
    if config.teacher_forcing_decay == "inverse_sigmoid":
        low, high = _sigmoid(-5), _sigmoid(5)
        return floor + (1 - floor) * (_sigmoid(5 - 10 * fraction) - low) / (high - low)
    return 1 - (1 - floor) * fraction


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
