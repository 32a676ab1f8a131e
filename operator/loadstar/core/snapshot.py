"""The cluster's nodes at one moment: what is taken on them, what is assumed, how they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loadstar.core.fleet import CPU, GPUS, MEMORY, PODS, Amounts, Fleet, Mask, Node, Rows
from loadstar.core.health import Health
from loadstar.core.resources import Resources
from loadstar.core.volumes import Volume

__all__ = ["CPU", "GPUS", "MEMORY", "PODS", "Mask", "Node", "Rows", "Snapshot", "Undo"]

Undo = Callable[[], None]
Shares = NDArray[np.float64]

HOST = [CPU, MEMORY, PODS]


class Snapshot:
    """Free capacity of every node; `take` assumes a request on a node and returns its undo.

    `free` and `allocatable` have the fleet's rows and columns. `changes` are the rows that were taken from or given to,
    in order: what is worked out from `free` stays true of all rows that come not after where it was read.
    """

    def __init__(
        self,
        nodes: Iterable[Node] | Fleet,
        requested: Mapping[str, Resources],
        health: Mapping[str, Health] | None = None,
    ) -> None:
        """`requested` is the sum of what pods on a node request and of what is assumed there."""
        self.fleet = nodes if isinstance(nodes, Fleet) else Fleet(nodes)
        self.nodes, self.names = self.fleet.nodes, self.fleet.names
        self.allocatable, self.ready, self.cordoned = (
            self.fleet.allocatable,
            self.fleet.ready,
            self.fleet.cordoned,
        )
        self.free: Amounts = self.allocatable.copy(order="F")
        known = [name for name in requested if name in self.fleet.rows]
        rows = np.array([self.fleet.rows[name] for name in known], dtype=np.intp)
        self.free[rows] -= self.fleet.matrix(requested[name] for name in known)
        self.changes: list[int] = []
        self._ready_parts = [
            (column, self.fleet.parts(kind) * self.ready) for kind, column in self.fleet.columns.items()
        ]
        self.health = {
            self.fleet.rows[name]: h for name, h in (health or {}).items() if name in self.fleet.rows
        }

    def take(self, node: str, request: Resources) -> Undo:
        """Assume `request` on `node`; the returned function gives it back."""
        return self.take_rows(np.array([self.fleet.rows[node]]), request)

    def give(self, node: str, request: Resources) -> Undo:
        """Assume that `request` ends on `node`; the returned function takes it back."""
        return self._move(np.array([self.fleet.rows[node]]), self.fleet.vector(request))

    def take_rows(self, rows: Rows, request: Resources) -> Undo:
        """`take` on each of these rows, which differ."""
        return self._move(rows, -self.fleet.vector(request))

    def _move(self, rows: Rows, amount: Amounts) -> Undo:
        def move(change: Amounts) -> None:
            self.free[rows] += change
            self.changes.extend(rows.tolist())

        move(amount)
        return lambda: move(-amount)

    def row(self, name: str) -> int | None:
        """The row of a node, None when it is not in the snapshot."""
        return self.fleet.rows.get(name)

    def rows(self, names: Iterable[str]) -> Rows:
        """The rows of nodes that are in the snapshot."""
        return np.array([self.fleet.rows[name] for name in names], dtype=np.intp)

    def vector(self, request: Resources) -> Amounts:
        """A request in the columns of `free`."""
        return self.fleet.vector(request)

    def domains(self, level: str) -> Rows:
        """The code of each node's domain at a level of the topology, -1 where it has none."""
        return self.fleet.domains(level)

    def offers(self, gpu_products: frozenset[str]) -> Mask:
        """Which nodes have GPUs of one of these products."""
        return self.fleet.offers(gpu_products)

    def reaches(self, volumes: Iterable[Volume]) -> Mask:
        """Which nodes can mount all of these."""
        return self.fleet.reaches(volumes)

    def allocated_share(self, rows: Rows | slice = slice(None)) -> Shares:
        """Taken over allocatable in 0..1, shape (nodes, 4); 0 where a node has none of a resource.

        Parts of GPUs count as such: half of the slices of one of two GPUs taken is a quarter.
        """
        return np.clip(self._share(self.allocatable[rows] - self.free[rows], rows), 0.0, 1.0)

    def free_share(self, rows: Rows) -> Shares:
        """The share of these nodes' GPUs that is free, parts counted as parts; 0 where a node has none."""
        gpus, left = self.fleet.gpus[rows], np.zeros(len(rows))
        for kind, column in self.fleet.columns.items():
            left += self.free[rows, column] * self.fleet.parts(kind)[rows]
        return np.divide(np.maximum(left, 0.0), gpus, out=np.zeros(len(rows)), where=gpus > 0)

    def occupancy(self) -> float:
        """The share of all ready nodes' GPUs that are taken; parts of GPUs count as such."""
        offered = float(self.fleet.gpus @ self.ready)
        left = sum(float(self.free[:, column] @ weights) for column, weights in self._ready_parts)
        return 1.0 - left / offered if offered > 0 else 0.0

    def share_of(self, request: Resources, rows: Rows | slice = slice(None)) -> Shares:
        """The share of each node that a request would take, shape (nodes, 4); 0 where a node has none of a resource."""
        return self._share(self.fleet.vector(request)[None, :], rows)

    def shares(self, rows: Rows, requests: Sequence[Resources]) -> Shares:
        """The share that each request takes of the node of its row, shape (requests, 4)."""
        return self._share(self.fleet.matrix(requests), rows)

    def _share(self, amounts: Amounts, rows: Rows | slice) -> Shares:
        offered = self.allocatable[rows]
        share = np.zeros((len(offered), PODS + 1))
        for column in HOST:
            _divide(amounts[:, column], offered[:, column], share[:, column])
        parts = sum(
            amounts[:, column] * self.fleet.parts(kind)[rows] for kind, column in self.fleet.columns.items()
        )
        _divide(np.asarray(parts), self.fleet.gpus[rows], share[:, GPUS])
        return share


def _divide(amount: Shares | Amounts, offered: Shares | Amounts, into: Shares) -> None:
    np.divide(amount, offered, out=into, where=offered > 0)
