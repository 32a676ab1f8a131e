"""Samples in memory, and what is known of a data set once it is ready to train on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from loadstar_trainer.data.scaling import Scaling
    from loadstar_trainer.data.streams import Stream

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """Features (n × columns, n × channels × height × width, or n × bytes) with a target each.

    Targets are class indices (int64), numbers (float64) or, of a language, the byte that follows each byte (uint8).
    Features are numbers of any kind; those of a text are its bytes (uint8).
    """

    features: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.features)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.features.shape[1:]

    def take(self, rows: Indices) -> "Samples":
        return Samples(self.features[rows], self.targets[rows])

    @staticmethod
    def join(parts: Sequence["Samples"]) -> "Samples":
        if len(parts) == 1:
            return parts[0]
        return Samples(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.targets for part in parts]),
        )


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, and the features [start, stop) that it became (several for categories)."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Data:
    """One data set, ready to train on: its parts in memory, or read anew in each epoch (`Stream`).

    `classes` is 0 for regression, 256 for a language. `labels` are the classes' names in the data, in the order of
    their indices; `columns` those of a table, else empty. `hash` is that of the data before any split or scaling.
    """

    training: "Samples | Stream"
    validation: "Samples | Stream"
    test: "Samples | Stream"
    task: str
    classes: int
    hash: str
    labels: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    class_counts: tuple[int, ...] = ()  # of the training part
    scaling: "Scaling | None" = None  # what was done to the features; None where nothing was

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": len(self.training), "validation": len(self.validation), "test": len(self.test)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return self.training.shape
