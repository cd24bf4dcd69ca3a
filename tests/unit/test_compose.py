"""`configs/` and overrides over the schema: all choices compose, every user error is one line."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra

from nmt import cli
from nmt.config.schema import settings
from nmt.config.settings import Config
from nmt.errors import DataError, NmtError, StoppedError
from nmt.launch.compose import configs_folder, to_config
from nmt.launch.main import with_config
from nmt.train import help_text

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "tsv": ["data.path=pairs.tsv"],
    "dictionary": ["data.path=words.tsv"],
    "gettext": ["data.path=/usr/share/locale"],
    "moses": ["data.source_path=a.en", "data.target_path=a.mr"],
}
CHOICES = sorted(
    (file.parent.name, file.stem) for file in (ROOT / "configs").glob("*/*.yaml") if file.stem[0] != "_"
)


def test_help_names_every_experiment() -> None:
    (listed,) = re.findall(r"experiment=(\S+)", help_text())
    assert set(listed.split("|")) == {name for group, name in CHOICES if group == "experiment"}


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A sweep creates its folder in the current directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _fresh_hydra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hydra keeps state in globals, and `with_config` sets HYDRA_FULL_ERROR."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def composed(*overrides: str) -> Config:
    ConfigStore.instance().store(name="schema", node=Config)
    with initialize_config_dir(str(configs_folder()), version_base="1.3"):
        return to_config(compose("config", list(overrides)))


def values(config: Config) -> dict[str, object]:
    return {key: value for key, _, value in settings(config)}


# ---------------------------------------------------------------- configs/


def test_there_are_choices_of_every_group() -> None:
    assert configs_folder() == ROOT / "configs"
    assert {group for group, _ in CHOICES} == {"data", "model", "experiment"}
    assert len(CHOICES) >= 8


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ([], "auto"),
        (["data.swap=true"], "auto"),
        (["data.language=deu"], None),
        (["data.names=null"], None),
        (["data.names=mine.tsv"], "mine.tsv"),
        (["data=tsv", "data.path=pairs.tsv", "data.languages=[en,mr]"], None),
    ],
)
def test_names_of_the_languages_there_is_a_list_for(overrides: list[str], names: str | None) -> None:
    assert composed(*overrides).data.names == names


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes(group: str, choice: str) -> None:
    config = composed(f"{group}={choice}", *FILES.get(choice, []))
    if group == "data":
        assert config.data.source == choice


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_file_begins_with_what_it_is_for(group: str, choice: str) -> None:
    lines = (ROOT / "configs" / group / f"{choice}.yaml").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if line != "# @package _global_").startswith("# ")


SIZES = ("demo",)  # sets all sizes, as `debug` does, with which `tests/e2e/test_models.py` trains every model


@pytest.mark.parametrize("model", [choice for group, choice in CHOICES if group == "model"])
@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(choice, marks=() if choice in SIZES else pytest.mark.slow)
        for group, choice in CHOICES
        if group == "experiment"
    ],
)
def test_every_model_goes_with_every_experiment(model: str, experiment: str) -> None:
    assert composed(f"model={model}", f"experiment={experiment}")  # also validates it


def test_without_a_choice_the_schema_with_the_model_bahdanau_edited_sentences_and_names() -> None:
    expected = Config()
    expected.data.input_variants, expected.data.names = 0.2, "auto"
    expected.model.decoder.lexical = expected.model.decoder.tie_lexical = True
    assert values(composed()) == values(expected)


def test_the_command_line_has_the_last_word() -> None:
    config = composed("experiment=demo", "training.epochs=3", "training.dropout=0", "name=null")
    assert (config.training.epochs, config.training.dropout, config.name) == (3, 0.0, None)
    assert config.data.source == "sample"
    assert composed("experiment=demo", "data=manythings").data.source == "manythings"


def test_a_resumed_run_is_checked_with_its_own_settings() -> None:
    """The default data settings would not allow it, but those of the run may."""
    assert composed("resume=runs/one", "data.path=moved.tsv").data.path == "moved.tsv"
    assert composed("resume=runs/one", "training.guided_alignment=0.5").training.guided_alignment == 0.5


# ---------------------------------------------------------------- the command line


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[tuple[Config, str]], object]:
    """The arguments of the task and the exit code, as with `python -m nmt.train`."""
    given: list[tuple[Config, str]] = []

    def task(config: Config, name: str, overrides: tuple[str, ...]) -> float:
        given.append((config, name))
        return 1.0

    monkeypatch.setattr(sys, "argv", ["nmt.train", *arguments])
    code: object = 0
    try:
        cli.run(lambda: with_config(task))
    except SystemExit as end:
        code = end.code
    return given, code


def test_the_task_gets_the_settings_and_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given, code = call(monkeypatch, "data=sample", "model=luong", "training.learning_rate=3e-3")
    ((config, name),) = given
    assert code == 0
    assert name == "sample-luong"
    assert type(config) is Config
    assert config.training.learning_rate == 0.003
    assert config.model.attention.score == "general"
    assert not list(tmp_path.iterdir())  # we create the run folder, not Hydra


def test_the_task_gets_the_overrides_as_they_were_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without resolving `${...}` from Hydra's own config."""
    seen: list[tuple[tuple[str, ...], str]] = []

    def task(config: Config, name: str, overrides: tuple[str, ...]) -> float:
        seen.append((overrides, config.data.cache))
        return 1.0

    monkeypatch.chdir(tmp_path)
    given = ("resume=runs/one", "data.cache=${runs}/cache", "++training.epochs=3")
    monkeypatch.setattr(sys, "argv", ["nmt.train", *given])
    with_config(task)
    ((overrides, cache),) = seen
    assert overrides == given
    assert all(type(one) is str for one in overrides)
    assert cache == "runs/cache"


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.usefixtures("_elsewhere")
def test_a_signal_stops_a_sweep(
    before: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The jobs after it are not run, and it takes precedence over earlier failures."""
    seeds: list[int] = []

    def task(config: Config, name: str, overrides: tuple[str, ...]) -> float:
        seeds.append(config.seed)
        if len(seeds) <= before:
            raise NmtError("failed")
        raise StoppedError("stopped; resume with …", 15)

    monkeypatch.setattr(sys, "argv", ["nmt.train", "-m", "seed=1,2,3"])
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: with_config(task))
    assert end.value.code == 143
    assert seeds == [1, 2, 3][: before + 1]
    assert capfd.readouterr().err == "stopped; resume with …\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("training.learnin_rate=1", "training.learnin_rate: no such setting; did you mean training.learn"),
        ("trainig.dropout=1", "trainig.dropout: no such setting; did you mean training.dropout?"),
        ("+training.epoch=1", "training.epoch: no such setting; did you mean training.epochs?"),
        ("++data.cash=x", "data.cash: no such setting; did you mean data.cache?"),
        ("+x=1", "x: no such setting; `--help` lists all settings"),
        ("zzz=1", "zzz: no such setting; `--help` lists all settings"),
        ("training.epochs=many", "training.epochs: Value 'many' of type 'str' could not be converted"),
        ("training.epochs=1.5", "training.epochs: Value '1.5' of type 'float' could not"),
        ("data.swap=perhaps", "data.swap: Value 'perhaps' is not a valid bool (type str)"),
        ("seed=null", "seed: field 'seed' is not Optional"),
        ("model.encoder=5", "model.encoder: "),
        ("data.path=${nowhere}", "data.path: Interpolation key 'nowhere' not found"),
        ("training.epochs=0", "training.epochs=0: must be at least 1"),
        ("training.dropout=nan", "training.dropout=nan: must be at least 0"),
        ("model.bridge=rope", "model.bridge=rope: choose one of last, mean"),
        ("model=transformer9", "model=transformer9: no such choice; available: bahdanau, "),
        ("experiment=big", "experiment=big: no such choice; available: best, debug, "),
        (
            "data=other",
            "data=other: no such choice; available: dictionary, gettext, manythings, moses, sample, tsv",
        ),
        ("data=tsv", "data.path: data=tsv needs it; add data.path=FILE"),
        ("training.epochs", "training.epochs: cannot be parsed; write KEY=VALUE"),
        ("-m training.epochs=0,2", "training.epochs=0: must be at least 1"),
    ],
)
@pytest.mark.usefixtures("_elsewhere")
def test_a_mistake_is_one_line_that_names_the_key(
    arguments: str, message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given, code = call(monkeypatch, *arguments.split())
    out, error = capfd.readouterr()
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    assert out == ""
    assert code == 2
    assert given == []


def test_all_invalid_values_are_reported_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given, code = call(monkeypatch, "training.epochs=0", "model.bridge=rope", "model.encoder.size=3")
    error = capfd.readouterr().err
    assert all(key in error for key in ("training.epochs=0", "model.bridge=rope", "model.encoder.size=3"))
    assert error.count("\n") == 1
    assert (given, code) == ([], 2)


@pytest.mark.parametrize(("kind", "code"), [(DataError, 2), (ValueError, 1)])
def test_what_the_task_raises_comes_through(
    kind: type[Exception], code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def task(config: Config, name: str, overrides: tuple[str, ...]) -> float:
        raise kind("a\nfault")

    monkeypatch.setattr(sys, "argv", ["nmt.train"])
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: with_config(task))
    assert end.value.code == code
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("error: a fault" if code == 2 else "internal error: ValueError: a")


def test_the_command_itself(tmp_path: Path) -> None:
    """All of the above through `python -m nmt.train`, once."""
    run = subprocess.run(
        [sys.executable, "-m", "nmt.train", "training.learnin_rate=1"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (
        "error: training.learnin_rate: no such setting; did you mean training.learning_rate?\n"
    )
    assert not list(tmp_path.iterdir())


def test_an_override_without_a_key_is_named(monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["nmt.train", "=3"])
    with pytest.raises(NmtError, match=r"^=3: has no key; write KEY=VALUE$"):
        with_config(lambda *_: None)
