"""Which format data have, and the reader for it."""

from collections.abc import Callable

from loadstar_trainer.data.arrays import NpyReader, NpzReader
from loadstar_trainer.data.blocks import Reader
from loadstar_trainer.data.csv_files import CsvReader
from loadstar_trainer.data.idx import IdxReader
from loadstar_trainer.data.images import ImagesReader
from loadstar_trainer.data.parquet import ParquetReader
from loadstar_trainer.data.places import Place
from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.spec import Dataset

ENDINGS = {".csv": "csv", ".npy": "npy", ".npz": "npz", ".parquet": "parquet", ".txt": "text"}


def detect(place: Place, dataset: Dataset) -> str:
    """dataset.format, else by the ending or by what a folder holds."""
    if dataset.format is not None:
        _require_kind(place, dataset.format)
        return dataset.format
    if place.is_folder:
        return _of_folder(place)
    for ending, name in ENDINGS.items():
        if place.name.lower().endswith(ending):
            return name
    raise refusal(
        str(place),
        f"its ending does not tell its format (known are {', '.join(ENDINGS)}); set dataset.format",
    )


def reader(place: Place, name: str, dataset: Dataset, block_bytes: int) -> Reader:
    """Of every format but text, which has no rows. Refused where the file cannot be of this format."""
    readers: dict[str, Callable[[Place, Dataset, int], Reader]] = {
        "csv": CsvReader,
        "npy": NpyReader,
        "npz": NpzReader,
        "parquet": ParquetReader,
        "idx": IdxReader,
        "images": ImagesReader,
    }
    return readers[name](place, dataset, block_bytes)


def _of_folder(place: Place) -> str:
    children = place.children()
    if any(is_idx(child.name) for child in children):
        return "idx"
    if any(child.is_folder for child in children):
        return "images"
    raise refusal(
        str(place),
        "this folder holds neither IDX files (…-ubyte) nor folders of images, but "
        f"{listed([child.name for child in children])}; name one file in dataset.uri",
    )


def is_idx(name: str) -> bool:
    return name.removesuffix(".gz").endswith("-ubyte")


def _require_kind(place: Place, name: str) -> None:
    needs_folder = name in ("idx", "images")
    if place.is_folder != needs_folder:
        holds = (
            f", which holds {listed([child.name for child in place.children()])}" if place.is_folder else ""
        )
        raise refusal(
            str(place),
            f"dataset.format {name} is read from a {'folder' if needs_folder else 'file'}, and this is a "
            f"{'folder' if place.is_folder else 'file'}{holds}; correct dataset.uri",
        )
