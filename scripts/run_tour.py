"""Execute the notebooks of docs/tour and store their outputs in them.

python scripts/run_tour.py [NOTEBOOK ...]     default: all
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TOUR = Path(__file__).resolve().parents[1] / "docs" / "tour"
_LIMIT = 600  # seconds per cell


def read(path: Path) -> Any:
    """A notebook, as `nbformat` represents it."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


@contextmanager
def kernel(folder: Path) -> Iterator[Callable[[Any], Any]]:
    """A Jupyter kernel, started in `folder`, as a function that executes notebooks one after another.

    It returns a copy of the notebook with its outputs, without times. A notebook finds no names of the one
    before, but modules stay imported, which takes most of the time of a short notebook. The function raises
    nbclient.exceptions.CellExecutionError if a cell fails.
    """
    client = NotebookClient(
        nbformat.v4.new_notebook(),  # type: ignore[no-untyped-call]
        timeout=_LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    with client.setup_kernel():
        yield lambda notebook: _executed(client, notebook)


def execute(notebook: Any, folder: Path) -> Any:
    """A copy of a notebook with the outputs of running it in `folder`, in a kernel of its own."""
    with kernel(folder) as run:
        return run(notebook)


def _executed(client: NotebookClient, notebook: Any) -> Any:
    fresh: Any = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client.nb = fresh
    try:
        client.execute(cleanup_kc=False)
    finally:
        client.nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f")])  # type: ignore[no-untyped-call]
        client.execute(cleanup_kc=False)
    fresh.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return fresh


def _joined(outputs: list[Any]) -> list[Any]:
    """Outputs with the pieces of each printed text joined; where the kernel divides it depends on time."""
    joined: list[Any] = []
    for output in outputs:
        if (
            joined
            and output.output_type == joined[-1].output_type == "stream"
            and output.name == joined[-1].name
        ):
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    for path in parser.parse_args().notebooks or sorted(TOUR.glob("*.ipynb")):
        began = time.perf_counter()
        fresh = execute(read(path), TOUR)
        text: str = nbformat.writes(fresh)  # type: ignore[no-untyped-call]
        path.write_text(text + "\n", encoding="utf-8")
        print(f"{path.name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
