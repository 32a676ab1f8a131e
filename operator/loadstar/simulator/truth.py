"""What really happens on the nodes, and the part of it that a scrape shows.

Load of a node per signal = background + Σ use · ramp((t - start - lag) / RAMP) · fluctuation, over the ranks on it.
Where more CPU is wanted than there is (u > 1), a job that feeds its GPUs from the CPU runs at 1/u, any other at
1 - .15·(1 - 1/u); ranks of two distributed jobs on one node share its network and run at 1/(1 + NETWORK_SLOWDOWN).
A gang runs at the speed of its slowest rank. A GPU draws idle + (limit - idle)·activity, a node NODE_WATTS besides.
"""

from dataclasses import dataclass

import numpy as np

from loadstar.core.load import STEP_SECONDS, Signal
from loadstar.simulator.fleet import CPU, GPUS, MEMORY, Array, Fleet, Integers
from loadstar.simulator.workload import NOISE_STEPS, Workload

SIGNALS = tuple(Signal)
RAMP_SECONDS = 60.0
INSENSITIVE_LOSS = 0.15
NETWORK_SLOWDOWN = 0.25
"""The middle one of the slowdowns (0, 25, 50 %) under which Pollux was evaluated (OSDI'21 §5.3)."""
IDLE_WATTS, LIMIT_WATTS = 65.0, 400.0
"""An A100's draw, idle and at its limit (AcmeTrace, gpu_power)."""
NODE_WATTS = 700.0
"""What a node draws besides its GPUs."""
SYSTEM_MEMORY = 0.04
"""Share of a node's memory that is used when nothing runs on it."""


@dataclass(frozen=True, slots=True)
class Live:
    """The ranks that run, one entry each: job number, row of its node, when it was started."""

    job: Integers
    node: Integers
    begun: Array


@dataclass(frozen=True, slots=True)
class Load:
    """What is wanted of every node at one moment as a share of what it has (above 1: more than that), per signal."""

    by_signal: dict[Signal, Array]


