"""Symmetrisation: merges the alignments of a sentence pair from models of both directions."""

from collections.abc import Callable

from nmt.alignment.words import Link

Links = frozenset[Link]
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def intersection(forward: Links, backward: Links) -> Links:
    """The links that both have: high precision, low recall."""
    return forward & backward


def union(forward: Links, backward: Links) -> Links:
    """The links that either has: high recall, low precision."""
    return forward | backward


def grow_diag_final(forward: Links, backward: Links) -> Links:
    """The grow-diag-final heuristic (Koehn, Och and Marcu 2003, §4; Och and Ney 2003, §4.3).

    Starts from the intersection. Links of the union that neighbour an accepted link (also diagonally)
    and cover an unaligned word are added until there are none left; then links of the forward, and
    last of the backward alignment, that cover an unaligned word. Links are visited in ascending order,
    so the result is deterministic.
    """
    either, grown = forward | backward, set(forward & backward)
    sources, targets = {s for s, _ in grown}, {t for _, t in grown}

    def add(link: Link) -> bool:
        """Add a link if it covers an unaligned word."""
        if link in grown or (link[0] in sources and link[1] in targets):
            return False
        grown.add(link)
        sources.add(link[0])
        targets.add(link[1])
        return True

    changed = True
    while changed:
        changed = False
        for s, t in sorted(grown):
            beside = ((s + down, t + right) for down, right in _NEIGHBOURS)
            changed |= any([add(link) for link in beside if link in either])  # a list: tries every link
    for link in [*sorted(forward), *sorted(backward)]:
        add(link)
    return frozenset(grown)


SYMMETRISATIONS: dict[str, Callable[[Links, Links], Links]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag-final": grow_diag_final,
}
