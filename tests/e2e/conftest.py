"""A tiny run shared by all command-line tests, and a way to call the commands."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import torch
from console import TRAINING, Answer
from inside import MODE, SHORT, Begin, inside

from nmt import cli, train

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest begins first, so that all processes end together."""
    items.sort(key=lambda item: item.path.name != "test_cpu_kernels.py")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `experiment=debug` on the short sentences of the bundled corpus."""
    folder = tmp_path_factory.mktemp("training")
    answer = inside(train, *TRAINING, "name=tiny", folder=folder, whole=True)
    assert answer.code == 0, answer.err
    (folder / "printed").write_text(answer.out, encoding="utf-8")
    return folder / "runs" / "tiny"


Call = Callable[..., Answer]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Call]:
    """Call a command's `main` as `python -m` would, but in this process, where torch is already loaded."""

    def call(module: ModuleType, *arguments: object, stdin: bytes = b"") -> Answer:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        monkeypatch.setattr(MODE, lambda *_, **__: None)
        code = 0
        try:
            cli.run(module.main)
        except SystemExit as left:
            code = int(left.code or 0)
        return Answer(code, *capsys.readouterr())

    yield call
    torch.set_flush_denormal(False)  # set by training; other tests need denormals


@pytest.fixture(scope="session")
def begin(trained: Path) -> Begin:
    """Start a short training run in this process, with the prepared data of `trained`."""

    def begin(folder: Path, *arguments: object) -> Answer:
        cache = f"data.cache={trained.parent.parent / 'data' / 'cache'}"
        return inside(train, *SHORT, cache, "name=run", *arguments, folder=folder)

    return begin


@pytest.fixture(scope="session")
def uninterrupted(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a short, uninterrupted training run."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    answer = begin(folder)
    assert answer.code == 0, answer.err
    return folder / "runs" / "run"


@pytest.fixture
def copy(uninterrupted: Path, tmp_path: Path) -> Path:
    """A finished run."""
    run = tmp_path / "runs" / "copy"
    shutil.copytree(uninterrupted, run)
    return run


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[WebDriver]":
    """A headless Chromium, with nothing that it would ask for by itself."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync")
    quiet = ("disable-background-networking", "disable-component-update", "window-size=1000,900")
    for flag in (*flags, *quiet, f"user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()
