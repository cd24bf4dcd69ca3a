"""Two alignments of one sentence pair, from models of opposite directions, made one."""

from collections.abc import Callable

from nmt.data.alignment import Link

Links = frozenset[Link]
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def intersection(forward: Links, backward: Links) -> Links:
    """The links both have: few, and most of them right."""
    return forward & backward


def union(forward: Links, backward: Links) -> Links:
    """The links either has: most that are right, and others."""
    return forward | backward


def grow_diag_final(forward: Links, backward: Links) -> Links:
    """Between the two (Koehn, Och and Marcu 2003, §4; Och and Ney 2003, §4.3).

    From the intersection, links of the union are added that stand beside a link already there (also
    diagonally) and join a word that has none yet, until no more can be; then links of the forward, and
    after them of the backward alignment, that join a word that has none yet. Links are visited in
    ascending order, so the result is always the same.
    """
    either, grown = forward | backward, set(forward & backward)
    sources, targets = {s for s, _ in grown}, {t for _, t in grown}

    def add(link: Link) -> bool:
        """Add a link if it joins a word that has none."""
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
            changed |= any([add(link) for link in beside if link in either])  # a list: all of them
    for link in [*sorted(forward), *sorted(backward)]:
        add(link)
    return frozenset(grown)


SYMMETRISATIONS: dict[str, Callable[[Links, Links], Links]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag-final": grow_diag_final,
}
