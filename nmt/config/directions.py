"""The directions that a model is trained for: of the main corpus, and of each extra one.

As soon as there are several target languages, each source sentence has a tag that says into which it is to be
translated (`nmt.data.target_languages`).
"""

import dataclasses
import re
from typing import NamedTuple, cast

from nmt.config.data import DataConfig
from nmt.config.extensions import SOURCES, AlignedCorpus
from nmt.config.languages import CODES

_CODE = re.compile(r"[A-Za-z0-9_-]+")
Languages = tuple[str, str]


class Direction(NamedTuple):
    """Languages of a corpus that a model translates from and to.

    Attributes:
        languages: codes of the source and the target language; None: not known.
        reversed: whether it is the second direction of the corpus, with `data.both_directions`.
    """

    languages: Languages | None
    reversed: bool = False


def languages_of(data: DataConfig) -> Languages | None:
    """Codes of the languages of the main corpus, in the order of its files; None: not known."""
    if data.languages:
        first, second = (CODES.get(code, code) for code in data.languages)
        return first, second
    if data.source not in SOURCES.names():
        return None
    return cast(type[AlignedCorpus], SOURCES.load(data.source)).languages(data)


def directions(data: DataConfig) -> list[list[Direction]]:
    """The directions of the main corpus and of each extra one, those that are made included: one or two each,
    the main one first.
    """
    own = languages_of(data)
    corpora = [_directions(data, own)]
    for extra in data.extra:
        corpus = data.as_main(extra) if extra.kind in SOURCES.names() else data
        corpora.append(_directions(corpus, languages_of(corpus) if own else None, own))
    for made in data.made:
        both = data.both_directions if made.both_directions is None else made.both_directions
        corpus = dataclasses.replace(data, swap=data.swap != made.swap, both_directions=both)
        corpora.append(_directions(corpus, own))
    return corpora


def _directions(
    corpus: DataConfig, own: Languages | None, default: Languages | None = None
) -> list[Direction]:
    languages = own or default
    if corpus.swap and languages:
        languages = languages[1], languages[0]
    found = [Direction(languages)]
    if corpus.both_directions:
        found.append(Direction(languages and (languages[1], languages[0]), reversed=True))
    return found


def known_directions(data: DataConfig) -> list[Languages]:
    """The different directions, the main one first, as far as their languages are known."""
    every = (one.languages for corpus in directions(data) for one in corpus)
    return list(dict.fromkeys(languages for languages in every if languages))


def main_direction(data: DataConfig) -> Languages | None:
    """The languages that the main corpus is translated from and to; None: not known."""
    return next(iter(known_directions(data)), None)


def target_languages(data: DataConfig) -> list[str]:
    """The target languages, that of the main direction first, if there are several; else none: then there
    are no tags.
    """
    found = list(dict.fromkeys(target for _, target in known_directions(data)))
    return found if len(found) > 1 else []


def direction_conflicts(data: DataConfig) -> list[str]:
    """What is wrong with the settings of languages and directions, one message each."""
    given = {"data.languages": data.languages}
    given |= {f"data.extra[{number}].languages": extra.languages for number, extra in enumerate(data.extra)}
    found = [
        f"{key}=[{','.join(codes)}]: must be the codes of two languages, in the order of the files, such as "
        "[en,mr]"
        for key, codes in given.items()
        if codes and not (len(codes) == 2 and all(map(_CODE.fullmatch, codes)) and codes[0] != codes[1])
    ]
    needing = ["data.both_directions=true"] if data.both_directions else []
    for number, extra in enumerate(data.extra):
        needing += [f"data.extra[{number}].both_directions=true"] if extra.both_directions else []
        needing += [f"data.extra[{number}].languages"] if extra.languages else []
    if needing and not found and languages_of(data) is None:
        found.append(f"data.languages: {needing[0]} needs it; add data.languages=[en,mr]")
    return found
