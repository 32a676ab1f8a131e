"""A part of data that do not fit in memory: read anew in each epoch, each rank its own blocks."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from loadstar_trainer.data.order import Group, Order, shares
from loadstar_trainer.data.samples import Indices, Samples
from loadstar_trainer.data.scaling import Scaling

# Blocks that are shuffled together, over all ranks, and the memory that they may take; as much again is read ahead.
GROUP = 64
GROUP_BYTES = 256 << 20

Item = TypeVar("Item")


class Blocks(Protocol):
    """Samples, not yet scaled, in blocks that can be read in any order."""

    @property
    def sizes(self) -> Sequence[int]:
        """Samples of each block."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""

    def read(self, number: int) -> Samples: ...


@dataclass(frozen=True)
class Pass:
    """One epoch from batch `start` on. Batches of `batch_size` count over all ranks; this is rank `rank`."""

    seed: int
    epoch: int
    batch_size: int
    start: int
    rank: int
    world_size: int


@dataclass(frozen=True)
class Share:
    """This rank's samples of one batch, and their places in the epoch's order; there may be none."""

    samples: Samples
    positions: Indices


@dataclass(frozen=True)
class Stream:
    """The samples `rows` of all that the blocks hold, ascending; scaled unless they are bytes of a text."""

    blocks: Blocks
    rows: Indices
    scaling: Scaling | None
    group: int = GROUP

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.blocks.shape

    def batches(self, asked: Pass) -> Iterator[Share]:
        """Every batch of the epoch: over all ranks each sample once, in an order that seed and epoch alone decide."""
        order = Order(np.diff(self._bounds), self.group, asked.seed, asked.epoch)
        groups, starts = order.starts()
        first = int(np.searchsorted(starts, asked.start * asked.batch_size, side="right")) - 1

        def load(number: int) -> tuple[int, Share]:
            group = order.group(number, int(starts[number]), groups[number], asked.world_size)
            return group.stop, self._own(group, asked.rank)

        batch, kept = asked.start, self._nothing
        for stop, loaded in ahead(load, range(first, len(groups))):
            kept = _join(kept, loaded)
            while batch * asked.batch_size < len(self) and (
                (batch + 1) * asked.batch_size <= stop or stop == len(self)
            ):
                end = (batch + 1) * asked.batch_size
                yield _between(kept, batch * asked.batch_size, end)
                kept = _between(kept, end, len(self))
                batch += 1

    @cached_property
    def _bounds(self) -> Indices:
        return shares(self.rows, self.blocks.sizes)[0]

    @cached_property
    def _offsets(self) -> Indices:
        return shares(self.rows, self.blocks.sizes)[1]

    @cached_property
    def _nothing(self) -> Share:
        block = int(np.flatnonzero(np.diff(self._bounds))[0]) if len(self) else 0
        none = np.zeros(0, np.int64)
        return Share(self._read(block).take(none), none)

    def _read(self, block: int) -> Samples:
        """The block's samples of this part, scaled."""
        samples = self.blocks.read(block)
        local = self.rows[self._bounds[block] : self._bounds[block + 1]] - self._offsets[block]
        if len(local) < len(samples):
            samples = samples.take(local)
        if self.scaling is None:
            return samples
        scaled = self.scaling.apply(samples)
        return Samples(scaled.features.astype(np.float32, copy=False), scaled.targets)

    def _own(self, group: Group, rank: int) -> Share:
        """The group's samples that belong to the rank, in the epoch's order."""
        mine = np.flatnonzero(group.owners == rank)
        if len(mine) == 0:
            return self._nothing
        places = np.unique(group.places[mine])
        samples = Samples.join([self._read(int(group.blocks[place])) for place in places])
        sizes = [int(self._bounds[block + 1] - self._bounds[block]) for block in group.blocks[places]]
        first = np.cumsum([0, *sizes])[:-1]
        rows = first[np.searchsorted(places, group.places[mine])] + group.rows[mine]
        return Share(samples.take(rows), group.start + mine)


def ahead(load: Callable[[int], Item], numbers: Sequence[int]) -> Iterator[Item]:
    """What `load` gives for each number, in order, the next one being loaded while one is used."""
    if not numbers:
        return
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(load, numbers[0])
        for following in numbers[1:]:
            loaded = coming.result()
            coming = reader.submit(load, following)
            yield loaded
        yield coming.result()


def _join(first: Share, second: Share) -> Share:
    if len(first.positions) == 0:
        return second
    return Share(
        Samples.join([first.samples, second.samples]), np.concatenate([first.positions, second.positions])
    )


def _between(share: Share, start: int, stop: int) -> Share:
    """Those at places [start, stop); a view, not a copy."""
    low, high = np.searchsorted(share.positions, [start, stop])
    samples = Samples(share.samples.features[low:high], share.samples.targets[low:high])
    return Share(samples, share.positions[low:high])
