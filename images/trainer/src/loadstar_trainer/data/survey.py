"""The first reading of a data set: what its columns are, which rows are whole, what the target is."""

from dataclasses import dataclass, field

import numpy as np

from loadstar_trainer.data.blocks import Block, Reader
from loadstar_trainer.data.refusals import refusal
from loadstar_trainer.data.samples import Array, Column, Samples
from loadstar_trainer.data.targets import Classes, Numbers, TargetSurvey, require_classes
from loadstar_trainer.failures import Failure
from loadstar_trainer.spec import Dataset

MOST_CATEGORIES = 64


@dataclass(frozen=True)
class Encoding:
    """How a block of the file becomes samples."""

    file: str
    categories: tuple[tuple[str, ...] | None, ...]  # of each column of a table; None: numbers
    target: Classes | Numbers
    text_length: int | None  # bytes of a text column that count; None: no text column

    def encode(self, block: Block) -> Samples:
        """The samples of the rows that lack nothing. Failure where the file is no longer what was surveyed."""
        kept = ~missing_rows(block)
        try:
            return Samples(self.features(block, kept), self.target.encode(block.target[kept]))
        except KeyError as error:
            raise Failure(
                "DatasetChanged", f"{self.file} was changed while it was read: {error} is new."
            ) from None

    def features(self, block: Block, kept: Array) -> Array:
        if not isinstance(block.features, tuple):
            return block.features if kept.all() else block.features[kept]
        if self.text_length is not None:
            return as_bytes(block.features[0][kept], self.text_length)
        columns = zip(block.features, self.categories, strict=True)
        return np.concatenate([_encoded(values[kept], known) for values, known in columns], axis=1)

    def columns(self, names: tuple[str, ...]) -> tuple[Column, ...]:
        """Which features each column became."""
        columns: list[Column] = []
        start = 0
        for number, name in enumerate(names):
            known = self.categories[number] if self.categories else None
            stop = start + (1 if known is None else len(known))
            columns.append(Column(name, start, stop))
            start = stop
        return tuple(columns)


@dataclass
class _Kind:
    """What one column was seen to hold: numbers, or the texts with the row of the first."""

    numbers: bool = False
    texts: dict[str, int] = field(default_factory=dict)


