"""Parquet: one file, a block for each of its row groups."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from loadstar_trainer.data.blocks import BLOCK_BYTES, Block
from loadstar_trainer.data.columns import choose
from loadstar_trainer.data.places import EXACTLY, Place
from loadstar_trainer.data.refusals import refusal
from loadstar_trainer.data.samples import Array
from loadstar_trainer.spec import Dataset


class ParquetReader:
    """Columns of numbers, booleans and texts; all others are refused unless left out."""

    own_test = None
    seekable = True

    def __init__(self, place: Place, dataset: Dataset, _block_bytes: int = BLOCK_BYTES) -> None:
        import pyarrow.parquet

        self.file = str(place)
        self._place = place
        with place.open() as file:
            try:
                metadata = pyarrow.parquet.ParquetFile(file)
                schema, self._groups = metadata.schema_arrow, metadata.metadata
            except (pyarrow.ArrowException, OSError) as error:
                raise refusal(
                    self.file, f"this is no whole Parquet file ({_first_line(error)}); write it again"
                ) from None
        choice = choose(self.file, schema.names, dataset)
        self.names, self.target = choice.names, choice.target_name
        self._columns = [schema.names[number] for number in (*choice.features, choice.target)]
        for name in self._columns:
            self._require_kind(name, schema.field(name).type, dataset)

    def blocks(self) -> Iterator[Block]:
        for number in range(self._groups.num_row_groups):
            yield self.read(number)

    def read(self, number: int) -> Block:
        import pyarrow.parquet

        first = sum(self._groups.row_group(group).num_rows for group in range(number))
        with self._place.open(EXACTLY) as file:
            try:
                parquet = pyarrow.parquet.ParquetFile(file, metadata=self._groups)
                table = parquet.read_row_group(number, columns=self._columns, use_threads=False)
            except (pyarrow.ArrowException, OSError) as error:
                raise refusal(
                    self.file,
                    f"row group {number} cannot be read ({_first_line(error)}); write the file again",
                ) from None
        *features, target = (_values(table.column(name)) for name in self._columns)
        return Block(first, tuple(features), target)

    def _require_kind(self, name: str, kind: Any, dataset: Dataset) -> None:
        from pyarrow import types

        if types.is_dictionary(kind):
            kind = kind.value_type
        text = types.is_string(kind) or types.is_large_string(kind)
        numeric = (
            types.is_integer(kind)
            or types.is_floating(kind)
            or types.is_boolean(kind)
            or types.is_decimal(kind)
        )
        if name == dataset.text_column and not text:
            raise refusal(
                self.file, f"column {name!r} holds {kind}, not texts; name another in dataset.textColumn"
            )
        if not (text or numeric):
            raise refusal(
                self.file,
                f"column {name!r} holds {kind}, and only numbers, booleans and texts are read; convert it, or leave "
                "it out by naming the others in dataset.features",
            )


def _values(column: Any) -> Array:
    """float64 with NaN, or texts with None; booleans become the texts false and true where they are not 0 and 1."""
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), object)
    if arrow.types.is_boolean(column.type):
        column = column.cast(arrow.int8())
    return np.asarray(column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
