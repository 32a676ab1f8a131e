"""NumPy's files: npy holds a table with the target in a column, npz an array of features and one of targets.

Pickled objects are refused: to read one is to run what it says.
"""

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from loadstar_trainer.data.blocks import BLOCK_BYTES, Block
from loadstar_trainer.data.places import EXACTLY, Place
from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.data.samples import Array
from loadstar_trainer.spec import Dataset


@dataclass(frozen=True)
class Header:
    """What an npy file says of the array in it; `offset` is where its numbers begin."""

    shape: tuple[int, ...]
    column_major: bool
    dtype: np.dtype[np.generic]
    offset: int


class NpyReader:
    """A table of numbers: rows are samples, one column is the target."""

    own_test = None

    def __init__(self, place: Place, dataset: Dataset, block_bytes: int = BLOCK_BYTES) -> None:
        self.file = str(place)
        self._place = place
        with place.open() as file:
            self._header = read_header(file, self.file)
        if len(self._header.shape) != 2 or self._header.shape[1] < 2:
            raise refusal(
                self.file,
                f"the array has shape {self._header.shape}; give a table of at least two columns, one of them the "
                "target, or an npz file with arrays x and y",
            )
        rows, width = self._header.shape
        _require_size(place, self._header)
        self._target = _column(self.file, dataset.target, width)
        self.target = str(self._target)
        self.names = tuple(str(number) for number in range(width) if number != self._target)
        self._row_bytes = width * self._header.dtype.itemsize
        # Column by column there is no reading of some rows only.
        self._block_rows = rows if self._header.column_major else max(1, block_bytes // self._row_bytes)

    @property
    def seekable(self) -> bool:
        return not self._header.column_major

    def blocks(self) -> Iterator[Block]:
        with self._place.open() as file:
            for number in range(-(-self._header.shape[0] // max(1, self._block_rows))):
                yield self._read(file, number)

    def read(self, number: int) -> Block:
        with self._place.open(EXACTLY) as file:
            return self._read(file, number)

    def _read(self, file: BinaryIO, number: int) -> Block:
        header, first = self._header, number * self._block_rows
        rows = min(self._block_rows, header.shape[0] - first)
        file.seek(header.offset + first * self._row_bytes)
        flat = np.frombuffer(file.read(rows * self._row_bytes), header.dtype)
        shape = (rows, header.shape[1])
        stored = flat.reshape(shape[::-1]).T if header.column_major else flat.reshape(shape)
        table = stored.astype(np.float64, order="C")
        return Block(first, np.delete(table, self._target, axis=1), table[:, self._target])


class NpzReader:
    """Features in array x (or the only one besides the target), targets in array y (or dataset.target)."""

    own_test = None
    seekable = False

    def __init__(self, place: Place, dataset: Dataset, block_bytes: int = BLOCK_BYTES) -> None:
        self.file = str(place)
        self.target = str(dataset.target) if dataset.target is not None else "y"
        arrays = _members(place, self.file)
        if self.target not in arrays:
            raise refusal(
                self.file,
                f"there is no array {self.target!r} for the target; the arrays are {listed(list(arrays))}; "
                "name one in dataset.target",
            )
        others = [name for name in arrays if name != self.target]
        source = "x" if "x" in others else others[0] if len(others) == 1 else None
        if source is None:
            raise refusal(
                self.file,
                f"there is no array 'x' for the features; the arrays are {listed(list(arrays))}; name it so",
            )
        self._features = as_features(arrays[source], self.file, source)
        self._targets = _as_targets(arrays[self.target], self.file, self.target)
        if len(self._features) != len(self._targets):
            raise refusal(
                self.file,
                f"array {source!r} has {len(self._features)} samples and {self.target!r} has "
                f"{len(self._targets)}; give as many of both",
            )
        columns = self._features.shape[1] if self._features.ndim == 2 else 0
        self.names = tuple(str(number) for number in range(columns))
        self._block_rows = max(1, block_bytes * len(self._features) // max(1, self._features.nbytes))

    def blocks(self) -> Iterator[Block]:
        for number in range(-(-len(self._targets) // self._block_rows)):
            yield self.read(number)

    def read(self, number: int) -> Block:
        first = number * self._block_rows
        rows = slice(first, first + self._block_rows)
        return Block(first, self._features[rows], self._targets[rows])


def read_header(file: BinaryIO, name: str) -> Header:
    """Refused where the file is no npy file, or its array holds anything but numbers."""
    try:
        version = npy.read_magic(file)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"version {version} is for arrays with named fields")
        shape, column_major, dtype = read(file)
    except ValueError as error:
        raise refusal(name, f"this is no npy file of numbers ({error}); save it with numpy.save") from None
    _require_numbers(dtype, name, "the array")
    return Header(shape, column_major, dtype, file.tell())


def as_features(array: Array, file: str, name: str) -> Array:
    """Rows of numbers as float64; images as n × channels × height × width, channels last turned round."""
    if array.ndim == 2 and array.shape[1] > 0:
        return array.astype(np.float64)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3, 4) and array.shape[1] not in (1, 3, 4):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise refusal(
            file,
            f"array {name!r} has shape {array.shape}; give samples × columns, samples × height × width, or "
            "samples × channels × height × width",
        )
    return array if array.dtype == np.uint8 else array.astype(np.float64)


def _as_targets(array: Array, file: str, name: str) -> Array:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise refusal(file, f"array {name!r} has shape {array.shape}; give one target per sample")
    if array.dtype.kind == "U":
        return array.astype(object)
    return array.astype(np.float64)


def _members(place: Place, name: str) -> dict[str, Array]:
    with place.open() as file:
        try:
            with np.load(file, allow_pickle=False) as members:
                if not isinstance(members, np.lib.npyio.NpzFile):
                    raise refusal(name, "this is an npy file; set dataset.format to npy")
                arrays = {key: _member(members, key, name) for key in members.files}
        except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise refusal(name, f"this is no whole npz file ({error}); save it with numpy.savez") from None
    return arrays


def _member(members: "np.lib.npyio.NpzFile", key: str, name: str) -> Array:
    try:
        array = members[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise refusal(name, f"array {key!r} {_PICKLED}") from None
    if array.dtype.kind != "U":
        _require_numbers(array.dtype, name, f"array {key!r}")
    return np.asarray(array)


_PICKLED = (
    "holds Python objects, which only unpickling could read, and that would run what the file says; "
    "save numbers (array.astype(float))"
)


def _require_numbers(dtype: np.dtype[np.generic], file: str, what: str) -> None:
    if dtype.hasobject:
        raise refusal(file, f"{what} {_PICKLED}")
    if dtype.kind not in "biuf":
        raise refusal(file, f"{what} holds {dtype}, not numbers; save numbers")


def _require_size(place: Place, header: Header) -> None:
    needed = header.offset + math.prod(header.shape) * header.dtype.itemsize
    size = place.size()
    if size < needed:
        raise refusal(
            str(place),
            f"the file has {size} bytes and its header speaks of {needed}: it is cut off; copy it again",
        )


def _column(file: str, target: str | int | None, width: int) -> int:
    if isinstance(target, str):
        if not target.isdecimal():
            raise refusal(
                file,
                f"dataset.target is {target!r}, and columns of an npy file have no names; give its index, "
                f"0 to {width - 1}",
            )
        target = int(target)
    if target is None:
        return width - 1
    if target >= width:
        raise refusal(
            file, f"dataset.target is {target} and the table has {width} columns; give 0 to {width - 1}"
        )
    return target
