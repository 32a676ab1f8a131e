"""CSV: UTF-8, a header unless the first line is all numbers, separated by commas, semicolons or tabs."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from loadstar_trainer.data.blocks import BLOCK_BYTES, Block
from loadstar_trainer.data.columns import Choice, choose
from loadstar_trainer.data.places import EXACTLY, Place
from loadstar_trainer.data.refusals import refusal
from loadstar_trainer.data.samples import Array
from loadstar_trainer.spec import Dataset
from loadstar_trainer.spec.tasks import CLASSIFICATION

MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL"))


@dataclass(frozen=True)
class _Start:
    """Where a block begins: byte, line (from 0) and row of data (from 0)."""

    byte: int
    line: int
    row: int


class CsvReader:
    """One CSV file. The places where blocks begin are noted while it is read for the first time."""

    own_test = None
    seekable = True

    def __init__(self, place: Place, dataset: Dataset, block_bytes: int = BLOCK_BYTES) -> None:
        self.file = str(place)
        self._place = place
        self._block_bytes = block_bytes
        with place.open() as file:
            self._header, self._delimiter, first = _header(
                _Lines(file, _Start(0, 0, 0), self.file), self.file
            )
        self._starts = [first]
        self._choice: Choice = choose(self.file, self._header, dataset)
        self.names = self._choice.names
        self.target = self._choice.target_name
        # Numbers that name classes stay as they are written.
        self._as_text = dataset.given_task == CLASSIFICATION
        self._text_only = dataset.text_column is not None

    def blocks(self) -> Iterator[Block]:
        del self._starts[1:]
        with self._place.open() as file:
            file.seek(self._starts[0].byte)
            lines = _Lines(file, self._starts[0], self.file)
            while (rows := self._rows(lines)) is not None:
                yield self._block(self._starts[-1].row, rows)
                self._starts.append(_Start(lines.byte, lines.line, self._starts[-1].row + len(rows)))

    def read(self, number: int) -> Block:
        start, end = self._starts[number : number + 2]
        with self._place.open(EXACTLY) as file:
            file.seek(start.byte)
            content = io.BytesIO(file.read(end.byte - start.byte))
        rows = self._rows(_Lines(content, start, self.file))
        return self._block(start.row, rows or [])

    def _rows(self, lines: "_Lines") -> list[list[str]] | None:
        """The next rows, of about a block's bytes; None at the end of the file."""
        end = lines.byte + self._block_bytes
        rows: list[list[str]] = []
        try:
            for row in csv.reader(lines, delimiter=self._delimiter, strict=True):
                if len(row) == len(self._header):
                    rows.append(row)
                elif row:
                    raise refusal(
                        self.file,
                        f"line {lines.line} has {len(row)} fields and the first line has {len(self._header)}; "
                        "each line needs as many (a field that holds the separator goes in double quotes)",
                    )
                if lines.byte >= end:
                    break
        except csv.Error as error:
            raise refusal(self.file, f"line {lines.line} is no CSV ({error}); correct it") from None
        return rows or None

    def _block(self, first: int, rows: Sequence[Sequence[str]]) -> Block:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._header)
        read = _texts if self._text_only else _column
        features = tuple(read(columns[number]) for number in self._choice.features)
        target = columns[self._choice.target]
        return Block(first, features, _texts(target) if self._as_text else _column(target))


class _Lines:
    """A binary file's lines as text, from the place where it stands; counts what was taken."""

    def __init__(self, file: BinaryIO, start: _Start, name: str) -> None:
        self._file = file
        self._name = name
        self.byte = start.byte
        self.line = start.line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        self.byte += len(line)
        self.line += 1
        try:
            return line.decode("utf-8-sig" if self.line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise refusal(
                self._name,
                f"line {self.line} is not UTF-8 text ({error.reason} at its byte {error.start + 1}); save it as UTF-8",
            ) from None


def _header(lines: _Lines, name: str) -> tuple[tuple[str, ...], str, _Start]:
    """The columns' names, the separator, and where the data begin."""
    start = _Start(0, 0, 0)
    text = next(lines, "")
    if not text.strip():
        raise refusal(name, "the file is empty, or its first line is; give a header and rows")
    if "\0" in text:
        raise refusal(name, "the file holds binary data; set dataset.format to what it is")
    delimiter = next((mark for mark in (",", ";", "\t") if mark in text), ",")
    try:
        fields = next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise refusal(name, f"line 1 is no CSV ({error}); correct it") from None
    if all(isinstance(value, float) for value in map(_number, fields)):
        return tuple(str(number) for number in range(len(fields))), delimiter, start
    return tuple(field.strip() for field in fields), delimiter, _Start(lines.byte, lines.line, 0)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return 0.0 if text.strip() in MISSING else None


def _column(values: Sequence[str]) -> Array:
    """Numbers where all that is not missing is a number, else texts."""
    try:
        return np.array(values, np.float64)
    except ValueError:
        texts = _texts(values)
    try:
        return np.array(["nan" if text is None else text for text in texts], np.float64)
    except ValueError:
        return texts


def _texts(values: Sequence[str]) -> Array:
    stripped = (value.strip() for value in values)
    return np.array([None if value in MISSING else value for value in stripped], object)
