"""Plain text, byte by byte: contiguous parts to train, validate and test on, cut into windows of equal length."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loadstar_trainer.data.blocks import BLOCK_BYTES
from loadstar_trainer.data.fingerprint import fingerprint_pieces
from loadstar_trainer.data.places import EXACTLY, Place
from loadstar_trainer.data.refusals import refusal
from loadstar_trainer.data.samples import Array, Samples
from loadstar_trainer.failures import Failure
from loadstar_trainer.spec import Split

BYTES = 256  # the classes of a language: a byte's values
PARTS = ("training", "validation", "test")


@dataclass(frozen=True)
class Stretch:
    """Bytes [start, stop) of a text, as windows of `length` bytes. Each window's targets are its bytes moved on by one;
    what is left over at the end, less than a window, is not used."""

    place: Place
    start: int
    stop: int
    length: int
    block_bytes: int = BLOCK_BYTES

    def __len__(self) -> int:
        return max(0, self.stop - self.start - 1) // self.length

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def sizes(self) -> list[int]:
        """Windows of each block."""
        most = self._block_rows
        return [min(most, len(self) - first) for first in range(0, len(self), most)]

    def read(self, number: int) -> Samples:
        first = number * self._block_rows
        return self._windows(first, min(self._block_rows, len(self) - first))

    def whole(self) -> Samples:
        if len(self) == 0:
            none = np.zeros((0, self.length), np.uint8)
            return Samples(none, none)
        return self._windows(0, len(self))

    @property
    def _block_rows(self) -> int:
        return max(1, self.block_bytes // self.length)

    def _windows(self, first: int, count: int) -> Samples:
        with self.place.open(EXACTLY) as file:
            file.seek(self.start + first * self.length)
            content = np.empty(count * self.length + 1, np.uint8)
            filled = file.readinto(content.data)  # type: ignore[attr-defined]
        if filled != len(content):
            raise Failure("DatasetChanged", f"{self.place} was changed while it was read: it is shorter.")
        return Samples(content[:-1].reshape(count, self.length), content[1:].reshape(count, self.length))


def stretches(place: Place, shares: Split, length: int, block_bytes: int = BLOCK_BYTES) -> list[Stretch]:
    """Training, validation and test, in this order. Refused where one with a share has no window."""
    size = place.size()
    test, validation = round(shares.test * size), round(shares.validation * size)
    ends = [0, size - validation - test, size - test, size]
    parts = [Stretch(place, start, stop, length, block_bytes) for start, stop in pairwise(ends)]
    for name, share, part in zip(PARTS, (1.0, shares.validation, shares.test), parts, strict=True):
        if share > 0 and len(part) == 0:
            raise refusal(
                str(place),
                f"the text has {size} bytes, of which {part.stop - part.start} are for {name}, and a sample needs "
                f"{length + 1} (model.contextLength and one more); give more text, or a lower contextLength",
            )
    return parts


def fingerprint(place: Place) -> str:
    """The hash of the whole text."""
    return fingerprint_pieces((place.size(),), np.dtype(np.uint8), _pieces(place), np.zeros(0, np.uint8))


def _pieces(place: Place) -> Iterator[Array]:
    with place.open() as file:
        while content := file.read(BLOCK_BYTES):
            yield np.frombuffer(content, np.uint8)
