"""R⁺: load that was decided and that no metric shows yet.

A job placed a moment ago loads nothing that a scrape could see: images are pulled, data is read, and averages lag.
Each commitment adds (1 - v(age))·û to its node, v(age) = clip((age - LAG - RAMP) / WINDOW, 0, 1).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.forecast import SIGNALS
from loadstar.core.load import Signal
from loadstar.core.resources import Resources
from loadstar.core.snapshot import CPU, GPUS, MEMORY, Snapshot

LAG_SECONDS = 105.0
"""From decision to the first visible load: scheduling, image pull, data loading."""
RAMP_SECONDS = 60.0
"""From the first visible load to the plateau."""
WINDOW_SECONDS = 240.0
"""How long the forecast's averages take to show the plateau in full."""
EXPECTED_USE = 0.8
"""û as a share of the request: what jobs use of what they ask for, until it is learned per family."""

RESOURCE_OF: dict[Signal, int] = {
    Signal.GPU: GPUS,
    Signal.GPU_MEMORY: GPUS,
    Signal.CPU: CPU,
    Signal.MEMORY: MEMORY,
}
"""The resource whose share of the node stands for a signal where nothing is measured."""
COLUMNS = [RESOURCE_OF[signal] for signal in SIGNALS]


@dataclass(frozen=True, slots=True)
class Commitment:
    """One rank's request on a node, decided at `decided_at` (Unix seconds)."""

    node: str
    request: Resources
    decided_at: float


def visibility(age: float) -> float:
    """The share of a job's load that metrics show `age` seconds after its placement was decided."""
    return min(1.0, max(0.0, (age - LAG_SECONDS - RAMP_SECONDS) / WINDOW_SECONDS))


def expected_use(request: Resources, snapshot: Snapshot) -> NDArray[np.float64]:
    """û of one rank on every node, as a share of the node per signal; shape (nodes, signals)."""
    asked = np.array([request.cpu, request.memory, request.gpus, request.pods], dtype=float)
    share = np.divide(
        asked, snapshot.allocatable, out=np.zeros(snapshot.allocatable.shape), where=snapshot.allocatable > 0
    )
    return np.asarray(EXPECTED_USE * share[:, COLUMNS])


def invisible_load(commitments: Iterable[Commitment], snapshot: Snapshot, now: float) -> NDArray[np.float64]:
    """R⁺ per node and signal, shape (nodes, signals): the sum of all commitments' load not yet visible."""
    hidden = np.zeros(snapshot.allocatable.shape)
    for commitment in commitments:
        row = snapshot.row(commitment.node)
        share = EXPECTED_USE * (1.0 - visibility(now - commitment.decided_at))
        if row is not None and share > 0:
            request = commitment.request
            hidden[row] += share * np.array([request.cpu, request.memory, request.gpus, request.pods])
    per_node = np.divide(
        hidden, snapshot.allocatable, out=np.zeros_like(hidden), where=snapshot.allocatable > 0
    )
    return np.asarray(per_node[:, COLUMNS])
