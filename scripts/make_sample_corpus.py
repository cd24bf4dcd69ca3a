"""Write the bundled corpus: English–Marathi sentence pairs with gold word alignments.

    python scripts/make_sample_corpus.py [--output data/sample/corpus.tsv]

The output is deterministic, byte for byte. The grammar is in `scripts/sample_grammar/`.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from sample_grammar import acting, asking, describing, having
from sample_grammar.agreement import A
from sample_grammar.choices import Chooser
from sample_grammar.clauses import PLAIN, copula
from sample_grammar.lexicon import ADJECTIVES, MEN
from sample_grammar.nominals import noun_phrase, of_name
from sample_grammar.nouns import nouns
from sample_grammar.phrases import Phrase, as_line

from nmt.data.text import canonical_key
from nmt.files import write_text

SEED = 7
PAIRS = 11_500
UNSIGNED = 8
ROOT = Path(__file__).resolve().parent.parent

PATTERNS: tuple[tuple[Callable[[Chooser], Phrase], int], ...] = (
    (describing.adjective, 12),
    (describing.role, 6),
    (describing.identity, 7),
    (describing.part, 4),
    (describing.location, 10),
    (describing.existence, 5),
    (having.possession, 8),
    (having.relatives, 2),
    (having.liking, 6),
    (having.wanting, 5),
    (acting.doing, 34),
    (acting.giving, 8),
    (acting.keeping, 3),
    (acting.meeting, 7),
    (acting.moving, 8),
    (acting.staying, 16),
    (asking.where_is, 3),
    (asking.who_is, 1),
    (asking.who_is_where, 2),
    (asking.what, 5),
    (asking.who, 5),
    (asking.when, 3),
    (asking.where, 3),
    (asking.whose, 4),
)


def good_boy() -> Phrase:
    """Rahul is a good boy."""
    rahul = of_name(MEN[0])
    predicate = noun_phrase(nouns("boy")[0], False, A, ADJECTIVES[0])
    group = copula(rahul.agreement, False, PLAIN)
    return describing.statement(group, PLAIN, rahul.direct, "{x}", "{x}", x=predicate)


def unsigned(line: str) -> str:
    """A line without the final full stops or question marks of its sentences and the link between them."""
    english, marathi, alignment = line.split("\t")
    assert english[-1] == marathi[-1], line
    return "\t".join((english[:-1], marathi[:-1], alignment.rsplit(" ", 1)[0]))


def corpus() -> list[str]:
    """The lines of the corpus: no two share an English or a Marathi sentence.

    One in `UNSIGNED` has no final punctuation, since people type such sentences too.
    """
    choose = Chooser(SEED)
    deck = tuple((index, copy) for index, (_, weight) in enumerate(PATTERNS) for copy in range(weight))
    lines = [as_line(good_boy())]
    seen = {canonical_key(sentence) for sentence in lines[0].split("\t")[:2]}
    while len(lines) < PAIRS:
        pattern = PATTERNS[choose.pick(deck)[0]][0]
        line = as_line(pattern(choose))
        keys = {canonical_key(sentence) for sentence in line.split("\t")[:2]}
        if not keys & seen:
            seen |= keys
            lines.append(line)
    return [unsigned(line) if n % UNSIGNED == UNSIGNED - 1 else line for n, line in enumerate(lines)]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Write the bundled English–Marathi corpus.")
    parser.add_argument("--output", type=Path, default=ROOT / "data" / "sample" / "corpus.tsv")
    output = parser.parse_args().output
    lines = corpus()
    write_text(output, "".join(line + "\n" for line in lines))
    print(f"{output}: {len(lines)} pairs")


if __name__ == "__main__":
    main()
