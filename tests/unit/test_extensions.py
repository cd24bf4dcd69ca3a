"""Extension points: what is found by file name, and that it agrees with the settings."""

import subprocess
import sys

import pytest

from nmt.config.extensions import EXTENSION_POINTS, SOURCES
from nmt.config.schema import settings
from nmt.config.settings import Config
from nmt.data.sources.source import DataSource
from nmt.errors import ConfigError

LEAVES = {key: (item, value) for key, item, value in settings(Config())}
MEMBERS = [(point, name) for point in EXTENSION_POINTS.values() for name in point.names()]


def test_the_sources_are_found() -> None:
    assert SOURCES.names() == ("dictionary", "gettext", "manythings", "moses", "sample", "tsv")
    assert LEAVES["data.source"][0].metadata["choices"] == SOURCES.names()
    assert all(issubclass(SOURCES.load(name), DataSource) for name in SOURCES.names())


@pytest.mark.parametrize(("point", "name"), MEMBERS, ids=str)
def test_a_class_lists_settings_that_exist_and_are_checked(point, name) -> None:
    found = point.load(name)
    for key in (*found.uses, *found.requires):
        assert LEAVES[key][0].metadata["used_by"] == point.key, f"{key}: used_by is missing"
    assert not set(found.requires) & set(found.uses)
    assert all(not LEAVES[key][1] for key in found.requires), "a required setting has no default"


def test_every_dependent_setting_is_used_by_some_choice() -> None:
    for key, (item, _) in LEAVES.items():
        if item.metadata["used_by"]:
            assert EXTENSION_POINTS[item.metadata["used_by"]].using(key), key


def test_listing_the_choices_imports_none_of_them() -> None:
    program = (
        "import sys; from nmt.config.settings import Config; Config();"
        "print([name for name in sys.modules if name.startswith(('nmt.data', 'nmt.model', 'torch'))])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_a_choice_that_is_not_here_is_named() -> None:
    """As for a run that was made with an extension of another checkout."""
    with pytest.raises(
        ConfigError, match=r"^data\.source=jsonl: no such choice; available: dictionary, gettext, manythings"
    ):
        SOURCES.load("jsonl")
