"""The nodes of a simulated cluster, as the core's values and as arrays; rows are nodes in the order of their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.resources import Resources
from loadstar.core.snapshot import Node

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

CPU, MEMORY, GPUS = range(3)
"""Columns of a fleet's capacity and of what is free: millicores, bytes, devices."""

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Fleet:
    """Nodes sorted by name, and what each offers: shape (nodes, 3)."""

    nodes: tuple[Node, ...]
    capacity: Integers

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> "Fleet":
        """The fleet of these nodes. Raises ValueError where there is none, or none of them has a GPU."""
        ordered = tuple(sorted(nodes, key=lambda node: node.name))
        if not any(node.allocatable.gpus for node in ordered):
            raise ValueError("the cluster to simulate has no node with a GPU: give at least one")
        offered = [(n.allocatable.cpu, n.allocatable.memory, n.allocatable.gpus) for n in ordered]
        return cls(ordered, np.array(offered, dtype=np.int64))

    @classmethod
    def alike(cls, count: int, *, gpus: int, cores: int, memory_gib: int) -> "Fleet":
        """`count` nodes of one shape."""
        shape = Resources(cores * 1000, memory_gib * GIB, gpus, pods=110)
        return cls.of([Node(f"node-{number:04d}", shape) for number in range(count)])

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return int(self.capacity[:, GPUS].sum())

    def __len__(self) -> int:
        return len(self.nodes)
