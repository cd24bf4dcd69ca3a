"""Overrides: paths and names mean what was typed, through Hydra's grammar and back."""

import re

import hypothesis
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from nmt.config.settings import Config, rename_overrides
from nmt.config.validation import check
from nmt.errors import ConfigError
from nmt.launch.overrides import as_typed, literal, split_arguments

NAMES = [
    "pairs (1).tsv", "daten-größe.tsv", "मराठी.tsv", "a=b.tsv", "a,b.tsv", "My Drive/x", "it's", "a'b\\",
    "{x}", "[x]", "2024_10_01", "1e5", "true", "a:b", "$HOME", "%20", "#", "x\\", "a\nb", "~/corpus.tsv",
    "-", " x ",
]  # fmt: skip


def quoted(override: str, sweep: bool = False) -> str:
    (found,) = literal([override], sweep)
    return found


def parsed(override: str) -> object:
    """The value that Hydra parses from an override."""
    value = OverridesParser.create().parse_override(override).value()
    text = value.text if isinstance(value, QuotedString) else value
    return OmegaConf.create({"value": text})["value"]


@pytest.mark.parametrize("key", ["data.path", "+runs", "name", "resume", "data.url"])
@pytest.mark.parametrize("name", NAMES)
def test_what_was_typed_is_what_is_meant(key: str, name: str) -> None:
    override = quoted(f"{key}={name}")
    assert parsed(override) == name
    assert as_typed(override) == f"{key}={name}"


@hypothesis.settings(deadline=None, max_examples=300)
@given(st.text(alphabet="a'\"\\,(){}[]=~$ é", min_size=1, max_size=8))
def test_any_text_comes_through(name: str) -> None:
    hypothesis.assume(not re.search(r"^'.*'$|^\".*\"$|\$\{[^{}]+\}", name))
    override = quoted(f"data.path={name}")
    assert parsed(override) == name
    assert as_typed(override) == f"data.path={name}"


@pytest.mark.parametrize("override", ["name=null", "name='x y'", 'name="x y"', "name=", "~name", "data=tsv"])
def test_what_hydra_understands_is_left_to_it(override: str) -> None:
    assert quoted(override) == override


def test_other_settings_are_left_to_hydra() -> None:
    overrides = ["model.encoder.size=1,2", "--cfg", "job", "training.epochs=range(1,3)", "seed=1", "name"]
    assert literal(overrides, sweep=True) == literal(overrides, sweep=False) == overrides


def test_commas_separate_the_values_of_a_sweep(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert quoted("name=a (1),b", sweep=True) == "name='a (1)','b'"
    assert quoted("data.language=choice(mar,deu)", sweep=True) == "data.language=choice(mar,deu)"
    (tmp_path / "a,b.tsv").touch()
    assert quoted("data.path=a,b.tsv", sweep=True) == "data.path='a,b.tsv'"


def test_interpolations_stay_what_they_are() -> None:
    assert quoted("data.cache=${runs}/cache") == "data.cache='${runs}/cache'"
    assert as_typed("data.cache='${runs}/cache'") == "data.cache=${runs}/cache"


@pytest.mark.parametrize("name", ["${name}.tsv", "a${b", "'q'", '"q"', "a\\${x}"])
def test_a_file_of_that_very_name_is_meant(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    override = quoted(f"data.path={name}")
    assert parsed(override) == name
    assert as_typed(override) == f"data.path={name}"


@pytest.mark.parametrize(
    ("value", "files"),
    [
        ("a,b (1).mr", ["a", "b (1).mr"]),
        ("[a , b (1).mr,]", ["a", "b (1).mr"]),
        ("""['t,1.mr',"t,2.mr",t [3].mr]""", ["t,1.mr", "t,2.mr", "t [3].mr"]),
        ("a'b", ["a'b"]),
        ("[]", []),
        ("", []),
        ("null", []),
    ],
)
def test_lists_of_files(value: str, files: list[str]) -> None:
    override = quoted(f"data.dev_target_paths={value}")
    found = OverridesParser.create().parse_override(override).value()
    assert list(found) == files


def test_a_sweep_over_lists_of_files() -> None:
    found = quoted("data.dev_target_paths=[a (1),b],[c]", sweep=True)
    assert found == "data.dev_target_paths=['a (1)','b'],['c']"
    choice = "data.test_target_paths=choice([a],[b])"
    assert quoted(choice, sweep=True) == choice


@pytest.mark.parametrize("key", ["data.path", "data.dev_target_paths", "name"])
def test_a_name_that_is_no_text_is_refused(key: str) -> None:
    config = Config()
    config.data.source = "tsv"
    value = ["a\udcff.tsv"] if key.endswith("s") else "a\udcff.tsv"
    setattr(config if key == "name" else config.data, key.removeprefix("data."), value)
    with pytest.raises(
        ConfigError, match=rf"{re.escape(key)}=\[?a\udcff\.tsv\]?: .* not valid UTF-8; rename"
    ):
        check(config, {key})


def test_an_old_key_is_the_new_one_and_says_so(capsys) -> None:
    overrides = rename_overrides(["model.dropout=0.2", "+model.rate_factor=0.3", "model=luong", "-m"])
    assert overrides == ["training.dropout=0.2", "+training.lr_multiplier=0.3", "model=luong", "-m"]
    assert capsys.readouterr().err == (
        "note: model.dropout has been renamed to training.dropout\n"
        "note: model.rate_factor has been renamed to training.lr_multiplier\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sweep", "rest"),
    [
        (["-m", "seed=1,2"], True, ["seed=1,2"]),
        (["--multirun", "seed=1,2"], True, ["seed=1,2"]),
        (["hydra.mode=MULTIRUN", "seed=1"], True, ["hydra.mode=MULTIRUN", "seed=1"]),
        (["seed=1", "--cfg", "job", "name=-m"], False, ["seed=1", "--cfg", "job", "name=-m"]),
        (["-c", "job", "~name", "--info"], False, ["-c", "job", "~name", "--info"]),
    ],
)
def test_flags_are_distinguished_from_overrides(arguments: list[str], sweep: bool, rest: list[str]) -> None:
    assert split_arguments(arguments) == (sweep, rest)


@pytest.mark.parametrize("name", ["more configs", "it's [1]"])
def test_a_folder_of_configs_is_searched(name: str, tmp_path, monkeypatch) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    for arguments in (["--config-dir", name], [f"--config-dir={name}"]):
        sweep, (override,) = split_arguments(arguments)
        found = OverridesParser.create().parse_override(override)
        assert (sweep, found.key_or_group) == (False, "hydra.searchpath")
        assert found.value() == [f"file://{tmp_path / name}"]
    with pytest.raises(ConfigError, match=r"^--config-dir gone: no such folder$"):
        split_arguments(["--config-dir", "gone"])
