"""From what is asked of translations to the constraint on each sentence that search follows."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from nmt.data.text import clean
from nmt.data.tokenizer import EOS
from nmt.decoding.constraint import Allowed, Constraint, Only
from nmt.decoding.constraints.characters import EDGE, with_edges
from nmt.decoding.constraints.combined import All
from nmt.decoding.constraints.forbidden import ForbiddenPhrases
from nmt.decoding.constraints.glossary import Glossary
from nmt.decoding.constraints.kept import find_kept
from nmt.decoding.constraints.phrase_automaton import END, START, bare, pattern
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.prefix import Prefix, clean_prefix
from nmt.decoding.constraints.repeated_ngrams import NoRepeatedNgrams
from nmt.decoding.constraints.request import KINDS, ConstraintRequest
from nmt.decoding.constraints.required import Group, RequiredPhrases
from nmt.decoding.constraints.spelling import Spelling
from nmt.errors import ConfigError


class Built(NamedTuple):
    """The constraint of a sentence.

    Attributes:
        constraint: None: anything may be said.
        limit: maximum number of tokens of the translation, end-of-sentence included: as given, and as many
            more as the constraint needs, but not more than the maximum.
        often_met: whether translations usually meet it anyway: what is kept, forbidden, or not to be
            repeated, but no phrase that is named, and no prefix.
    """

    constraint: Constraint | None
    limit: int
    often_met: bool

    def is_met_by(self, tokens: Sequence[int]) -> bool:
        """Whether a translation, given as all its tokens but end-of-sentence, could be one of search."""
        if self.constraint is None:
            return True
        parts = self.constraint.constraints if isinstance(self.constraint, All) else (self.constraint,)
        return all(_is_met_by(part, tokens) for part in parts)

    def is_assured_by(self, tokens: Sequence[int]) -> bool:
        """Whether every translation that begins with some tokens meets it."""
        if self.constraint is None:
            return True
        state = self.constraint.start()
        for token in tokens:
            if state is None:
                return True
            state = self.constraint.advance(state, token)
        return state is None


def _is_met_by(constraint: Constraint, tokens: Sequence[int]) -> bool:
    state = constraint.start()
    for token in (*tokens, EOS):
        if state is None:
            return True
        if isinstance(constraint, ForbiddenPhrases):  # what search avoids without need is no fault
            allowed: Allowed | None = constraint.never(state)
        else:
            allowed = constraint.allowed(state)
        if allowed is not None and (token in allowed.tokens) != isinstance(allowed, Only):
            return False
        state = state if token == EOS else constraint.advance(state, token)
    return True


_SHOWN = 40  # characters of a phrase in an error message


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _clean(option: str, phrase: str) -> str:
    """A phrase as it is in a translation.

    Raises:
        ConfigError: if it is blank.
    """
    if not clean(bare(clean(phrase))):
        raise ConfigError(f"{option}: a phrase is blank")
    return clean(phrase)


def _group(phrases: str | Group) -> Group:
    return (phrases,) if isinstance(phrases, str) else tuple(phrases)


def _cannot_produce(name: str, phrase: str, character: str) -> ConfigError:
    return ConfigError(
        f"{name.strip()} {_shown(phrase)}: the vocabulary of the translation cannot produce {character!r}; "
        "ask for something else, or use a run with data.tokenizer.byte_fallback"
    )


class ConstraintBuilder:
    """Makes the constraints of sentences that ask for the same. Several threads can use it at the same time.

    Args:
        pieces: the vocabulary of the target.
        request: what is asked.

    Raises:
        ConfigError: if the request is wrong, or nothing meets it whatever the sentence, naming what: a
            character that the tokenizer cannot produce; a phrase that is blank, or required and forbidden.
    """

    def __init__(self, pieces: Pieces, request: ConstraintRequest) -> None:
        self._pieces, self._request = pieces, request
        if request.no_repeat_ngram < 0:
            raise ConfigError(f"no_repeat_ngram={request.no_repeat_ngram}: must be at least 0")
        for kind in request.keep:
            if kind not in KINDS:
                raise ConfigError(f"keep={kind}: must be one of {', '.join(KINDS)}")
        self._forbidden = {pattern(_clean("forbidden", phrase)): phrase for phrase in request.forbidden}
        self._prefix = self._begin_with(clean_prefix(request.prefix))
        self._forbid = ForbiddenPhrases(pieces, list(self._forbidden)) if self._forbidden else None
        self._excluded = self._exclude()
        self._required = [self._possible("required", group) for group in map(_group, request.required)]
        self._glossary = Glossary(
            {
                source: self._possible("glossary", _group(found), source)
                for source, found in request.glossary.items()
            }
        )

    def build(self, source: str, limit: int, max_length: int) -> Built:
        """The constraint on the translation of one sentence.

        Args:
            source: it, cleaned; for the glossary and what is kept.
            limit: maximum length of the translation without a constraint, in tokens.
            max_length: maximum length with one, at least `limit`.

        Raises:
            ConfigError: if nothing meets the request within the maximum length, or not what is kept.
        """
        groups = self._groups(source)
        numbers = self._kept(source, ["number"]) if "number" in self._request.keep else []
        required = RequiredPhrases(self._pieces, groups, numbers) if groups or numbers else None
        of_prefix = self._prefix.least if self._prefix else 1
        of_phrases = required.least if required else 0
        if of_prefix + of_phrases > max_length:
            raise ConfigError(
                f"the prefix and the phrases that the translation must have take {of_prefix + of_phrases:g} "
                f"subwords, more than the maximum length ({max_length}): ask for less, or raise "
                "decoding.max_length"
            )
        if self._prefix or required:
            limit = min(int(limit + of_prefix + of_phrases), max_length)
        found: list[Constraint] = []
        if self._prefix:
            found.append(self._prefix.within(limit - int(of_phrases)))
        if required:
            found.append(required.within(limit))
        if self._forbid:
            found.append(self._forbid)
        if self._excluded:
            found.append(self._excluded)
        if self._request.no_repeat_ngram:
            found.append(NoRepeatedNgrams(self._request.no_repeat_ngram))
        named = self._prefix or self._excluded or self._required or self._glossary.find(source)
        return Built(All(found) if len(found) > 1 else found[0] if found else None, limit, not named)

    def _begin_with(self, prefix: str) -> Prefix | None:
        """The constraint that a translation begins with a cleaned prefix."""
        if not prefix:
            return None
        begin = Prefix(self._pieces, prefix)
        if begin.least == math.inf:
            raise _cannot_produce("prefix", prefix, begin.impossible)
        for string, phrase in self._forbidden.items():
            if string in START + EDGE + with_edges(prefix):
                raise ConfigError(f"prefix {_shown(prefix)}: has {_shown(phrase)}, which is forbidden")
        return begin

    def _exclude(self) -> ForbiddenPhrases | None:
        """The constraint that excludes continuations of the prefix."""
        prefix = clean_prefix(self._request.prefix)
        texts = [(clean(prefix + more), more == "") for more in self._request.excluded]
        strings = [START + EDGE + with_edges(text) + EDGE + END * end for text, end in texts]
        return ForbiddenPhrases(self._pieces, strings) if strings else None

    def _groups(self, source: str) -> list[Group]:
        """The phrases that the translation of a sentence must have."""
        terms = [group for _, group in self._glossary.find(source)]
        others = [kind for kind in self._request.keep if kind != "number"]
        return list(dict.fromkeys([*self._required, *terms, *self._kept(source, others)]))

    def _kept(self, source: str, kinds: Collection[str]) -> list[Group]:
        """What the translation of a sentence keeps, of these kinds."""
        return [self._possible("keep", group) for group in find_kept(source, kinds, self._pieces.zeros)]

    def _possible(self, option: str, group: Group, source: str = "") -> Group:
        """The phrases of a group that a translation can have; at least one.

        Args:
            option: where they come from, for error messages.
            group: as asked for.
            source: the source term of a glossary.
        """
        name = f"{option} {_shown(source)} → " if source else f"{option} "
        phrases = [_clean(option, phrase) for phrase in group]
        possible, why = [], None
        for phrase in phrases:
            character = Spelling(self._pieces, " " + bare(phrase)).impossible
            forbidden = next((self._forbidden[s] for s in self._forbidden if s in pattern(phrase)), None)
            if character:
                why = _cannot_produce(name, phrase, character)
            elif forbidden is not None:
                why = ConfigError(f"{name}{_shown(phrase)}: has {_shown(forbidden)}, which is forbidden")
            else:
                possible.append(phrase)
        if not possible:
            raise why or ConfigError(f"{option}: a group has no phrase")
        return tuple(possible)
