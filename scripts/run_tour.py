"""Execute the notebooks of docs/tour and store their outputs in them.

python scripts/run_tour.py [NOTEBOOK ...]     default: all
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TOUR = Path(__file__).resolve().parents[1] / "docs" / "tour"
_LIMIT = 600  # seconds per cell


def read(path: Path) -> Any:
    """A notebook, as `nbformat` represents it."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def execute(notebook: Any, folder: Path) -> Any:
    """A copy of a notebook with the outputs of running it in `folder`, without times.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    fresh: Any = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        fresh, timeout=_LIMIT, resources={"metadata": {"path": str(folder)}}, record_timing=False
    )
    client.execute()
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
