"""What a request costs, in source pieces × beam size, and whether that is too much."""

from collections.abc import Sequence

from nmt.library.options import TranslationOptions
from nmt.server.payload import Ask, RequestError

_REQUIRED, _FORBIDDEN = 20, 2  # source pieces that take as long as a phrase; …
_CHEAP = 10  # … as long as so many terms of a glossary, or characters of a prefix
_CANDIDATES = 64  # of minimum Bayes risk, at most, if a request does not say how many
_ATTENTION = 4_000_000  # numbers in an answer


def costs_of(ask: Ask, sizes: Sequence[int], beam_size: int, capacity: int) -> list[int]:
    """What each text of a request costs.

    Args:
        ask: the request.
        sizes: of each text, in source pieces.
        beam_size: of a request that names none.
        capacity: the most that a request may cost.

    Raises:
        RequestError: if it costs more, or asks for too much attention.
    """
    width = max(_width(ask.options, beam_size), ask.count or 1)
    more = constraint_cost(ask.options)
    costs = [max(1, size + more) * width for size in sizes]
    if sum(costs) > capacity:
        message = (
            f"text: too long: {sum(costs) // width} pieces, phrases included, with a beam of {width}; "
            f"at most {capacity // width} at a time"
        )
        raise RequestError(message, "text", 413)
    if ask.options.attention and ask.options.nbest * sum(size * size for size in sizes) > _ATTENTION:
        message = "attention: the matrices of these texts are too large; ask for shorter or fewer texts"
        raise RequestError(message, "attention", 413)
    return costs


def _width(options: TranslationOptions, beam_size: int) -> int:
    """How many hypotheses of a text are searched for at a time."""
    candidates = (options.mbr_size or _CANDIDATES) if options.mbr else 1
    return max(options.beam_size or beam_size, options.nbest, options.candidates or 1, candidates)


def constraint_cost(options: TranslationOptions) -> int:
    """What constraints add to the cost of each text: about as many source pieces as take the same time."""
    phrases = _REQUIRED * len(options.required) + _FORBIDDEN * len(options.forbidden)
    terms = sum(1 if isinstance(target, str) else len(target) for target in options.glossary.values())
    return phrases + (terms + len(options.prefix)) // _CHEAP + (options.min_length or 0)
