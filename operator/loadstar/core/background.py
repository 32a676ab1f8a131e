"""What nodes are usually loaded by besides what is expected of their gangs: agents, services, people, and jobs that are
unlike their families.

Each round of samples tells of it: with R⁺ - R⁻ added it is the load of all gangs that run, and what is expected of
these is taken off. What is kept is the mean over MEMORY_SECONDS, as it stands for a time that is further away than any
forecast reaches. O(1) memory per node.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import committed, use_by_node
from loadstar.core.fleet import carried
from loadstar.core.forecast import SIGNALS
from loadstar.core.ledger import Ledger
from loadstar.core.snapshot import Snapshot

Array = NDArray[np.float64]

MEMORY_SECONDS = 1800.0
"""How far back the mean looks: its weights fall to a third in so much time."""


@dataclass(slots=True)
class Background:
    """The background of all nodes that samples have told of; after a restart it is learned anew."""

    _names: tuple[str, ...] = ()
    _mean: Array = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))
    _newest: Array = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))
    """When the newest sample was taken, Unix seconds."""
    _samples: Array = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))

    def observe(self, ledger: Ledger, current: Array, age: Array, snapshot: Snapshot, now: float) -> None:
        """Take in the newest samples, shape (nodes, signals) in the snapshot's order; NaN where there is none.

        `ledger` has the gangs that they were taken with.
        """
        self._align(snapshot.names)
        at = now - age
        new = np.isfinite(current) & (at > self._newest)
        hidden = committed(ledger.commitments(now), snapshot, now, ledger.families, age)
        ranks = (
            (rank.node, gang.request, gang.family)
            for gang in ledger
            if gang.ended_at is None
            for rank in gang.placement.ranks
        )
        rest = current + hidden.net - use_by_node(ranks, snapshot, ledger.families)
        self._samples += new
        faded = 1.0 - np.exp(-(at - self._newest) / MEMORY_SECONDS)
        weight = np.maximum(faded, 1.0 / np.maximum(self._samples, 1.0))
        self._mean = np.where(new, self._mean + weight * (rest - self._mean), self._mean)
        self._newest = np.where(new, at, self._newest)

    def of(self, names: tuple[str, ...]) -> Array:
        """The background of these nodes, shape (nodes, signals); NaN where no sample has told of it."""
        self._align(names)
        return np.where(self._samples > 0, np.maximum(self._mean, 0.0), np.nan)

    def _align(self, names: tuple[str, ...]) -> None:
        """Have a row for each of these nodes."""
        if names != self._names:
            self._mean = carried(self._mean, self._names, names)
            self._newest = carried(self._newest, self._names, names)
            self._samples = carried(self._samples, self._names, names)
            self._names = names
