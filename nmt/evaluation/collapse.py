"""Detection of collapsed models, which give the same output for nearly every input."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_FEWEST = 10  # distinct sources needed for a verdict
_FEWEST_OTHERS = 5  # of them, sources for which the output is wrong, at least
_FRACTION = 0.5
_LONGEST = 40  # characters of the output shown in a message


class Collapse(NamedTuple):
    """The repeated output of a collapsed model.

    Attributes:
        output: the repeated translation.
        covered: number of distinct sources that get it.
        sources: total number of distinct sources.
    """

    output: str
    covered: int
    sources: int

    def warning(self) -> str:
        """A one-line warning, with the likely causes."""
        shown = self.output if len(self.output) <= _LONGEST else self.output[: _LONGEST - 1] + "…"
        return (
            f"warning: {self.covered} of {self.sources} different sources get (nearly) the same translation "
            f'("{shown}"). Likely causes: too few updates (training.epochs); a learning rate that is too low '
            "or too high (training.learning_rate); a source column or file that is the wrong one or "
            "unrelated to the target"
        )


def find_collapse(
    sources: Sequence[str], translations: Sequence[str], references: Sequence[Sequence[str]]
) -> Collapse | None:
    """The repeated output of a model that ignores its input, or None if the model is not collapsed.

    At least half of the distinct sources must get the output, and so must at least half of the sources
    for which it is not a reference, so that a target that is often correct is not reported. Outputs that
    differ only in repetitions (`. . .`, `. . . . .`) count as the same: their characters first appear in
    the same order.

    Args:
        sources: N sentences.
        translations: N translations.
        references: N sequences of references.

    Returns:
        The repeated output; None also if there are fewer than ten distinct sources.
    """
    outputs: dict[str, str] = {}
    right: dict[str, set[str]] = {}
    for source, translation, some in zip(sources, translations, references, strict=True):
        outputs.setdefault(source, translation)
        right.setdefault(source, set()).update(map(_key, some))
    if len(outputs) < _FEWEST:
        return None
    keys = {source: _key(output) for source, output in outputs.items()}
    ((key, count),) = Counter(keys.values()).most_common(1)
    others = [source for source in outputs if key not in right[source]]
    wrong = sum(keys[source] == key for source in others)
    if count < _FRACTION * len(outputs) or len(others) < _FEWEST_OTHERS or wrong < _FRACTION * len(others):
        return None
    same = Counter(output for source, output in outputs.items() if keys[source] == key)
    return Collapse(same.most_common(1)[0][0], count, len(outputs))


def _key(text: str) -> str:
    """A key shared by texts that differ only in repetitions: their distinct characters, in order."""
    return "".join(dict.fromkeys("".join(text.split())))
