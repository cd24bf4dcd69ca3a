"""Neural machine translation with attention: train, translate, evaluate, align."""

__version__ = "0.1.0"
