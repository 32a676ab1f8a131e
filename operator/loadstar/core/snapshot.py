"""The cluster's nodes as arrays at one moment: what they offer, what is taken, what is assumed.

Rows are nodes in the order of their names; the four columns are CPU (millicores), memory (bytes), GPUs and pods.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadstar.core.resources import Resources
from loadstar.core.volumes import Volume

Matrix = NDArray[np.int64]
Mask = NDArray[np.bool_]

CPU, MEMORY, GPUS, PODS = range(4)

GPU_TAINT = "nvidia.com/gpu"
"""GPU nodes are commonly tainted with this key; pods that request GPUs tolerate it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `taints` are the keys of its taints that keep pods away (NoSchedule, NoExecute).

    `labels` are kept for the rare volume that only some nodes can mount.
    """

    name: str
    allocatable: Resources
    ready: bool = True
    cordoned: bool = False
    gpu_product: str | None = None
    taints: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


class Snapshot:
    """Free capacity of every node; `take` assumes a request on a node and returns its undo."""

    def __init__(self, nodes: Iterable[Node], requested: Mapping[str, Resources]) -> None:
        """`requested` is the sum of what pods on a node request and of what is assumed there."""
        self.nodes = tuple(sorted(nodes, key=lambda node: node.name))
        self.names = tuple(node.name for node in self.nodes)
        self._row = {name: row for row, name in enumerate(self.names)}
        self.allocatable = _matrix(node.allocatable for node in self.nodes)
        self.ready = _mask(node.ready for node in self.nodes)
        self.cordoned = _mask(node.cordoned for node in self.nodes)
        self.tainted = _mask(bool(node.taints) for node in self.nodes)
        self.tainted_for_gpu_pods = _mask(bool(node.taints - {GPU_TAINT}) for node in self.nodes)
        self.free = self.allocatable - _matrix(requested.get(name, Resources()) for name in self.names)

    def take(self, node: str, request: Resources) -> Callable[[], None]:
        """Assume `request` on `node`; the returned function gives it back."""
        row, amount = self._row[node], _row(request)
        self.free[row] -= amount

        def undo() -> None:
            self.free[row] += amount

        return undo

    def row(self, name: str) -> int | None:
        """The row of a node, None when it is not in the snapshot."""
        return self._row.get(name)

    def offers(self, gpu_products: frozenset[str]) -> Mask:
        """Which nodes have GPUs of one of these products."""
        return _mask(node.gpu_product in gpu_products for node in self.nodes)

    def reaches(self, volumes: Iterable[Volume]) -> Mask:
        """Which nodes can mount all of these."""
        reached = np.ones(len(self.nodes), dtype=np.bool_)
        for volume in volumes:
            if not volume.everywhere:
                reached &= _mask(volume.reaches(node.name, node.labels) for node in self.nodes)
        return reached

    def allocated_share(self) -> NDArray[np.float64]:
        """Taken over allocatable in 0..1, shape (nodes, 4); 0 where a node has none of a resource."""
        taken = (self.allocatable - self.free).astype(float)
        share = np.divide(taken, self.allocatable, out=np.zeros_like(taken), where=self.allocatable > 0)
        return np.asarray(np.clip(share, 0.0, 1.0))


def _row(resources: Resources) -> Matrix:
    return np.array([resources.cpu, resources.memory, resources.gpus, resources.pods], dtype=np.int64)


def _matrix(rows: Iterable[Resources]) -> Matrix:
    return np.array([(r.cpu, r.memory, r.gpus, r.pods) for r in rows], dtype=np.int64).reshape(-1, 4)


def _mask(rows: Iterable[bool]) -> Mask:
    return np.fromiter(rows, dtype=np.bool_)
