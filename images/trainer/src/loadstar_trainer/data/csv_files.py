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
            while (found := self._next(file, self._starts[-1])) is not None:
                block, end = found
                self._starts.append(end)
                yield block

    def read(self, number: int) -> Block:
        start, end = self._starts[number : number + 2]
        with self._place.open(EXACTLY) as file:
            file.seek(start.byte)
            content = io.BytesIO(file.read(end.byte - start.byte))
        found = self._next(content, start)
        return found[0] if found is not None else self._block(start.row, [])

    def _next(self, file: BinaryIO, start: _Start) -> tuple[Block, _Start] | None:
        """The block that begins where the file stands, and where it ends; None at the end of the file."""
        position = file.tell()
        content = file.read(self._block_bytes) + file.readline()
        table = None if self._as_text or self._text_only else _numbers(content, self._delimiter)
        if table is not None and table.shape[1] == len(self._header):
            lines = content.count(b"\n")
            end = _Start(start.byte + len(content), start.line + lines, start.row + len(table))
            features = tuple(table[:, number] for number in self._choice.features)
            return Block(start.row, features, table[:, self._choice.target]), end
        file.seek(position)
        reader = _Lines(file, start, self.file)
        rows = self._rows(reader)
        end = _Start(reader.byte, reader.line, start.row + len(rows))
        return (self._block(start.row, rows), end) if rows else None

    def _rows(self, lines: "_Lines") -> list[list[str]]:
        """The next rows, of about a block's bytes; none at the end of the file."""
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
                if lines.byte >= end and rows:
                    break
        except csv.Error as error:
            raise refusal(self.file, f"line {lines.line} is no CSV ({error}); correct it") from None
        return rows

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


def _numbers(content: bytes, delimiter: str) -> Array | None:
    """Lines that hold nothing but numbers as a table; None for all others, which take four times as long to read."""
    if b'"' in content or not content.strip():
        return None
    try:
        return np.loadtxt(io.BytesIO(content), np.float64, comments=None, delimiter=delimiter, ndmin=2)
    except ValueError:
        return None


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
