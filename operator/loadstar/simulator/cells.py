"""Lines of csv files whose every fault is told with its file, line and column."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Never


class TraceError(ValueError):
    """A trace can't be used as it is; the message names the file, the line and the column."""


class TracesMissing(FileNotFoundError):
    """A file of the traces is not there; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a csv file; an absent column reads as an empty cell."""

    path: Path
    number: int
    cells: Mapping[str, str | None]

    def text(self, column: str) -> str:
        """The cell without blanks around it."""
        return (self.cells.get(column) or "").strip()

    def name(self, column: str) -> str:
        """A cell that may not be empty."""
        return self.text(column) or self.refuse(column, "is empty: every line needs a name of its own")

    def whole(self, column: str, least: int = 0, default: int | None = None) -> int:
        """A whole number ≥ `least`; `default`, where there is one, for an empty cell."""
        text = self.text(column)
        if not text and default is not None:
            return default
        try:
            value = int(text)
        except ValueError:
            self.refuse(column, f"is {text!r}: write a whole number, such as {max(least, 1)}")
        if value < least:
            self.refuse(column, f"is {value}: write a number of at least {least}")
        return value

    def seconds(self, column: str) -> float | None:
        """A time or duration in seconds; None for an empty cell."""
        text = self.text(column)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            self.refuse(column, f"is {text!r}: write seconds as a number of at least 0, such as 90.5")
        return value

    def refuse(self, column: str, what: str) -> Never:
        """Say what is wrong with a cell and what to write."""
        raise TraceError(f"{self.path}, line {self.number}, column {column}: {what}")


def lines(path: Path) -> tuple[frozenset[str], Iterator[Line]]:
    """The columns of a csv file with a header line, and its lines; blank lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TracesMissing(f"{path} is not there: name a csv file of nodes or jobs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path} can't be read as a csv file: {error}") from error
    reader = csv.DictReader(text.splitlines())
    columns = [column.strip() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    return frozenset(columns), (Line(path, reader.line_num, cells) for cells in reader)


def need(path: Path, columns: frozenset[str], wanted: tuple[str, ...]) -> None:
    """Refuse a file without one of the `wanted` columns."""
    for column in wanted:
        if column not in columns:
            there = ", ".join(sorted(columns)) or "none: the file is empty"
            raise TraceError(f"{path}, line 1: there is no column {column}; its columns are {there}")
