"""Which messages of programs are sentence pairs, and what they look like."""

import pytest

from nmt.data.messages import sentence_pair


@pytest.mark.parametrize(
    ("original", "translation", "pair"),
    [
        ("_Open", "उघडा (_O)", ("Open", "उघडा")),
        ("Save _As…", "असे साठवा(_A)…", ("Save As…", "असे साठवा…")),
        ("E&xit", "बा&हेर", ("Exit", "बाहेर")),
        ("~File", "फाइल (~F)", ("File", "फाइल")),
        ("Sharing", "वाटप (&S):", ("Sharing", "वाटप:")),
        ("Cut & Paste", "कापा & चिकटवा", ("Cut & Paste", "कापा & चिकटवा")),
        ("The AT&T network", "AT&T जाळे", ("The AT&T network", "AT&T जाळे")),
        ("The key max_size is missing", "max_size नाही", ("The key max_size is missing", "max_size नाही")),
        ("_One or _two", "एक किंवा दोन", ("_One or _two", "एक किंवा दोन")),
        ("Good morning", "सुप्रभात\n", ("Good morning", "सुप्रभात")),
        ("Open %s", "%s उघडा", ("Open %s", "%s उघडा")),
        ("%1 of %2", "%2 पैकी %1", ("%1 of %2", "%2 पैकी %1")),
        ("100% of the people", "१००% लोक", ("100% of the people", "१००% लोक")),
        ("Up to {name}, {0}", "{0}, {name} पर्यंत", ("Up to {name}, {0}", "{0}, {name} पर्यंत")),
    ],
)
def test_a_pair(original: str, translation: str, pair: tuple[str, str]) -> None:
    assert sentence_pair(original, translation) == pair


@pytest.mark.parametrize(
    ("original", "translation"),
    [
        ("Open %s", "उघडा"),
        ("%d of %d", "%d पैकी %s"),
        ("%1$s is %2$s", "%1$s आहे"),
        ("About %PRODUCTNAME", "विषयी"),
        ("%1 files", "फाइल"),
        ("Hello {name}", "नमस्कार"),
        ("In $HOME", "घरी"),
        ("keyboard label|Tab", "टॅब"),
        ("<b>Bold</b>", "<b>ठळक</b>"),
        ("Drag &amp; drop", "ओढा &amp; टाका"),
        ("Two\nlines", "दोन\nओळी"),
        ("GNOME", "GNOME"),
        ("_GNOME", "GNOME (_G)"),
        ("42", "४२"),
        ("…", "..."),
        ("", "रिक्त"),
        ("Empty", " "),
    ],
)
def test_no_pair(original: str, translation: str) -> None:
    assert sentence_pair(original, translation) is None
