"""What a node's GPUs are told to do: a load as it is written in the configuration or sent to `PUT /load`."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgm_simulator.fields import Fields, InvalidField
from dcgm_simulator.series import Series

KINDS = ("constant", "ramp", "csv", "silent")


@dataclass(frozen=True)
class Load:
    """A load series with the words that asked for it; `silent` means that the node's exporter does not answer."""

    written: dict[str, Any]
    series: Series
    silent: bool = False


def read_load(fields: Fields, traces: Path) -> Load:
    """Make a Load of its written form; csv paths are relative to the folder `traces` and stay below it.

    Raises InvalidField.
    """
    kind = fields.choice("kind", KINDS)
    series = _read_series(kind, fields, traces)
    fields.done()
    return Load(fields.values, series, silent=kind == "silent")


def _read_series(kind: str, fields: Fields, traces: Path) -> Series:
    if kind == "constant":
        return Series.constant(fields.number("value", 0, 1))
    if kind == "ramp":
        start, end = fields.number("from", 0, 1), fields.number("to", 0, 1)
        return Series.ramp(start, end, fields.number("overSeconds", 0.001, 10_000_000))
    if kind == "csv":
        return _read_csv(fields, traces)
    return Series.constant(0.0)


def _read_csv(fields: Fields, traces: Path) -> Series:
    if ("path" in fields) == ("inline" in fields):
        raise InvalidField(fields.at("path"), "give exactly one of path and inline for a csv load")
    if "inline" in fields:
        return parse_csv(fields.text("inline"), fields.at("inline"))
    file = (traces / fields.text("path")).resolve()
    if not file.is_relative_to(traces.resolve()):
        raise InvalidField(fields.at("path"), f"must stay below the configuration's folder {traces}")
    try:
        return parse_csv(file.read_text(), fields.at("path"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidField(fields.at("path"), f"cannot be read: {error}") from error


def parse_csv(text: str, path: str) -> Series:
    """Rows of `seconds,load`, a header row allowed; InvalidField names `path` and the row."""
    points: list[tuple[float, float]] = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or (number == 1 and [cell.strip() for cell in row] == ["seconds", "load"]):
            continue
        points.append(_point(row, f"{path} row {number}", after=points[-1][0] if points else -math.inf))
    if not points:
        raise InvalidField(path, "has no rows; each row is seconds,load, for example 60,0.5")
    return Series(tuple(points))


def _point(row: list[str], path: str, after: float) -> tuple[float, float]:
    try:
        seconds, load = (float(cell) for cell in row)
    except ValueError:
        raise InvalidField(path, f"must be two numbers, seconds,load, but is {','.join(row)!r}") from None
    if not 0.0 <= load <= 1.0:
        raise InvalidField(path, f"the load must be from 0 to 1, but is {load:g}")
    if not (0.0 <= seconds < math.inf and seconds > after):
        raise InvalidField(
            path, f"the seconds must be at least 0 and grow from row to row, but are {seconds:g}"
        )
    return seconds, load
