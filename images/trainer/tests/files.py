"""Small data files as users would have them, and what the trainer makes of them."""

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadstar_trainer.data import Data, prepare
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Dataset, parse

MAGIC = {1: 0x801, 3: 0x803}
RANDOM = np.random.default_rng(0)
# 60 rows of two numbers, of classes no, yes, maybe in turn
NUMBERS = RANDOM.normal(size=(60, 2)).round(3)
CLASSES = [("no", "yes", "maybe")[number % 3] for number in range(60)]


def dataset(path: Path | str, **fields: Any) -> Dataset:
    """The dataset of a spec that names this path."""
    kind = "transformer" if "textColumn" in fields or str(path).endswith(".txt") else "linear"
    spec = {"model": {"type": kind}, "dataset": {"path": str(path), **fields}, "training": {}}
    return parse(json.dumps(spec)).dataset


def read(path: Path | str, **fields: Any) -> Data:
    return prepare(dataset(path, **fields))


def refused(path: Path | str, **fields: Any) -> str:
    """The sentence with which the data are refused: with exit code 65, never retried."""
    with pytest.raises(Refused) as caught:
        read(path, **fields)
    assert (caught.value.reason, caught.value.exit_code) == ("InvalidDataset", 65)
    return str(caught.value)


def table(rows: Sequence[Sequence[Any]], header: str = "a,b,y") -> str:
    lines = [",".join(map(str, row)) for row in rows]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def classes_table(target: Sequence[Any] = CLASSES) -> str:
    """NUMBERS as columns a and b, with this target y."""
    return table([(a, b, y) for (a, b), y in zip(NUMBERS.tolist(), target, strict=True)])


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def idx(array: "np.ndarray[Any, Any]") -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return struct.pack(">I", MAGIC[array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, name: str, count: int, packed: bool = False) -> Path:
    """`count` images of 4×5 pixels, of three classes in turn."""
    images = np.random.default_rng(count).integers(0, 256, (count, 4, 5))
    for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count) % 3)):
        content = gzip.compress(idx(array)) if packed else idx(array)
        write(folder / f"{name}-{kind}-ubyte{'.gz' if packed else ''}", content)
    return folder


def write_images(folder: Path, mode: str = "L", size: tuple[int, int] = (5, 4), count: int = 12) -> Path:
    """Folders cat and dog with `count` images each."""
    from PIL import Image

    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    for label in ("cat", "dog"):
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8)
            (folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / label / f"{number:02}.png")
    return folder


def write_parquet(path: Path, columns: dict[str, Any], rows: int = 17) -> Path:
    """A table in row groups of `rows` rows."""
    import pyarrow as arrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.table(columns), path, row_group_size=rows)
    return path
