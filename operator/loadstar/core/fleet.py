"""The cluster's nodes as arrays, as far as they change seldom: what they offer and what they are.

Rows are nodes in the order of their names. Columns are CPU (millicores), memory (bytes), GPUs, pods, and then one for
each other device that any node offers, in the order of their names.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from loadstar.core import devices
from loadstar.core.resources import Resources
from loadstar.core.taints import Effect, Taint, Toleration, untolerated
from loadstar.core.volumes import Volume

Amounts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

CPU, MEMORY, GPUS, PODS = range(4)
MOST = 1 << 62
"""More than any node offers; larger requests are counted as this much."""

GPU_TOLERATION = Toleration(key=devices.GPU)
"""GPU nodes are commonly tainted with this key; pods that request GPUs tolerate it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `labels` are needed for its topology, the kind of its GPUs, and the volumes that it can mount."""

    name: str
    allocatable: Resources
    ready: bool = True
    cordoned: bool = False
    gpu_product: str | None = None
    taints: frozenset[Taint] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Column(Generic[Value]):
    """One property of every node: nodes that have it alike share a code, so that a question is asked once per value."""

    values: tuple[Value, ...]
    codes: Rows

    @classmethod
    def of(cls, values: Iterable[Value]) -> "Column[Value]":
        """The column of these values, in the order of the nodes; codes are in the order of first appearance."""
        known: dict[Value, int] = {}
        codes = [known.setdefault(value, len(known)) for value in values]
        return cls(tuple(known), np.array(codes, dtype=np.intp))

    def where(self, holds: Callable[[Value], bool]) -> Mask:
        """The nodes whose value passes."""
        passed = np.fromiter((holds(value) for value in self.values), dtype=np.bool_, count=len(self.values))
        return passed[self.codes]


class Fleet:
    """All nodes at one moment. It can be kept for as long as no node changes; answers are remembered."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = tuple(sorted(nodes, key=lambda node: node.name))
        self.names = tuple(node.name for node in self.nodes)
        self.rows = {name: row for row, name in enumerate(self.names)}
        kinds = sorted({kind for node in self.nodes for kind, _ in node.allocatable.devices})
        self.columns = {devices.GPU: GPUS, **{kind: PODS + 1 + place for place, kind in enumerate(kinds)}}
        self.allocatable = self.matrix(node.allocatable for node in self.nodes)
        self.ready = _mask(node.ready for node in self.nodes)
        self.cordoned = _mask(node.cordoned for node in self.nodes)
        self.taints = Column.of(node.taints for node in self.nodes)
        self.products = Column.of(node.gpu_product for node in self.nodes)
        self._domains: dict[str, Rows] = {}
        self._parts: dict[str, NDArray[np.float64]] = {}
        self._memory: dict[str, Amounts] = {}
        self._reached: dict[Volume, Mask] = {}
        self.gpus = self._whole_gpus()

    def __len__(self) -> int:
        return len(self.nodes)

    def vector(self, resources: Resources) -> Amounts:
        """The amounts in this fleet's columns. Devices that no node offers have none: `lacks` tells of them."""
        row = np.zeros(PODS + len(self.columns), dtype=np.int64)
        parts = resources.cpu, resources.memory, resources.gpus, resources.pods
        row[: PODS + 1] = [min(part, MOST) for part in parts]
        for kind, count in resources.devices:
            column = self.columns.get(kind)
            if column is not None:
                row[column] += min(count, MOST)
        return row

    def matrix(self, rows: Iterable[Resources]) -> Amounts:
        """One `vector` per row. Columns lie together in memory, as they are mostly read one by one."""
        amounts = [(r.cpu, r.memory, r.gpus, r.pods) if not r.devices else self.vector(r) for r in rows]
        matrix = np.zeros((len(amounts), PODS + len(self.columns)), dtype=np.int64, order="F")
        for row, amount in enumerate(amounts):
            matrix[row, : len(amount)] = amount
        return matrix

    def lacks(self, resources: Resources) -> str | None:
        """A device that is asked for and that no node offers at all."""
        return next((kind for kind, _ in resources.devices if kind not in self.columns), None)

    def domains(self, level: str) -> Rows:
        """A number for each node's domain at a level of the topology, in the order of their names; -1: none."""
        if level not in self._domains:
            column = Column.of(node.labels.get(level) for node in self.nodes)
            names = sorted(name for name in column.values if name is not None)
            number = {name: place for place, name in enumerate(names)}
            codes = np.array([number.get(name or "", -1) for name in column.values], dtype=np.intp)
            self._domains[level] = codes[column.codes] if len(codes) else column.codes
        return self._domains[level]

    def offers(self, gpu_products: frozenset[str]) -> Mask:
        """Which nodes have GPUs of one of these products."""
        return self.products.where(lambda product: product in gpu_products)

    def repels(self, tolerations: tuple[Toleration, ...]) -> Mask:
        """Which nodes have a taint that keeps a pod with these tolerations away."""
        return self.taints.where(
            lambda taints: any(
                taint.effect is not Effect.PREFER_NO_SCHEDULE for taint in untolerated(taints, tolerations)
            )
        )

    def discourages(self, tolerations: tuple[Toleration, ...]) -> Mask:
        """Which nodes have a taint for which such a pod should rather go elsewhere."""
        return self.taints.where(
            lambda taints: any(
                taint.effect is Effect.PREFER_NO_SCHEDULE for taint in untolerated(taints, tolerations)
            )
        )

    def reaches(self, volumes: Iterable[Volume]) -> Mask:
        """Which nodes can mount all of these."""
        reached = np.ones(len(self.nodes), dtype=np.bool_)
        for volume in volumes:
            if volume.everywhere:
                continue
            if volume not in self._reached:
                self._reached[volume] = _mask(volume.reaches(node.name, node.labels) for node in self.nodes)
            reached &= self._reached[volume]
        return reached

    def parts(self, kind: str) -> NDArray[np.float64]:
        """How much of a whole GPU one device of this kind is, per node; see `devices.gpu_part`."""
        if kind not in self._parts:
            self._parts[kind] = self._by_label(kind, devices.gpu_part)
        return self._parts[kind]

    def gpu_memory(self, kind: str) -> Amounts:
        """GPU memory that one device of this kind can count on, in bytes, per node; 0 where it is not known."""
        if kind not in self._memory:
            self._memory[kind] = self._by_label(kind, devices.memory).astype(np.int64)
        return self._memory[kind]

    def replicas(self, kind: str) -> Amounts:
        """How many pods share one device of this kind, per node."""
        return self._by_label(kind, devices.replicas).astype(np.int64)

    def _by_label(self, kind: str, read: Callable[[str, Mapping[str, str]], float]) -> NDArray[np.float64]:
        return np.fromiter(
            (read(kind, node.labels) for node in self.nodes), dtype=float, count=len(self.nodes)
        )

    def _whole_gpus(self) -> NDArray[np.float64]:
        """What each node offers in GPUs, parts counted as parts."""
        offered = np.zeros(len(self.nodes))
        for kind, column in self.columns.items():
            offered += self.allocatable[:, column] * self.parts(kind)
        return offered


def carried(values: NDArray[np.float64], before: Sequence[str], now: Sequence[str]) -> NDArray[np.float64]:
    """`values` of the nodes `before`, a row each, as rows of the nodes `now`; 0 for those that are new."""
    rows = {name: row for row, name in enumerate(before)}
    kept = [(row, rows[name]) for row, name in enumerate(now) if name in rows]
    moved = np.zeros((len(now), *values.shape[1:]))
    if kept:
        here, there = np.array(kept).T
        moved[here] = values[there]
    return moved


def _mask(rows: Iterable[bool]) -> Mask:
    return np.fromiter(rows, dtype=np.bool_)
