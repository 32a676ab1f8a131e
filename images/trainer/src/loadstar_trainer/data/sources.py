"""All samples of a data set before they are split: in memory, or where they can be read again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from loadstar_trainer.data import scaling, splitting
from loadstar_trainer.data.blocks import Reader
from loadstar_trainer.data.fingerprint import fingerprint, fingerprint_pieces
from loadstar_trainer.data.order import shares
from loadstar_trainer.data.samples import Array, Column, Data, Indices, Samples
from loadstar_trainer.data.splitting import Rows
from loadstar_trainer.data.streams import GROUP, GROUP_BYTES, Stream
from loadstar_trainer.data.survey import Encoding
from loadstar_trainer.failures import Failure
from loadstar_trainer.spec import Split
from loadstar_trainer.spec.tasks import CLASSIFICATION


class Source(Protocol):
    """What can be split, more than once for a cross-validation."""

    @property
    def groups(self) -> Array:
        """What each part has its share of: classes; zeros where there are none."""

    def split(self, shares: Split) -> Rows:
        """As the shares say; where the files have a test set of their own, that is the test part."""

    def part(self, rows: Rows, scale: str) -> Data:
        """The parts, scaled by what the training part shows."""


@dataclass(frozen=True)
class Whole:
    """In memory."""

    samples: Samples
    task: str
    labels: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    own_test: int | None = None

    @property
    def groups(self) -> Array:
        return _groups(self.samples.targets, self.task)

    def split(self, shares: Split) -> Rows:
        return _split(self.groups, shares, self.labels, self.own_test)

    def part(self, rows: Rows, scale: str) -> Data:
        training = self.samples.take(rows.training)
        fitted = scaling.fit(training.features, scale) if scales(training) else None
        scaled = fitted.apply if fitted is not None else _unchanged
        return Data(
            scaled(training),
            scaled(self.samples.take(rows.validation)),
            scaled(self.samples.take(rows.test)),
            self.task,
            len(self.labels),
            fingerprint(self.samples),
            self.labels,
            self.columns,
            _class_counts(training.targets, len(self.labels)),
            fitted,
        )


@dataclass(frozen=True)
class Encoded:
    """The blocks of a reader as samples; `sizes` are those of the first reading."""

    reader: Reader
    encoding: Encoding
    sizes: Sequence[int]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.read(0).shape

    def read(self, number: int) -> Samples:
        samples = self.encoding.encode(self.reader.read(number))
        if len(samples) != self.sizes[number]:
            raise Failure("DatasetChanged", f"{self.reader.file} was changed while it was read.")
        return samples

    def __iter__(self) -> Iterator[Samples]:
        for number in range(len(self.sizes)):
            yield self.read(number)


class OnFile:
    """In files, read block by block. In memory are the targets, and a number for each row."""

    def __init__(self, reader: Reader, encoding: Encoding, sizes: Sequence[int], targets: Array) -> None:
        self._blocks = Encoded(reader, encoding, sizes)
        self._own_test = reader.own_test
        self._columns = encoding.columns(reader.names)
        self._target = encoding.target
        self._targets = targets

    @property
    def groups(self) -> Array:
        return _groups(self._targets, self._target.task)

    def split(self, shares: Split) -> Rows:
        return _split(self.groups, shares, self._target.labels, self._own_test)

    def part(self, rows: Rows, scale: str) -> Data:
        fitted, digest = self._fit(rows.training, scale)
        group = self._blocks_at_once()
        classes = len(self._target.labels)
        return Data(
            Stream(self._blocks, rows.training, fitted, group),
            Stream(self._blocks, rows.validation, fitted, group),
            Stream(self._blocks, rows.test, fitted, group),
            self._target.task,
            classes,
            digest,
            self._target.labels,
            self._columns,
            _class_counts(self._targets[rows.training], classes),
            fitted,
        )

    def _blocks_at_once(self) -> int:
        """How many blocks to shuffle together; a function of the file alone, so that the order of samples is too."""
        first = self._blocks.read(0)
        row_bytes = max(1, first.features.nbytes // max(1, len(first)))
        return max(1, min(GROUP, GROUP_BYTES // max(1, row_bytes * max(self._blocks.sizes))))

    def _fit(self, training: Indices, scale: str) -> tuple[scaling.Scaling | None, str]:
        """Reads everything once more: for the scaling, as the training part shows it, and for the hash of all."""
        moments = scaling.Moments()
        bounds, offsets = shares(training, self._blocks.sizes)
        first = self._blocks.read(0)
        scaled = scale != "none" and scales(first)

        def features() -> Iterator[Array]:
            for number, samples in enumerate(self._blocks):
                if scaled:
                    own = training[bounds[number] : bounds[number + 1]] - offsets[number]
                    moments.add(samples.features[own])
                yield samples.features

        shape = (sum(self._blocks.sizes), *first.shape)
        digest = fingerprint_pieces(shape, first.features.dtype, features(), self._targets)
        if not scales(first):
            return None, digest
        return moments.scaling(scale) if scaled else scaling.IDENTITY, digest


def scales(samples: Samples) -> bool:
    """Whether features are numbers, not the bytes of texts."""
    return not (samples.features.dtype == np.uint8 and samples.features.ndim == 2)


def _unchanged(samples: Samples) -> Samples:
    return samples


def _groups(targets: Array, task: str) -> Array:
    return targets if task == CLASSIFICATION else np.zeros(len(targets), np.uint8)


def _split(groups: Array, shares: Split, labels: Sequence[str], own_test: int | None) -> Rows:
    if own_test is None:
        return splitting.split(groups, shares, labels)
    counts = np.bincount(groups[:own_test], minlength=len(labels))
    splitting.require_training(counts.tolist(), len(groups), labels)
    rest = splitting.split(groups[:own_test], Split(shares.validation, 0.0, shares.seed), labels)
    return Rows(rest.training, rest.validation, np.arange(own_test, len(groups)))


def _class_counts(targets: Array, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(targets, minlength=classes).tolist()) if classes else ()