class Survey:
    """Learns an Encoding from all blocks of a reader, and keeps the targets of the rows that lack nothing."""

    def __init__(self, reader: Reader, dataset: Dataset, text_length: int | None) -> None:
        self._reader = reader
        self._drop = dataset.drop_missing
        self._text_length = text_length
        self._target = TargetSurvey(reader.file, reader.target, dataset.given_task)
        self._kinds = [_Kind() for _ in reader.names]
        self._targets: list[Array] = []
        self._missing = 0
        self._first_missing = ""
        self.sizes: list[int] = []

    def add(self, block: Block) -> None:
        missing = missing_rows(block)
        if missing.any() and not self._drop:
            self._missing += int(missing.sum())
            self._first_missing = self._first_missing or self._where_missing(block)
        kept = ~missing
        rows = block.first + np.flatnonzero(kept)
        self._check_features(block)
        target = block.target[kept]
        self._refuse_infinite(target, self._reader.target, rows)
        self._target.add(target, rows)
        self._targets.append(target)
        self.sizes.append(len(rows))

    def finish(self) -> tuple[Encoding, Array]:
        """The encoding, and all encoded targets."""
        if self._missing:
            raise refusal(
                self._reader.file,
                f"{self._first_missing} is missing; rows that lack something: {self._missing}; complete "
                "them, or set dataset.preprocess.dropMissing to leave them out",
            )
        if sum(self.sizes) == 0:
            dropped = " that lacks nothing" if self._drop and self.sizes else ""
            raise refusal(self._reader.file, f"there is no row of data{dropped}; give at least one")
        target = self._target.finish()
        targets = np.concatenate([target.encode(values) for values in self._targets])
        if isinstance(target, Classes):
            require_classes(self._reader.file, self._reader.target, target.labels, targets)
        categories = tuple(tuple(sorted(kind.texts)) if kind.texts else None for kind in self._kinds)
        return Encoding(self._reader.file, categories, target, self._text_length), targets

    def _check_features(self, block: Block) -> None:
        if not isinstance(block.features, tuple):
            if block.features.dtype.kind == "f":
                self._refuse_infinite_array(block)
            return
        if self._text_length is not None:
            return
        for name, kind, values in zip(self._reader.names, self._kinds, block.features, strict=True):
            self._see(name, kind, values, block.first)

    def _see(self, name: str, kind: _Kind, values: Array, first: int) -> None:
        if values.dtype != object:
            self._refuse_infinite(values, name, first + np.arange(len(values)))
            kind.numbers = kind.numbers or not np.isnan(values).all()
        else:
            for row, value in enumerate(values.tolist(), first):
                if value is not None and value not in kind.texts:
                    self._see_text(name, kind, value, row)
        if kind.numbers and kind.texts:
            value, row = next(iter(kind.texts.items()))
            raise refusal(
                self._reader.file,
                f"column {name!r}, row {row + 1}: {value!r} is text where numbers are expected; correct the value, "
                "or leave the column out by naming the others in dataset.features",
            )

    def _see_text(self, name: str, kind: _Kind, value: str, row: int) -> None:
        if _is_number(value):
            kind.numbers = True
            return
        kind.texts[value] = row
        if len(kind.texts) > MOST_CATEGORIES and not kind.numbers:
            raise refusal(
                self._reader.file,
                f"column {name!r} has more than {MOST_CATEGORIES} different texts, too many for categories (the last "
                f"of them, {value!r}, is in row {row + 1}); turn it into numbers, leave it out by naming the "
                "others in dataset.features, or name it in dataset.textColumn",
            )

    def _refuse_infinite(self, values: Array, name: str, rows: Array) -> None:
        if values.dtype.kind == "f" and np.isinf(values).any():
            row = int(rows[np.flatnonzero(np.isinf(values))[0]])
            raise refusal(
                self._reader.file, f"column {name!r}, row {row + 1}: the number is infinite; correct it"
            )

    def _refuse_infinite_array(self, block: Block) -> None:
        features = block.features
        assert not isinstance(features, tuple)
        infinite = np.isinf(features)
        if infinite.any():
            row, *rest = (int(axis[0]) for axis in np.nonzero(infinite))
            raise refusal(
                self._reader.file,
                f"{self._column(rest)}, row {block.first + row + 1}: the number is infinite; correct it",
            )

    def _where_missing(self, block: Block) -> str:
        row = int(np.flatnonzero(missing_rows(block))[0])
        where = f"row {block.first + row + 1}"
        if missing(block.target[row : row + 1])[0]:
            return f"target column {self._reader.target!r}, {where}: the value"
        if isinstance(block.features, tuple):
            number = next(i for i, values in enumerate(block.features) if missing(values[row : row + 1])[0])
            return f"column {self._reader.names[number]!r}, {where}: the value"
        place = [int(axis[0]) for axis in np.nonzero(missing(block.features[row]))]
        return f"{self._column(place)}, {where}: the value"

    def _column(self, place: list[int]) -> str:
        if self._reader.names and len(place) == 1:
            return f"column {self._reader.names[place[0]]!r}"
        return f"features at {place}"


def missing(values: Array) -> Array:
    """Which values are NaN, or None among texts."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype == object:
        return np.array([value is None for value in values], bool)
    return np.zeros(values.shape, bool)


def missing_rows(block: Block) -> Array:
    """Which rows lack a feature or the target."""
    rows = missing(block.target)
    if isinstance(block.features, tuple):
        for values in block.features:
            rows = rows | missing(values)
    elif block.features.dtype.kind == "f":
        rows = rows | np.isnan(block.features).reshape(len(block), -1).any(axis=1)
    return rows


def as_bytes(texts: Array, length: int) -> Array:
    """The first `length` bytes of each text as UTF-8, filled up with zeros."""
    rows = np.zeros((len(texts), length), np.uint8)
    for row, text in zip(rows, texts.tolist(), strict=True):
        content = text.encode()[:length]
        row[: len(content)] = np.frombuffer(content, np.uint8)
    return rows


def _encoded(values: Array, categories: tuple[str, ...] | None) -> Array:
    """A column as float64 features: itself, or one of 0 and 1 for each category."""
    if categories is None:
        return values.astype(np.float64)[:, None]
    index = {category: number for number, category in enumerate(categories)}
    encoded = np.zeros((len(values), len(categories)))
    encoded[np.arange(len(values)), [index[value] for value in values]] = 1.0
    return encoded


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
