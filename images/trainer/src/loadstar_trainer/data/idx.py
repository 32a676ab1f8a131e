"""IDX, the format of MNIST: a folder of image and label files, packed by gzip or not.

Where the folder has files of a test set (t10k-…), as MNIST has, they are the test part.
"""

import gzip
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from loadstar_trainer.data.blocks import BLOCK_BYTES, Block
from loadstar_trainer.data.places import Place
from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.data.samples import Array
from loadstar_trainer.spec import Dataset

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
SETS = ("train", "t10k")


@dataclass(frozen=True)
class _File:
    """One file, its header read."""

    place: Place
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def packed(self) -> bool:
        return self.place.name.endswith(".gz")

    def open(self) -> AbstractContextManager[BinaryIO]:
        return unpacked(self.place)

    def read(self, file: BinaryIO, first: int, rows: int) -> Array:
        """Rows of the array; `file` is open and, if packed, read in order."""
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        try:
            file.seek(4 + 4 * len(self.shape) + first * row_bytes)
            content = file.read(rows * row_bytes)
        except (EOFError, OSError) as error:
            raise refusal(
                str(self.place), f"the packed file cannot be read ({error}); copy it again"
            ) from None
        if len(content) < rows * row_bytes:
            raise refusal(
                str(self.place), f"the file ends before its {self.shape[0]} items do; copy it again"
            )
        return np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])


@dataclass(frozen=True)
class _Set:
    images: _File
    labels: _File

    def __len__(self) -> int:
        return self.images.shape[0]


class IdxReader:
    """Images with a label each: first those of the training files, then those of the test files."""

    names = ()
    target = "labels"

    def __init__(self, place: Place, _dataset: Dataset, block_bytes: int = BLOCK_BYTES) -> None:
        self.file = str(place)
        files = [child for child in place.children() if not child.is_folder and "ubyte" in child.name]
        sets = [_set(self.file, files, prefix) for prefix in SETS]
        self._sets = [found for found in sets if found is not None]
        if not self._sets:
            names = [child.name for child in place.children()]
            raise refusal(
                self.file,
                "there are no files train-images-idx3-ubyte and train-labels-idx1-ubyte (or the same with .gz), but "
                f"{listed(names)}; name them so",
            )
        shapes = {found.images.shape[1:] for found in self._sets}
        if len(shapes) > 1:
            raise refusal(
                self.file, f"training and test images differ in size ({sorted(shapes)}); give one size"
            )
        [shape] = shapes
        both = len(self._sets) == 2
        self.own_test = len(self._sets[0]) if both else None
        itemsize = self._sets[0].images.dtype.itemsize
        self._block_rows = max(1, block_bytes // (math.prod(shape) * itemsize))
        # (set, first row, rows) of each block
        self._blocks = [
            (found, first, min(self._block_rows, len(found) - first))
            for found in self._sets
            for first in range(0, len(found), self._block_rows)
        ]

    @property
    def seekable(self) -> bool:
        return not any(file.packed for found in self._sets for file in (found.images, found.labels))

    def blocks(self) -> Iterator[Block]:
        row = 0
        for found in self._sets:
            with found.images.open() as images, found.labels.open() as labels:
                for own, first, rows in self._blocks:
                    if own is found:
                        yield self._block(
                            row,
                            found.images.read(images, first, rows),
                            found.labels.read(labels, first, rows),
                        )
                        row += rows

    def read(self, number: int) -> Block:
        found, first, rows = self._blocks[number]
        row = sum(size for _, _, size in self._blocks[:number])
        with found.images.open() as images, found.labels.open() as labels:
            return self._block(
                row, found.images.read(images, first, rows), found.labels.read(labels, first, rows)
            )

    def _block(self, row: int, images: Array, labels: Array) -> Block:
        features = images if images.ndim == 4 else images[:, None]
        if features.dtype != np.uint8:
            features = features.astype(np.float64)
        return Block(row, features, labels.astype(np.float64))


@contextmanager
def unpacked(place: Place) -> Iterator[BinaryIO]:
    with place.open() as file:
        if not place.name.endswith(".gz"):
            yield file
            return
        with gzip.GzipFile(fileobj=file) as content:
            yield cast(BinaryIO, content)


def _set(folder: str, files: list[Place], prefix: str) -> _Set | None:
    """The images and labels of one set; None where neither is there."""
    images = _one(folder, files, f"{prefix}-images")
    labels = _one(folder, files, f"{prefix}-labels")
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        has, lacks = ("labels", "images") if images is None else ("images", "labels")
        raise refusal(folder, f"there are {prefix}-{has} and no {prefix}-{lacks}; add the file")
    found = _Set(_read_header(images, (3, 4)), _read_header(labels, (1,)))
    if found.images.shape[0] != found.labels.shape[0]:
        raise refusal(
            folder,
            f"{images.name} has {found.images.shape[0]} images and {labels.name} has {found.labels.shape[0]} "
            "labels; give files that belong together",
        )
    return found


def _one(folder: str, files: list[Place], beginning: str) -> Place | None:
    # "train-images.idx3-ubyte" is how some archives spell it.
    found = [file for file in files if file.name.startswith(beginning)]
    if len(found) > 1:
        raise refusal(folder, f"{listed([file.name for file in found])} are the same; keep one of them")
    return found[0] if found else None


def _read_header(place: Place, dimensions: tuple[int, ...]) -> _File:
    name = str(place)
    try:
        with unpacked(place) as file:
            magic = file.read(4)
            known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in TYPES
            if not known or magic[3] not in dimensions:
                wanted = " or ".join(str(number) for number in dimensions)
                raise refusal(
                    name,
                    f"it begins with {magic.hex(' ') or 'nothing'}, which is not the mark of an IDX file with {wanted} "
                    "dimensions; copy the file again",
                )
            header = file.read(4 * magic[3])
    except (gzip.BadGzipFile, EOFError) as error:
        raise refusal(name, f"the packed file cannot be read ({error}); copy it again") from None
    sizes = np.frombuffer(header[: len(header) // 4 * 4], ">u4")
    if len(sizes) < magic[3] or 0 in sizes:
        raise refusal(name, "the file is cut off or empty; copy it again")
    found = _File(place, tuple(int(size) for size in sizes), np.dtype(TYPES[magic[2]]))
    needed = 4 + 4 * magic[3] + math.prod(found.shape) * found.dtype.itemsize
    if not found.packed and place.size() != needed:
        raise refusal(
            name, f"the file has {place.size()} bytes and its header speaks of {needed}; copy it again"
        )
    return found
