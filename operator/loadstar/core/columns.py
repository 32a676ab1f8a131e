"""Arrays with one entry per node: what online learning keeps of a fleet, and how it grows and forgets."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
"""Single precision: four digits would do for a load, and a step over a large fleet is bound by memory."""
Rows: TypeAlias = slice | NDArray[np.intp]
"""Some nodes; a slice where they are all of them in order, which then costs no copy."""


class Columns:
    """Arrays (and other Columns) whose last axis counts nodes. A new node has zeros everywhere: nothing is known."""

    def extend(self, count: int) -> None:
        """Make room for `count` more nodes."""
        for name, part in vars(self).items():
            if isinstance(part, Columns):
                part.extend(count)
            elif isinstance(part, np.ndarray):
                blank = np.zeros((*part.shape[:-1], count), part.dtype)
                setattr(self, name, np.concatenate([part, blank], axis=-1))

    def reorder(self, rows: NDArray[np.intp]) -> None:
        """Keep these nodes, in this order, and forget the others."""
        for name, part in vars(self).items():
            if isinstance(part, Columns):
                part.reorder(rows)
            elif isinstance(part, np.ndarray):
                setattr(self, name, np.ascontiguousarray(part[..., rows]))


def empty(*shape: int) -> Floats:
    """Zeros of this shape for no node yet."""
    return np.zeros((*shape, 0), np.float32)


def settle(array: Floats, rows: Rows, part: Floats) -> None:
    """Write back `part`, taken as `array[..., rows]` and changed in place. Of a slice it is a view: all is done."""
    if not isinstance(rows, slice):
        array[..., rows] = part


def compact(rows: NDArray[np.intp]) -> Rows:
    """A slice where `rows` are the first so many in order, and the rows themselves where not."""
    count = len(rows)
    in_order = count > 0 and rows[0] == 0 and rows[-1] == count - 1 and bool((np.diff(rows) == 1).all())
    return slice(0, count) if in_order else rows
