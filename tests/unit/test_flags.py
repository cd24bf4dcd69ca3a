"""Loops and copies: found where they are, and nowhere else."""

import pytest

from nmt.library.flags import is_copy, is_repetitive


@pytest.mark.parametrize(
    ("source", "text", "loop"),
    [
        ("I see the dog.", "मी कुत्रा पाहतो.", False),
        ("Slowly.", "हळू हळू.", False),  # reduplication
        ("Slowly.", "हळू हळू हळू.", True),
        ("No, no, no!", "नाही, नाही, नाही!", False),  # so does the source
        ("No, no, no!", "नाही, नाही, नाही, नाही!", True),
        ("I see the dog.", "मी कुत्रा आहे मी कुत्रा आहे मी कुत्रा आहे", True),
        ("I see the dog.", "मी कुत्रा आहे. मी कुत्रा आहे.", False),
        ("Wait...", "थांबा......", False),  # punctuation
        ("I see.", "ababababababab", True),
        ("Hahahahahaha!", "हाहाहाहाहाहा!", False),
        ("I see.", "हाहाहाहाहाहा!", True),
        ("A million.", "1000000", False),
        ("", "", False),
    ],
)
def test_loops(source, text, loop):
    assert is_repetitive(source, text) == loop


@pytest.mark.parametrize(
    ("source", "text", "copy"),
    [
        ("I see the dog.", "मी कुत्रा पाहतो.", False),
        ("I see the dog.", "I see the dog.", True),
        ("I see the dog.", "i see the dog", True),
        ("I see the dog here.", "I see the dog तिथे.", True),  # most of it
        ("I see the dog here.", "मी the dog पाहतो.", False),
        ("Tom likes Mary.", "टॉमला Mary आवडते.", False),
        ("42", "42", False),
        ("https://example.org/a/b?c=1", "https://example.org/a/b?c=1", False),
        ("me@example.org 😀 12:30", "me@example.org 😀 12:30", False),
        ("See https://example.org/a/b?c=1 now.", "आता https://example.org/a/b?c=1 पहा.", False),
        ("See https://example.org/a/b?c=1 now.", "See https://example.org/a/b?c=1 now.", True),
        ("?!", "?!", False),
        ("", "", False),
    ],
)
def test_copies(source, text, copy):
    assert is_copy(source, text) == copy
