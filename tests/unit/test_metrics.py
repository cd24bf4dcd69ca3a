"""Scores against sacreBLEU's command line, and, where references are ragged, against naive counts."""

import json
import math
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu import __version__ as sacrebleu_version

from nmt.errors import DataError
from nmt.evaluation.metrics import (
    Score,
    corpus_scores,
    format_scores,
    quick_scores,
    sentence_chrf,
)

HYPOTHESES = [
    "The cat sat on the mat, quietly.",
    "तो उद्या पुण्याला जाणार आहे।",
    "“मला चहा हवा,” ती म्हणाली.",
    "I don't know 3.5 of them",
    "",
    "मी दररोज सकाळी लवकर उठतो.",
]
FULL = [  # two references each
    ["The cat was sitting on the mat.", "A cat sat quietly on the mat."],
    ["तो उद्या पुण्याला जाणार आहे.", "उद्या तो पुण्याला जाईल।"],
    ["“मला चहा पाहिजे,” असे ती म्हणाली.", "ती म्हणाली, “मला चहा हवा.”"],
    ["I do not know 3.5 of them.", "I don't know three of them."],
    ["It is raining.", "Rain is falling outside."],
    ["मी रोज सकाळी लवकर उठतो.", "मी दररोज लवकर उठते."],
]
RAGGED = [some[: 1 + i % 2] for i, some in enumerate(FULL)]

WORDS = st.lists(st.sampled_from(["a", "bb", "घर", "आहे", "ccc"]), min_size=1, max_size=9)
CORPORA = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=4)), min_size=1, max_size=5)


def values(hypotheses, references):
    return {score.name: score.value for score in corpus_scores(hypotheses, references)}


def texts(corpus):
    hypotheses = [" ".join(words) for words, _ in corpus]
    return hypotheses, [[" ".join(words) for words in some] for _, some in corpus]


def ngrams(items, n):
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def naive_bleu(corpus):
    """BLEU-4 by its definition (Papineni et al., 2002), with NIST's smoothing of empty matches."""
    matched, total, hyp_len, ref_len = [0] * 4, [0] * 4, 0, 0
    for hyp, refs in corpus:
        hyp_len += len(hyp)
        ref_len += min((abs(len(ref) - len(hyp)), len(ref)) for ref in refs)[1]
        for n in range(1, 5):
            for gram, count in ngrams(hyp, n).items():
                matched[n - 1] += min(count, max(ngrams(ref, n)[gram] for ref in refs))
                total[n - 1] += count
    if not any(matched) or not all(total):
        return 0.0
    log_precision, halvings = 0.0, 0
    for hits, count in zip(matched, total, strict=True):
        halvings += hits == 0
        log_precision += math.log(hits / count if hits else 1 / (2**halvings * count)) / 4
    return 100 * min(1.0, math.exp(1 - ref_len / hyp_len)) * math.exp(log_precision)


def naive_chrf(corpus):
    """chrF2: per sentence the counts of the reference with the best score, then one score over the sums."""

    def f2(counts):
        used = [(m, h, r) for m, h, r in counts if h and r]
        precision = sum(m / h for m, h, _ in used) / max(1, len(used))
        recall = sum(m / r for m, _, r in used) / max(1, len(used))
        return 500 * precision * recall / (4 * precision + recall) if precision + recall else 0.0

    sums = [(0, 0, 0)] * 6
    for hyp, refs in corpus:
        candidates = []
        for ref in refs:
            pairs = [(ngrams("".join(hyp), n), ngrams("".join(ref), n)) for n in range(1, 7)]
            candidates.append([((h & r).total(), h.total() * bool(r), r.total()) for h, r in pairs])
        best = max(candidates, key=f2)
        sums = [tuple(map(sum, zip(a, b, strict=True))) for a, b in zip(sums, best, strict=True)]
    return f2(sums)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("BLEU", "chrF2", "TER"), ("-m", "bleu", "chrf", "ter")),
        (("BLEU-intl", "chrF2++"), ("-m", "bleu", "chrf", "--tokenize", "intl", "--chrf-word-order", "2")),
    ],
)
def test_scores_and_signatures_are_those_of_sacrebleus_command_line(tmp_path, names, options):
    streams = [[some[i] for some in FULL] for i in range(2)]
    for name, lines in (("hyp", HYPOTHESES), ("ref0", streams[0]), ("ref1", streams[1])):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "ref0", "ref1", "-i", "hyp", "-w", "8", *options]
    printed = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout)
    ours = [score for score in corpus_scores(HYPOTHESES, FULL) if score.name in names]
    assert [score.name for score in ours] == list(names)
    for score, theirs in zip(ours, printed, strict=True):
        assert f"{score.value:.8f}" == f"{theirs['score']:.8f}"
        assert score.signature == theirs["signature"]


@given(CORPORA)
@settings(max_examples=60, deadline=None)
def test_ragged_bleu_and_chrf_equal_naive_counts(corpus):
    scores = values(*texts(corpus))
    bleu = naive_bleu(corpus)
    assert scores["BLEU"] == pytest.approx(bleu, abs=1e-9)
    assert scores["BLEU-intl"] == pytest.approx(bleu, abs=1e-9)  # no punctuation: the same words
    assert scores["chrF2"] == pytest.approx(naive_chrf(corpus), abs=1e-9)


