"""One part of the data as the loop takes it: batches of tensors on the rank's device, each sample in one rank."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from loadstar_trainer.data import Data, Samples
from loadstar_trainer.data.streams import Pass, Share, Stream
from loadstar_trainer.gang import Gang
from loadstar_trainer.spec import Training
from loadstar_trainer.spec.tasks import CLASSIFICATION, LANGUAGE, REGRESSION

Batch = tuple[torch.Tensor, torch.Tensor]
# (features, epoch, positions in the epoch's order) → features
Augmentation = Callable[[torch.Tensor, int, torch.Tensor], torch.Tensor]

# Bounds the memory of activations in evaluation; a larger training batch proves that it fits and is used instead.
LEAST_BATCH = 1024
# Batches are drawn this many bytes at a time: drawing costs as much for one small batch as for a hundred.
DRAWN_BYTES = 8 << 20


class Part(Protocol):
    """Features and targets of each batch, those of this rank only; batches count over all ranks together.

    Ranks see equally many batches, so a rank's share of one may be empty.
    """

    def __len__(self) -> int:
        """Samples over all ranks."""

    @property
    def targets_per_sample(self) -> int:
        """The bytes of a text of a language, else 1."""

    @property
    def spread(self) -> float:
        """Sum of the squared distances of all targets, where they are numbers, from their mean."""

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        """The batches of one epoch from batch `start` on, in an order that seed and number alone decide."""

    def in_order(self) -> Iterator[Batch]:
        """Each sample once, in batches as large as evaluation can take."""


@dataclass(frozen=True)
class Resident:
    """A part that is on the device as a whole. `batch_size` counts over all ranks."""

    features: torch.Tensor
    targets: torch.Tensor
    batch_size: int
    seed: int
    gang: Gang
    augment: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def targets_per_sample(self) -> int:
        return int(self.targets[:1].numel()) if self.targets.dtype == torch.uint8 else 1

    @cached_property
    def spread(self) -> float:
        targets = self.targets.double()
        return float((targets - targets.mean()).square().sum())

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        order = torch.from_numpy(np.random.default_rng([self.seed, number]).permutation(len(self)))
        positions = torch.arange(len(self))
        at_once = self._batches_at_once() * self.batch_size
        for first in range(start * self.batch_size, len(self), at_once):
            drawn = positions[first : first + at_once]
            if self.gang.world_size == 1:
                yield from self._draw(order, number, drawn, self.batch_size)
                continue
            shares = [self.gang.share(batch) for batch in drawn.split(self.batch_size)]
            yield from self._draw(order, number, torch.cat(shares), [len(share) for share in shares])

    def in_order(self) -> Iterator[Batch]:
        size = max(self.batch_size, LEAST_BATCH) * self.gang.world_size
        if self.gang.world_size == 1:
            yield from zip(self.features.split(size), self.targets.split(size), strict=True)
            return
        for batch in torch.arange(len(self), device=self.features.device).split(size):
            rows = self.gang.share(batch)
            yield self.features[rows], self.targets[rows]

    def _draw(
        self, order: torch.Tensor, epoch: int, positions: torch.Tensor, sizes: int | list[int]
    ) -> Iterator[Batch]:
        """The rows at some positions of the order, in batches of these sizes."""
        rows = order[positions].to(self.features.device)
        features, targets = self.features.index_select(0, rows), self.targets.index_select(0, rows)
        if self.augment is not None:
            features = self.augment(features, epoch, positions)
        yield from zip(features.split(sizes), targets.split(sizes), strict=True)

    def _batches_at_once(self) -> int:
        sample = self.features[:1].nbytes + self.targets[:1].nbytes
        return max(1, DRAWN_BYTES // max(1, int(sample) * self.batch_size))


@dataclass(frozen=True)
class Streamed:
    """A part that is read anew in each pass."""

    stream: Stream
    task: str
    batch_size: int
    seed: int
    gang: Gang
    augment: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.stream)

    @property
    def targets_per_sample(self) -> int:
        return int(self.stream.shape[0]) if self.task == LANGUAGE else 1

    @cached_property
    def spread(self) -> float:
        """Read once more for it: two passes lose no digits."""
        count = len(self)
        mean = self._total(lambda targets: float(targets.sum())) / count
        return self._total(lambda targets: float((targets - mean).square().sum()))

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        for share in self._pass(number, self.batch_size, start):
            features, targets = tensors(share.samples, self.task, self.gang.device)
            if self.augment is not None:
                features = self.augment(features, number, torch.from_numpy(share.positions))
            yield features, targets

    def in_order(self) -> Iterator[Batch]:
        # By batches of an epoch, of which all ranks see equally many: a sharded model needs all ranks at each.
        for share in self._pass(0, max(self.batch_size, LEAST_BATCH) * self.gang.world_size, 0):
            yield tensors(share.samples, self.task, self.gang.device)

    def _pass(self, epoch: int, batch_size: int, start: int) -> Iterator[Share]:
        gang = self.gang
        return self.stream.batches(Pass(self.seed, epoch, batch_size, start, gang.rank, gang.world_size))

    def _total(self, value: Callable[[torch.Tensor], float]) -> float:
        return self.gang.total([sum(value(targets.double()) for _, targets in self.in_order())])[0]


def place(
    samples: Samples | Stream, data: Data, training: Training, gang: Gang, augment: Augmentation | None = None
) -> Part:
    """One of the data's parts, ready for the loop."""
    batch_size, seed = training.batch_size, training.seed
    if isinstance(samples, Stream):
        return Streamed(samples, data.task, batch_size, seed, gang, augment)
    return Resident(*tensors(samples, data.task, gang.device), batch_size, seed, gang, augment)


def tensors(samples: Samples, task: str, device: torch.device) -> Batch:
    """Features as numbers (float32), bytes of texts as they are; targets as the task's loss wants them."""
    features = (
        samples.features
        if samples.features.dtype == np.uint8 and samples.features.ndim == 2
        else (samples.features.astype(np.float32))
    )
    targets = samples.targets
    if task == REGRESSION:
        targets = targets.astype(np.float32)[:, None]
    elif task == CLASSIFICATION:
        targets = targets.astype(np.int64)
    return torch.from_numpy(features).to(device), torch.from_numpy(targets).to(device)
