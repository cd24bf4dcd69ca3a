"""Which language a text is in, of those that the models know.

A tokenizer writes its own language in few pieces and others in many, down to one for each letter or byte. So
the language is that whose tokenizer needs the fewest.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

_ENOUGH = 1000  # characters
_SURE = 100.0


class Detector:
    """Detects languages.

    Args:
        sizes: for each language, the number of pieces of a text in its tokenizer.
    """

    def __init__(self, sizes: Mapping[str, Callable[[str], int]]) -> None:
        self._sizes = sizes

    def detect(self, text: str) -> list[dict[str, Any]]:
        """The languages, the most probable first, with a confidence of 0 to 100, as LibreTranslate has it."""
        pieces = {code: size(text[:_ENOUGH]) for code, size in self._sizes.items()}
        fewest = min(pieces.values(), default=0)
        weights = {code: math.exp(fewest - number) for code, number in pieces.items()}
        total = sum(weights.values())
        return [
            {"confidence": round(_SURE * weight / total, 1), "language": code}
            for code, weight in sorted(weights.items(), key=lambda entry: -entry[1])
        ]
