"""The order of one epoch over data that are read block by block: shuffled, and alike for any number of ranks.

Blocks are shuffled, and taken in groups. A group's rows are mixed so that each stretch of it has rows of every block in
it, in proportion. A rank reads only its own blocks of each group, and so its share of every batch is its own rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadstar_trainer.data.samples import Array, Indices


@dataclass(frozen=True)
class Group:
    """Rows that are read together. Row i of the group is row `rows[i]` of the block at `places[i]` in `blocks`.

    `start` is the place of the group's first row in the epoch; `owners` names the rank that has each row.
    """

    start: int
    blocks: Indices
    places: Indices
    rows: Indices
    owners: Indices

    @property
    def stop(self) -> int:
        return self.start + len(self.rows)


@dataclass(frozen=True)
class Order:
    """Of blocks with `counts` rows each: a function of seed and epoch alone but for `owners`."""

    counts: Array
    size: int  # blocks in a group
    seed: int
    epoch: int

    def starts(self) -> tuple[list[Indices], Indices]:
        """The blocks of each group, and the place in the epoch at which each group starts (and the last one stops)."""
        filled = np.flatnonzero(self.counts)
        shuffled = np.random.default_rng([self.seed, self.epoch]).permutation(filled)
        groups = [shuffled[first : first + self.size] for first in range(0, len(shuffled), self.size)]
        lengths = [int(self.counts[blocks].sum()) for blocks in groups]
        return groups, np.cumsum([0, *lengths])

    def group(self, number: int, start: int, blocks: Indices, world_size: int) -> Group:
        random = np.random.default_rng([self.seed, self.epoch, number])
        places, rows, keys, turns = [], [], [], []
        for number_in_group, count in enumerate(self.counts[blocks].tolist()):
            turn = np.arange(count)
            places.append(np.full(count, number_in_group))
            rows.append(random.permutation(count))
            # Evenly through the group, each a little moved: so no batch has many rows of one block.
            keys.append((turn + random.random(count)) / count)
            turns.append(turn)
        order = np.argsort(np.concatenate(keys), kind="stable")
        place, turn = np.concatenate(places)[order], np.concatenate(turns)[order]
        return Group(start, blocks, place, np.concatenate(rows)[order], self._owners(place, turn, world_size))

    def _owners(self, places: Indices, turns: Indices, world_size: int) -> Indices:
        """Blocks go round the ranks; where there are more ranks than blocks in a group, some share a block in turn."""
        if world_size <= self.size:
            return places % world_size
        sharers = (world_size - 1 - places) // self.size + 1
        return places + self.size * (turns % sharers)


def shares(rows: Indices, sizes: Sequence[int]) -> tuple[Indices, Indices]:
    """Of ascending row numbers, those within each block of these sizes: (bounds, offsets).

    Block b has rows[bounds[b]:bounds[b + 1]] - offsets[b].
    """
    offsets = np.cumsum([0, *sizes])
    return np.searchsorted(rows, offsets), offsets
