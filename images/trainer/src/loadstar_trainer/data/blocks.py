"""What every file format gives: its rows in their order, in blocks of about a mebibyte that can be read again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from loadstar_trainer.data.samples import Array

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Block:
    """Some rows as the file has them.

    `features` is one array (n × …), or, of a table whose columns differ in kind, one array per column: float64 with NaN
    for what is missing, or texts with None. `target` is an array of either kind. `first` is the number of the
    block's first row in the file, from 0.
    """

    first: int
    features: Array | tuple[Array, ...]
    target: Array

    def __len__(self) -> int:
        return len(self.target)


class Reader(Protocol):
    """One data set's rows. Every reading gives the same blocks, unless the files were changed meanwhile."""

    @property
    def file(self) -> str:
        """For messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the feature columns of a table; empty where samples are images."""

    @property
    def target(self) -> str:
        """What the target is called."""

    @property
    def own_test(self) -> int | None:
        """The first row of the files' own test set, where they have one; it goes to the end."""

    @property
    def seekable(self) -> bool:
        """Whether `read` gives a block without reading all that comes before it."""

    def blocks(self) -> Iterator[Block]:
        """All of them; Refused where the file cannot be read as what it is said to be."""

    def read(self, number: int) -> Block:
        """One of them; only after all were read once."""
