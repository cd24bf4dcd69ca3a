"""The JSON file and the table of a benchmark, and its comparison with an earlier one."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt.errors import ConfigError
from timing.machine import Load
from timing.statistics import Measurement, Spread

FORMAT = 1
COMPARED = ("cpu", "cores", "gpu", "system", "python", "torch", "cuda")  # of the machine
Ratios = dict[tuple[str, str, str], float]
"""By kind, conditions and figure: median now / median then."""


def to_json(
    machine: dict[str, Any],
    settings: dict[str, Any],
    loads: Sequence[Load | None],
    found: Sequence[Measurement],
) -> dict[str, Any]:
    """The content of the JSON file.

    Args:
        machine: as from `timing.machine.machine`.
        settings: the arguments.
        loads: by other processes, before and after the measurements; None if unknown.
        found: the measurements.
    """
    return {
        "format": FORMAT,
        "machine": machine,
        "settings": settings,
        "busy_cores": [None if load is None else round(load.cores, 2) for load in loads],
        "measurements": [asdict(one) for one in found],
    }


def read(path: Path, small: bool) -> dict[str, Any]:
    """A JSON file written by `scripts/benchmark.py`.

    Args:
        path: the file.
        small: whether it must be of `--small`, whose figures are those of other models.

    Raises:
        ConfigError: if it is another file.
        OSError: if it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ConfigError(f"--compare {path}: written by another version (format {content['format']})")
        if content["settings"]["small"] is not small:
            raise ConfigError(f"--compare {path}: measured with{'out' if small else ''} --small")
        content["machine"].get("torch")
        measurements(content)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"--compare {path}: not written by scripts/benchmark.py") from error
    return dict(content)


def measurements(content: dict[str, Any]) -> list[Measurement]:
    """The measurements of a file."""
    return [
        Measurement(
            one["kind"], one["key"], {name: Spread(**figure) for name, figure in one["figures"].items()}
        )
        for one in content["measurements"]
    ]


# ---------------------------------------------------------------- comparison


def ratios(found: Sequence[Measurement], earlier: Sequence[Measurement]) -> Ratios:
    """The ratios of the figures that both have, under the same conditions."""
    then = {place: figure.median for place, figure in _figures(earlier)}
    return {
        place: figure.median / then[place] for place, figure in _figures(found) if then.get(place)
    }  # zero: no ratio


def _figures(found: Sequence[Measurement]) -> list[tuple[tuple[str, str, str], Spread]]:
    return [
        ((one.kind, json.dumps(one.key, sort_keys=True), name), figure)
        for one in found
        for name, figure in one.figures.items()
    ]


def differences(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    """What differs between two machines, one line each."""
    return [
        f"note: not the same {name}: {then.get(name)} then, {now.get(name)} now"
        for name in COMPARED
        if now.get(name) != then.get(name)
    ]


# ---------------------------------------------------------------- table

HEAD = ("measurement", "figure", "median", "quartiles", "n")


def table(found: Sequence[Measurement], compared: Ratios | None = None) -> str:
    """A line per figure; `compared`: with ratios, "–" where there is nothing to compare with."""
    rows: list[tuple[str, ...]] = [(*HEAD, *(("now / then",) if compared is not None else ()))]
    for one in found:
        title = f"{one.kind}: {', '.join(_condition(*item) for item in one.key.items())}"
        for name, figure in one.figures.items():
            quartiles = f"{number(figure.lower)} – {number(figure.upper)}"
            row: tuple[str, ...] = (title, name, number(figure.median), quartiles, str(figure.repetitions))
            if compared is not None:
                ratio = compared.get((one.kind, json.dumps(one.key, sort_keys=True), name))
                row = (*row, "–" if ratio is None else f"{ratio:.3f}")
            rows.append(row)
            title = ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _condition(name: str, value: object) -> str:
    if name in ("model", "precision", "device", "work"):
        return str(value)
    return f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"


def number(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"
