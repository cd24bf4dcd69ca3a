"""The examples of docs/library.md run as they are written."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_examples(trained, monkeypatch, capsys):
    """In one session, in order, where runs/latest is."""
    monkeypatch.chdir(trained.parent.parent)
    names: dict[str, object] = {}
    for number, example in enumerate(EXAMPLES, 1):
        try:
            exec(compile(example, f"example {number}", "exec"), names)
        except Exception as error:
            pytest.fail(f"example {number}: {error!r}\n{example}")
    out = capsys.readouterr().out
    assert "required 'घर': has 'घर', which is forbidden" in out
    assert len(EXAMPLES) > 7


def test_the_options_that_it_names():
    """All of them, and no others."""
    from nmt.library.options import OPTIONS

    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`|(\w+)=", text))
    assert set(OPTIONS) <= {one for pair in named for one in pair}
