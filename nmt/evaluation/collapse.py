"""A model that gives the same output for nearly every input: it has collapsed, or never learnt to look."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_FEWEST = 10  # distinct sources that say something
_FEWEST_OTHERS = 5  # of them, sources for which the output is wrong
_SHARE = 0.5
_LONGEST = 40  # characters of the output in a message


class Collapse(NamedTuple):
    """What a collapsed model gives.

    Attributes:
        output: the translation that comes again and again.
        covered: the distinct sources that have it.
        sources: the distinct sources in all.
    """

    output: str
    covered: int
    sources: int

    def warning(self) -> str:
        """One line for people, with the likely causes."""
        shown = self.output if len(self.output) <= _LONGEST else self.output[: _LONGEST - 1] + "…"
        return (
            f"warning: {self.covered} of {self.sources} different sources get (nearly) the same translation "
            f'("{shown}"). Likely causes: too few updates (training.epochs); a learning rate that is too low '
            "or too high (training.learning_rate); a source column or file that is the wrong one or says "
            "nothing about the target"
        )


def find_collapse(
    sources: Sequence[str], translations: Sequence[str], references: Sequence[Sequence[str]]
) -> Collapse | None:
    """The one output of a model that hardly looks at its input; None of any other model.

    The output must be that of at least half of the distinct sources; and of those for which it is no
    reference at least half must have got it, so that a target that is often right is not taken for one.
    Outputs count as the same when they differ in repetitions only (`. . .`, `. . . . .`): their characters
    appear first in the same order.

    Args:
        sources: N sentences.
        translations: N of them.
        references: N sequences of references.

    Returns:
        None too where there are fewer than ten distinct sources.
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
    if count < _SHARE * len(outputs) or len(others) < _FEWEST_OTHERS or wrong < _SHARE * len(others):
        return None
    same = Counter(output for source, output in outputs.items() if keys[source] == key)
    return Collapse(same.most_common(1)[0][0], count, len(outputs))


def _key(text: str) -> str:
    """What texts have in common that differ in repetitions: their characters, each once."""
    return "".join(dict.fromkeys("".join(text.split())))