@given(CORPORA)
@settings(max_examples=40, deadline=None)
def test_ragged_ter_takes_the_fewest_edits_over_real_references(corpus):
    edits = length = 0.0
    for hyp, refs in corpus:
        alone = [values([" ".join(hyp)], [[" ".join(ref)]])["TER"] / 100 * len(ref) for ref in refs]
        edits += min(alone)
        length += sum(len(ref) for ref in refs) / len(refs)
    assert values(*texts(corpus))["TER"] == pytest.approx(100 * edits / length, abs=1e-9)


def test_ragged_bleu_on_punctuated_devanagari():
    corpus = [  # tokenised by hand as 13a does: it leaves the danda on its word
        (["तो", "उद्या", "पुण्याला", "जाणार", "आहे।"], [["तो", "उद्या", "पुण्याला", "जाणार", "आहे", "."]]),
        (["मी", "सकाळी", "लवकर", "उठतो", "."], [["मी", "लवकर", "उठतो", "."], ["सकाळी", "लवकर", "उठतो", "."]]),
    ]
    hypotheses, references = texts(corpus)
    untokenised = [[text.replace(" .", ".") for text in some] for some in references]
    scores = values([text.replace(" .", ".") for text in hypotheses], untokenised)
    assert scores["BLEU"] == pytest.approx(naive_bleu(corpus), abs=1e-9)


def test_ragged_ter_by_hand():
    hypotheses = ["घर मोठे", "the old man sat"]
    references = [["ते घर फार मोठे आहे"], ["the man sat", "an old man sat down"]]
    # The first: 3 insertions into 2 words, length 5. The second: 1 deletion against the first reference
    # (2 edits against the other), mean length (3 + 5) / 2. An empty second reference for the first
    # sentence would make that 2 edits over length 2.5.
    assert values(hypotheses, references)["TER"] == pytest.approx(100 * (3 + 1) / (5 + 4))


def test_a_blank_reference_is_a_missing_one():
    blank = [[*some, "", "  "] if i % 2 else ["", *some] for i, some in enumerate(RAGGED)]
    assert corpus_scores(HYPOTHESES, blank) == corpus_scores(HYPOTHESES, RAGGED)
    assert sentence_chrf("घर", ["", "घर आहे"]) == sentence_chrf("घर", ["घर आहे"])


def test_danda_stays_on_its_word_in_13a_only():
    scores = values(["ती रोज शाळेत जाते।"], [["ती रोज शाळेत जाते"]])
    assert scores["BLEU"] < scores["BLEU-intl"] < 100  # `जाते।` matches nothing; `जाते` `।` matches once
    assert scores["BLEU"] == pytest.approx(100 * (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25)
    assert scores["BLEU-intl"] == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)


@pytest.mark.parametrize(
    ("references", "count"), [(FULL, "2"), (RAGGED, "var"), ([s[:1] for s in FULL], "1")]
)
def test_signatures_have_version_and_number_of_references(references, count):
    for score in corpus_scores(HYPOTHESES, references):
        assert f"nrefs:{count}|" in score.signature
        assert score.signature.endswith(f"version:{sacrebleu_version}")


def test_quick_scores_are_the_full_ones():
    full = values(HYPOTHESES, RAGGED)
    assert quick_scores(HYPOTHESES, RAGGED) == {"bleu": full["BLEU"], "chrf": full["chrF2"]}


def test_case_counts_except_in_ter():
    scores = values(["RAMA WENT HOME"], [["rama went home"]])
    assert scores == {"BLEU": 0, "BLEU-intl": 0, "chrF2": 0, "chrF2++": 0, "TER": 0}


def test_sentence_chrf_takes_the_best_reference():
    assert sentence_chrf("तो घरी गेला", ["ती शाळेत आली", "तो घरी गेला"]) == 100
    assert sentence_chrf("", ["तो घरी गेला"]) == 0
    hyp, refs = ["तो", "घरी", "गेला"], [["ती", "घरी", "आली", "नाही"], ["तो", "गेला"]]
    partial = sentence_chrf(" ".join(hyp), [" ".join(ref) for ref in refs])
    assert partial == pytest.approx(naive_chrf([(hyp, refs)]), abs=1e-9)


def test_warns_once_of_text_that_was_never_detokenised(caplog):
    tokenised = ["he came ."] * 100
    corpus_scores(tokenised, [["he came ."]] * 100)
    assert sum("forgot to detokenize" in message for message in caplog.messages) == 1
    caplog.clear()
    quick_scores(tokenised, [["he came ."]] * 100)
    assert not caplog.messages


@pytest.mark.parametrize("score", [corpus_scores, quick_scores])
@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "no translations to score"),
        (["a", "b"], [["a"]], "2 translations but 1 sets of references"),
        (["a", "b"], [["a"], []], "sentence 2 has no reference"),
        (["a", "b"], [[" ", ""], ["b"]], "sentence 1 has no reference"),
    ],
)
def test_unusable_corpora_are_refused(score, hypotheses, references, message):
    with pytest.raises(DataError, match=message):
        score(hypotheses, references)


def test_sentence_chrf_needs_a_reference():
    with pytest.raises(DataError, match="no reference"):
        sentence_chrf("a", [""])


def test_format_scores_aligns_names_values_and_signatures():
    scores = [Score("BLEU", 7.126, "nrefs:1|tok:13a"), Score("chrF2++", 100.0, "nrefs:1|nw:2")]
    assert format_scores(scores) == "BLEU       7.13  nrefs:1|tok:13a\nchrF2++  100.00  nrefs:1|nw:2"
    assert format_scores([]) == ""
