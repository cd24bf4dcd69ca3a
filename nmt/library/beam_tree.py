"""The beam of a search as a tree of text, to draw."""

from dataclasses import dataclass
from typing import Any

from nmt.data.tokenizer import EOS, Tokenizer
from nmt.decoding.tree import EXTENDED, FINISHED, TRUNCATED, SearchTree

BEST, COMPLETE, KEPT, PRUNED = "best", "finished", "kept", "pruned"
_STATES = {EXTENDED: KEPT, FINISHED: COMPLETE, TRUNCATED: COMPLETE}
_UNDECODED = "\ufffd"


@dataclass(frozen=True)
class TreeNode:
    """A hypothesis of the beam.

    Attributes:
        id: its number.
        parent: that of the hypothesis that it extends; None: it is the beginning, which has no text.
        text: what it adds to the text of that one; "" of the end.
        log_probability: of all of it.
        state: "best": of the best translation; "finished": complete; "kept": others extend it; "pruned":
            given up.
    """

    id: int
    parent: int | None
    text: str
    log_probability: float
    state: str

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can express."""
        return dict(vars(self))


def text_tree(tree: SearchTree, target: Tokenizer) -> tuple[TreeNode, ...]:
    """The tree with the texts of its tokens; parents come before their children."""
    best = {0}
    place = next((index for index, node in enumerate(tree.nodes) if node.rank == 0), -1)
    while place >= 0:
        best.add(place + 1)
        place = tree.nodes[place].parent
    paths: list[list[int]] = [[]]
    texts = [""]
    nodes = [TreeNode(0, None, "", 0.0, BEST)]
    for number, node in enumerate(tree.nodes, 1):
        parent = node.parent + 1
        paths.append([*paths[parent], *([] if node.token == EOS else [node.token])])
        texts.append(target.decode(paths[-1]).rstrip(_UNDECODED))
        state = BEST if number in best else _STATES.get(node.fate, PRUNED)
        added = texts[-1][len(texts[parent]) :]
        nodes.append(TreeNode(number, parent, added, node.total, state))
    return tuple(nodes)