class Truth:
    """Loads and speeds from who runs where. `background` is CPU shares of shape (steps, nodes), repeated at its end."""

    def __init__(self, fleet: Fleet, workload: Workload, background: Array) -> None:
        self._capacity = fleet.capacity.astype(float)
        self._gpus = np.maximum(self._capacity[:, GPUS], 1.0)
        self._workload = workload
        self._background = background
        self._several = workload.ranks > 1
        self._any_several = bool(self._several.any())

    def load(self, step: int, live: Live) -> Load:
        """Loads at the moment `step` · STEP_SECONDS, before which steps below 0 are history."""
        work, now, nodes = self._workload, step * STEP_SECONDS, len(self._capacity)
        age = now - live.begun - work.lag[live.job]
        ramp = np.clip(age / RAMP_SECONDS, 0.0, 1.0)
        beat = (np.maximum(age, 0.0) // STEP_SECONDS).astype(np.int64) % NOISE_STEPS
        wanted = work.used[live.job] * ramp[:, None]
        wanted[:, CPU] *= work.noise[live.job, beat]
        wanted[:, GPUS] = np.minimum(wanted[:, GPUS] * work.noise[live.job, beat], work.asked[live.job, GPUS])

        def total(amount: Array) -> Array:
            return np.asarray(np.bincount(live.node, weights=amount, minlength=nodes))

        background = self._background[step % len(self._background)]
        held = work.held[live.job] * work.asked[live.job, GPUS] * ramp
        return Load(
            {
                Signal.GPU: total(wanted[:, GPUS]) / self._gpus,
                Signal.GPU_MEMORY: total(held) / self._gpus,
                Signal.CPU: background + total(wanted[:, CPU]) / self._capacity[:, CPU],
                Signal.MEMORY: SYSTEM_MEMORY + total(wanted[:, MEMORY]) / self._capacity[:, MEMORY],
            },
        )

    def speeds(self, load: Load, live: Live) -> Array:
        """Progress per second of every job by its number: 1 undisturbed; jobs that don't run have 1, too."""
        crowding = np.maximum(load.by_signal[Signal.CPU], 1.0)[live.node]
        left = 1.0 / crowding
        speed = np.where(self._workload.sensitive[live.job], left, 1.0 - INSENSITIVE_LOSS * (1.0 - left))
        if self._any_several:
            talks = self._several[live.job]
            talkers = np.bincount(live.node[talks], minlength=len(self._capacity))
            speed = np.where(talks & (talkers[live.node] > 1), speed / (1.0 + NETWORK_SLOWDOWN), speed)
        slowest = np.ones(len(self._workload))
        np.minimum.at(slowest, live.job, speed)
        return slowest

    def watts(self, load: Load) -> float:
        """Power of the whole fleet."""
        activity = float((load.by_signal[Signal.GPU] * self._capacity[:, GPUS]).sum())
        gpus = float(self._capacity[:, GPUS].sum())
        return NODE_WATTS * len(self._capacity) + IDLE_WATTS * gpus + (LIMIT_WATTS - IDLE_WATTS) * activity


class History:
    """What was scraped, one sample per step, saturating at 100 %; the newest shown is one step old.

    Means and deviations over a window cost O(nodes), by running sums.
    """

    def __init__(self, nodes: int, steps: int) -> None:
        self._seen = np.zeros((len(SIGNALS), steps, nodes))
        self._sums = np.zeros((2, len(SIGNALS), steps + 1, nodes))
        self._count = 0

    def scrape(self, load: Load) -> None:
        """Take one sample of every signal."""
        at = self._count
        if at == self._seen.shape[1]:
            self._seen = np.concatenate([self._seen, np.zeros_like(self._seen)], axis=1)
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums[:, :, 1:])], axis=2)
        self._seen[:, at] = np.minimum([load.by_signal[signal] for signal in SIGNALS], 1.0)
        self._sums[0, :, at + 1] = self._sums[0, :, at] + self._seen[:, at]
        self._sums[1, :, at + 1] = self._sums[1, :, at] + self._seen[:, at] ** 2
        self._count = at + 1

    @property
    def shown(self) -> int:
        """How many samples a reader gets: all but the newest."""
        return max(self._count - 1, 0)

    def last(self, signal: Signal, back: int = 0) -> Array:
        """The newest shown sample of every node, or the one `back` steps before it."""
        return np.asarray(self._seen[SIGNALS.index(signal), max(self.shown - 1 - back, 0)])

    def mean(self, signal: Signal, seconds: float, back: int = 0) -> Array:
        """The mean over the last `seconds`, `back` steps ago."""
        first, last = self._window(seconds, back)
        sums = self._sums[0, SIGNALS.index(signal)]
        return np.asarray((sums[last] - sums[first]) / max(last - first, 1))

    def deviation(self, signal: Signal, seconds: float) -> Array:
        """The standard deviation over the last `seconds`."""
        first, last = self._window(seconds, 0)
        squares = self._sums[1, SIGNALS.index(signal)]
        mean_square = (squares[last] - squares[first]) / max(last - first, 1)
        return np.asarray(np.sqrt(np.maximum(mean_square - self.mean(signal, seconds) ** 2, 0.0)))

    def highest_mean(self, signal: Signal, window: float, seconds: float) -> Array:
        """The highest of the means over `window` that were shown within the last `seconds`."""
        sums, steps = self._sums[0, SIGNALS.index(signal)], int(window / STEP_SECONDS)
        first, last = self._window(seconds, 0)
        ends = np.arange(max(first, steps), last + 1)
        if not len(ends):
            return self.mean(signal, window)
        return np.asarray(((sums[ends] - sums[ends - steps]) / steps).max(axis=0))

    def _window(self, seconds: float, back: int) -> tuple[int, int]:
        last = max(self.shown - back, 0)
        return max(last - int(seconds / STEP_SECONDS), 0), last
