"""Nodes in one total order: by score, ties by best fit (fewest free GPUs), then by name.

Each node's place is one integer, the smaller the better, so that the best few of thousands are found without sorting
all of them: the score in steps of 10⁻⁸, then 10 bits of free GPUs, then 20 bits of the node's row.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Keys = NDArray[np.int64]

STEPS = 1e8
"""Scores closer than a hundred-millionth are equal."""
GPU_BITS, ROW_BITS = 10, 20
MOST_GPUS = (1 << GPU_BITS) - 1
ROW_MASK = (1 << ROW_BITS) - 1
REFUSED = np.iinfo(np.int64).max
"""The key of a node that can't be chosen."""


def keys(
    rows: Rows, totals: NDArray[np.float64], free_gpus: NDArray[np.int64], refused: NDArray[np.bool_]
) -> Keys:
    """The keys of these rows. Scores lie in ±80, far more than terms add up to."""
    worse = np.rint(totals * -STEPS).astype(np.int64)
    fit = np.clip(free_gpus, 0, MOST_GPUS)
    return np.where(refused, REFUSED, (((worse << GPU_BITS) | fit) << ROW_BITS) | rows)


def best(keys: Keys, count: int) -> Keys:
    """The smallest keys, so many or as many as are not refused, in order."""
    if count < len(keys):
        keys = np.partition(keys, count - 1)[:count]
    ordered = np.sort(keys)
    return ordered[: int(np.searchsorted(ordered, REFUSED))]


def rows_of(keys: Keys) -> Rows:
    """The rows that these keys stand for."""
    return (keys & ROW_MASK).astype(np.intp)
