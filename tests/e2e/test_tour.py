"""The notebooks of docs/tour run, and their stored outputs are what the code gives.

Text is compared with its numbers within a tolerance, since processors round differently; pictures by their
size and nearly by their pixels. Cells tagged "trained" depend on a training, so only the kinds of their
outputs are compared, and a few updates are enough; a slow test makes all of them.
"""

import base64
import io
import math
import re
import shutil
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from run_tour import kernel, read

ROOT = Path(__file__).resolve().parents[2]
TOUR = ROOT / "docs" / "tour"
NOTEBOOKS = sorted(path.name for path in TOUR.glob("*.ipynb"))
FEW, MANY = "40", "1000"  # updates
OWN_TRAININGS = "06_pooling.ipynb"  # of 36 small models, for as long as they need: only in the slow test
PARTS = ("**The question.**", "**What to notice**", "**Exercise.**", "<details><summary>Answer</summary>")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
OF_ONE_RUN = re.compile(  # colours, warnings, paths, addresses, times of day, speeds and durations
    r"\x1b|[Ww]arning|(?<![\w.])/(?:home|root|tmp|usr|work)\b|0x[0-9a-f]{6}|\d{8}-\d{6}|tokens/s|\d ?s\b"
)


@pytest.fixture(
    scope="module", params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["quick", "whole"]
)
def executed(request, tmp_path_factory):
    """Each notebook, executed in a copy of the folder by one kernel, which imports the modules once; the
    longest ones first. The small models of `small_model.py` are trained for at most so many updates.
    """
    folder = tmp_path_factory.mktemp("tour") / "docs" / "tour"
    shutil.copytree(TOUR, folder, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    waiting = deque(name for name in reversed(NOTEBOOKS) if request.param == MANY or name != OWN_TRAININGS)
    runs: dict[str, Future] = {name: Future() for name in waiting}

    def work() -> None:
        try:
            with kernel(folder) as execute:
                while waiting:
                    finish(waiting.popleft(), execute)
        except Exception as error:  # no kernel
            while waiting:
                runs[waiting.popleft()].set_exception(error)

    def finish(name: str, execute) -> None:
        try:
            runs[name].set_result(execute(read(TOUR / name)))
        except Exception as error:  # the test of this notebook fails with it
            runs[name].set_exception(error)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setenv("NMT_TOUR_UPDATES", request.param)
        worker = thread.submit(work)
        yield runs
        waiting.clear()
        worker.result()


def outputs(cell) -> list[dict[str, str]]:
    """What a cell printed and showed: text by kind."""
    found = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found.append({output.name: output.text})
        else:
            found.append(dict(output.data))
    return found


def same_text(one: str, other: str) -> bool:
    """Equal but for numbers, which differ by at most 2 % or a rounding of what is shown."""
    if NUMBER.sub("0", one) != NUMBER.sub("0", other):
        return False
    numbers = ([float(n) for n in NUMBER.findall(text)] for text in (one, other))
    return all(math.isclose(x, y, rel_tol=0.02, abs_tol=0.011) for x, y in zip(*numbers, strict=True))


def same_picture(one: str, other: str) -> bool:
    """The same size, and nearly the same colours."""
    pictures = [image.imread(io.BytesIO(base64.b64decode(text)), format="png") for text in (one, other)]
    same_shape = pictures[0].shape == pictures[1].shape
    return same_shape and float(np.abs(pictures[0] - pictures[1]).mean()) < 0.01


def differences(stored, fresh) -> list[str]:
    """The cells whose stored outputs are not those of the present code."""
    found = []
    for number, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True)):
        before, now = outputs(old), outputs(new)
        kinds = [[sorted(output) for output in cell] for cell in (before, now)]
        same = kinds[0] == kinds[1]
        if same and "trained" not in old.metadata.get("tags", []):
            for one, other in zip(before, now, strict=True):
                for kind, text in one.items():
                    compare = same_picture if kind == "image/png" else same_text
                    same = same and compare(text, other[kind])
        if not same:
            found.append(f"cell {number}: stored {before!r:.300}, now {now!r:.300}")
    return found


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_outputs_are_those_of_the_code(name: str, executed: dict[str, Future]):
    if name not in executed:
        pytest.skip("trains models of its own")
    assert differences(read(TOUR / name), executed[name].result()) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_step_has_all_its_parts(name: str):
    """The question, an equation and its paper, a picture, what to notice, and an exercise with its answer."""
    cells = read(TOUR / name).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    number = int(name.split("_")[0])
    assert text.startswith(f"# {number}. ")
    for part in PARTS:
        assert part in text, part
    assert text.count("<details>") == text.count("</details>")
    assert re.search(r"\b(19|20)\d\d\b", text), "a paper"
    assert "$" in text, "an equation"
    assert "from nmt." in code, "the modules that are taught"
    assert any("image/png" in output for cell in cells for output in outputs(cell))
    assert (TOUR / name).stat().st_size < 500_000


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_code_host_can_show_it(name: str):
    """Outputs are text and pictures, without warnings, and with nothing of one machine or one run; formulas
    are ASCII.
    """
    notebook = read(TOUR / name)
    for cell in notebook.cells:
        for output in outputs(cell):
            assert set(output) <= {"stdout", "text/plain", "image/png"}
            for kind, text in output.items():
                assert kind == "image/png" or not OF_ONE_RUN.search(text), text
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.count("$$") % 2 == 0
    for formula in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, flags=re.DOTALL):
        assert "".join(formula).isascii(), formula


def test_links_between_steps_and_from_the_documentation_work():
    files = [*TOUR.glob("*.ipynb"), TOUR / "README.md", ROOT / "README.md", ROOT / "docs" / "models.md"]
    linked = set()
    for file in files:
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (file.parent / target).exists(), f"{file.name}: {target}"
                linked.add((file, Path(target).name))
    for document in files[-3:]:
        missing = set(NOTEBOOKS) - {name for file, name in linked if file == document}
        assert not missing, f"{document}: no link to {missing}"


def test_this_test_sees_what_is_wrong():
    stored = read(TOUR / NOTEBOOKS[0])
    fresh = read(TOUR / NOTEBOOKS[0])
    assert differences(stored, fresh) == []
    printed = next(cell for cell in fresh.cells if cell.get("outputs") and "text" in cell.outputs[0])
    assert NUMBER.search(printed.outputs[0].text)
    printed.outputs[0].text = NUMBER.sub("77", printed.outputs[0].text, count=1)
    assert len(differences(stored, fresh)) == 1
    printed.outputs = []
    assert len(differences(stored, fresh)) == 1
    assert same_text("loss 1.000", "loss 1.004")
    assert not same_text("loss 1.0", "loss 1.2")
    assert not same_text("loss 1.0", "lose 1.0")
