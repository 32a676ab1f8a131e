"""How long a job takes on the GPUs it is given, from the measured step times."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadstar.simulator.cells import Line, TraceError, lines, need
from loadstar.simulator.pollux.trace import PolluxJob

Shares = tuple[int, ...]
"""GPUs on each node that a job uses."""
Curve = NDArray[np.float64]
"""Rows of batch size per GPU (ascending), seconds per step, seconds of it spent synchronising."""

_MOST_NODES = 16

_LARGEST_LOCAL_BATCH = {"yolov3": 8}
"""Samples that fit one GPU, where the measurements go beyond what the artifact allows."""

STEPS: Mapping[tuple[str, int], float] = {
    ("bert", 384): 481.4,
    ("cifar10", 2048): 3385.7,
    ("cifar10", 4096): 2180.0,
    ("deepspeech2", 320): 2265.0,
    ("deepspeech2", 640): 1370.1,
    ("imagenet", 3200): 42453.7,
    ("imagenet", 6400): 24971.1,
    ("ncf", 32768): 1587.9,
    ("yolov3", 64): 15972.6,
}
"""Steps of the global batch until an application has reached its quality, by application and batch.

Not in the tables: how many steps a batch size needs follows from the artifact's training curves. These are fitted once
so that Tiresias, replayed, ends the jobs that never waited when it was published to end them; where a curve is at hand
it agrees (bert at 384: 480 steps).
"""


@dataclass(frozen=True, slots=True)
class StepTimes:
    """The measurements of one application.

    `measured` are those of a placement, written as its GPUs per node; `grid` their means by nodes and GPUs, for
    placements that nobody measured.
    """

    application: str
    measured: Mapping[Shares, Curve]
    grid: Mapping[int, Mapping[int, Curve]]
    largest_local_batch: int

    def step_seconds(self, shares: Shares, batch: int) -> float:
        """Seconds for one step of the global `batch`; what does not fit the GPUs at once is accumulated."""
        local = _ceil(batch / sum(shares))
        rounds = _ceil(local / self.largest_local_batch)
        if sum(shares) == 1:
            rounds = max(rounds, 2)  # the artifact: a single GPU sees the gradients' noise in two rounds
        step, sync = self._at(shares, _ceil(local / rounds))
        return step + (step - sync) * (rounds - 1)

    def _at(self, shares: Shares, local_batch: int) -> tuple[float, float]:
        rotated = min(shares[first:] + shares[:first] for first in range(len(shares)))
        if rotated in self.measured:
            return _read(self.measured[rotated], local_batch)
        return self._between(min(len(shares), _MOST_NODES), sum(shares) / len(shares), local_batch)

    def _between(self, nodes: int, density: float, local_batch: int) -> tuple[float, float]:
        """Linear in nodes and in GPUs per node, between the measured ones around."""
        counts = sorted(self.grid)
        below = max((count for count in counts if count <= nodes), default=counts[0])
        above = min((count for count in counts if count >= nodes), default=counts[-1])
        weight = (nodes - below) / (above - below) if above > below else 0.0
        rows = [self._row(count, density, local_batch) for count in (below, above)]
        step, sync = (1 - weight) * rows[0] + weight * rows[1]
        return float(step), float(sync)

    def _row(self, nodes: int, density: float, local_batch: int) -> NDArray[np.float64]:
        gpus = sorted(self.grid[nodes])
        read = np.array([_read(self.grid[nodes][count], local_batch) for count in gpus])
        densities = np.array(gpus) / nodes
        return np.array([np.interp(density, densities, read[:, column]) for column in (0, 1)])


class Speeds:
    """The applications of a trace; `seconds` is what everything else asks."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the trace's `pollux`."""
        self._folder = folder
        self._application = cache(self._read)
        self._seconds = cache(self._measure)

    def seconds(self, job: PolluxJob, shares: Shares) -> float:
        """How long the whole job takes on these GPUs, undisturbed."""
        return self._seconds(job.application, job.batch, shares)

    def _measure(self, application: str, batch: int, shares: Shares) -> float:
        return steps(application, batch) * self._application(application).step_seconds(shares, batch)

    def _read(self, application: str) -> StepTimes:
        folder = self._folder / "traces" / application
        measured: dict[Shares, list[tuple[float, ...]]] = defaultdict(list)
        grid: dict[tuple[int, int, float], list[list[float]]] = defaultdict(list)
        for line in _lines(folder / "placements.csv", "placement"):
            shares = tuple(int(digit) for digit in str(line.whole("placement", least=1)))
            local_batch, *times = _times(line)
            measured[shares].append((local_batch, *times))
            grid[len(shares), sum(shares), local_batch].append(times)
        for line in _lines(folder / "scalability.csv", "num_nodes", "num_replicas"):
            local_batch, *times = _times(line)
            grid[line.whole("num_nodes"), line.whole("num_replicas"), local_batch].append(times)
        curves = {shares: np.array(sorted(rows)) for shares, rows in measured.items()}
        largest = int(max(curve[-1, 0] for curve in curves.values()))
        return StepTimes(application, curves, _means(grid), _LARGEST_LOCAL_BATCH.get(application, largest))


def steps(application: str, batch: int) -> float:
    """Steps of the global batch that the application needs; between known batch sizes log-linear in the logarithm.

    Raises TraceError for an application that is not known.
    """
    known = sorted((size, count) for (name, size), count in STEPS.items() if name == application)
    if not known:
        raise TraceError(f"nothing is known of how long {application} trains; known: {_applications()}")
    sizes, counts = np.log(np.array(known)).T
    if len(known) == 1:  # as many samples as with the batch size that is known
        return float(np.exp(counts[0] + sizes[0] - np.log(batch)))
    return float(np.exp(np.interp(np.log(batch), sizes, counts)))


def _applications() -> str:
    return ", ".join(sorted({name for name, _ in STEPS}))


def _means(grid: Mapping[tuple[int, int, float], list[list[float]]]) -> dict[int, dict[int, Curve]]:
    rows: dict[int, dict[int, list[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(list))
    for (nodes, gpus, local_batch), times in sorted(grid.items()):
        rows[nodes][gpus].append((local_batch, *np.mean(times, axis=0)))
    return {nodes: {gpus: np.array(curve) for gpus, curve in row.items()} for nodes, row in rows.items()}


def _read(curve: Curve, local_batch: int) -> tuple[float, float]:
    step, sync = (float(np.interp(local_batch, curve[:, 0], curve[:, column])) for column in (1, 2))
    return step, sync


def _lines(file: Path, *columns: str) -> Iterator[Line]:
    there, found = lines(file)
    need(file, there, (*columns, "local_bsz", "step_time", "sync_time"))
    return found


def _times(line: Line) -> tuple[float, float, float]:
    """Batch per GPU, seconds per step, seconds of it spent synchronising."""
    step, sync = line.seconds("step_time"), line.seconds("sync_time")
    return float(line.whole("local_bsz", least=1)), step or 0.0, sync or 0.0


def _ceil(value: float) -> int:
    return math.ceil(value - 1e-8)
