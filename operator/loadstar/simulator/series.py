"""Recorded loads to score forecasts on: a csv file with the time in its first column and one series in each other."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadstar.simulator.cells import TraceError, TracesMissing

Array = NDArray[np.float64]

LEAST_ROWS = 3


@dataclass(frozen=True, slots=True)
class Series:
    """Loads over time, in any unit: `values` (times, series), NaN where a sample is missing; `times` in seconds."""

    source: str
    names: tuple[str, ...]
    times: Array
    values: Array

    @property
    def step(self) -> float:
        """The rhythm of the samples: the median of the gaps, in seconds."""
        return float(np.median(np.diff(self.times)))


def read(path: Path, unit_seconds: float = 1.0) -> Series:
    """The series of a csv file. Its first column holds dates, or numbers of `unit_seconds` each (Unix seconds by
    default); a blank cell is a missing sample. Raises TraceError naming file, line and column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, cells) for number, cells in enumerate(csv.reader(file), 1) if any(cells)]
    except FileNotFoundError:
        raise TracesMissing(f"{path} is not there: name a csv file of loads") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path} can't be read as a csv file: {error}") from error
    if len(lines) <= LEAST_ROWS:
        raise TraceError(
            f"{path} has too few lines: a header line and {LEAST_ROWS} lines of samples are the least"
        )
    header = [name.strip() for name in lines[0][1]]
    if len(header) < 2:
        raise TraceError(
            f"{path}, line {lines[0][0]}: write the time into the first column and a series into each other"
        )
    twice = [name for place, name in enumerate(header) if name in header[:place]]
    if twice:
        raise TraceError(
            f"{path}, line {lines[0][0]}: {twice[0]!r} names two columns: give each its own name"
        )
    table = [_row(path, number, header, cells, unit_seconds) for number, cells in lines[1:]]
    times, values = np.array([time for time, _ in table]), np.array([row for _, row in table])
    late = np.flatnonzero(np.diff(times) <= 0)
    if late.size:
        number = lines[int(late[0]) + 2][0]
        raise TraceError(
            f"{path}, line {number}, column {header[0]}: is not later than the line before: sort by time"
        )
    return Series(path.name, tuple(header[1:]), times, values)


def of_points(source: str, found: Mapping[str, Sequence[tuple[float, float]]]) -> Series:
    """Series given as (seconds, value) pairs by name, such as a Prometheus range.

    Raises TraceError where they are too few.
    """
    times = sorted({at for points in found.values() for at, _ in points})
    if len(times) < LEAST_ROWS:
        raise TraceError(f"{source}: {len(times)} samples are too few: ask for a longer time")
    place = {at: row for row, at in enumerate(times)}
    values = np.full((len(times), len(found)), np.nan)
    for column, points in enumerate(found.values()):
        for at, value in points:
            values[place[at], column] = value if math.isfinite(value) else math.nan
    return Series(source, tuple(found), np.array(times), values)


def seconds(text: str) -> float:
    """A moment given as a number of seconds or as a date; one without a zone is UTC. Raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _row(
    path: Path, number: int, header: Sequence[str], cells: Sequence[str], unit: float
) -> tuple[float, list[float]]:
    if len(cells) != len(header):
        raise TraceError(
            f"{path}, line {number}: has {len(cells)} cells where the header line has {len(header)}"
        )
    try:
        time = seconds(cells[0])
    except ValueError:
        raise TraceError(
            f"{path}, line {number}, column {header[0]}: is {cells[0]!r}: write a number of seconds or a date such as "
            "2026-03-01 12:00:00"
        ) from None
    return (time * unit if _is_number(cells[0]) else time), list(_loads(path, number, header, cells))


def _loads(path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> Iterable[float]:
    for column, cell in zip(header[1:], cells[1:], strict=True):
        if not cell.strip():
            yield math.nan
            continue
        if not _is_number(cell):
            raise TraceError(
                f"{path}, line {number}, column {column}: is {cell!r}: write a number, or leave it empty"
            )
        yield float(cell)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
