"""Schedulers that look at measured load, as their sources describe it; see baselines.py for what they share."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from loadstar.core.load import Signal
from loadstar.simulator.baselines import OUT, RESOURCE, Baseline, asked_share
from loadstar.simulator.fleet import CPU, Array
from loadstar.simulator.policy import Bound, Over, Question, View

MINUTE = 60.0


class Tlp(Baseline):
    """Trimaran TargetLoadPacking (scheduler-plugins, pkg/trimaran/targetloadpacking).

    U = 100·(15-minute mean + pod + missing), T = 40: (100-T)·U/T + T up to T, T·(100-U)/(100-T) above, 0 past 100. A
    pod without a CPU limit counts 1.5 × its request; missing are pods bound less than 60 s before the newest sample.
    The mean is fetched once a minute.
    """

    TARGET, MULTIPLIER, WINDOW, REPORTING = 40.0, 1.5, 15 * MINUTE, 60.0

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._mean: Array = np.zeros(0)
        self._read_at = -np.inf
        self._recent: list[Bound] = []

    def scraped(self, view: View) -> None:
        if view.now - self._read_at >= MINUTE:
            self._mean, self._read_at = view.history.mean(Signal.CPU, self.WINDOW), view.now

    def placed(self, bound: Bound) -> None:
        self._recent.append(bound)

    def scores(self, question: Question) -> Array:
        missing = np.zeros(len(question.fits))
        self._recent = [it for it in self._recent if self._read_at - it.at < self.REPORTING]
        for bound in self._recent:
            missing[list(bound.rows)] += bound.ask.asked[CPU]
        added = self.MULTIPLIER * (missing + question.ask.asked[CPU]) / question.view.fleet.capacity[:, CPU]
        use, target = 100.0 * (self._mean + added), self.TARGET
        score = np.where(
            use <= target, (100 - target) * use / target + target, target * (100 - use) / (100 - target)
        )
        return np.asarray(np.round(np.where(use > 100.0, 0.0, score)))


class Lvrb(Baseline):
    """Trimaran LoadVariationRiskBalancing: risk = (μ + σ)/2 per resource, score = 100·(1 - risk), the lower of CPU's
    and memory's (scheduler-plugins, pkg/trimaran/loadvariationriskbalancing; margin and sensitivity 1).

    μ is the 15-minute mean plus the pod's request, σ the deviation over the same time; both fetched once a minute.
    """

    WINDOW = 15 * MINUTE

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._seen: dict[Signal, tuple[Array, Array]] = {}
        self._read_at = -np.inf

    def scraped(self, view: View) -> None:
        if view.now - self._read_at >= MINUTE:
            self._read_at = view.now
            for signal in RESOURCE:
                mean = view.history.mean(signal, self.WINDOW)
                self._seen[signal] = mean, view.history.deviation(signal, self.WINDOW)

    def scores(self, question: Question) -> Array:
        lowest = np.full(len(question.fits), 100.0)
        for signal, column in RESOURCE.items():
            mean, deviation = self._seen[signal]
            expected = np.clip(mean + asked_share(question, column), 0.0, 1.0)
            risk = (expected + np.clip(deviation, 0.0, 1.0)) / 2.0
            lowest = np.minimum(lowest, 100.0 * (1.0 - risk))
        return np.round(lowest)


class Crane(Baseline):
    """crane-scheduler's Dynamic plugin with its default policy, on node annotations that are written in their rhythm.

    score = 100·Σ w·(1 - u)/Σ w - 10·hot over CPU and memory, u the 5-minute mean (w .2, every 3 min), the highest of
    those in an hour (.3, every 15 min) and in a day (.5, every 3 h); nodes past .65 (5 min) or .75 (hour) are refused.
    hot = ⌊binds in 1 min / 2⌋ + ⌊binds in 5 min / 5⌋, written every 3 min.
    """

    MEAN, HOUR, DAY = 5 * MINUTE, 3600.0, 24 * 3600.0
    WEIGHTS = (0.2, 0.3, 0.5)
    LIMITS = (0.65, 0.75)
    EVERY = (3 * MINUTE, 15 * MINUTE, 3 * 3600.0)

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._written: dict[tuple[Signal, int], Array] = {}
        self._at = [-np.inf] * 3
        self._heat: Array = np.zeros(0)
        self._binds: list[Bound] = []

    def scraped(self, view: View) -> None:
        for which, every in enumerate(self.EVERY):
            if view.now - self._at[which] >= every:
                self._at[which] = view.now
                self._write(which, view)

    def _write(self, which: int, view: View) -> None:
        for signal in RESOURCE:
            if which == 0:
                value = view.history.mean(signal, self.MEAN)
            else:
                value = view.history.highest_mean(signal, self.MEAN, (self.HOUR, self.DAY)[which - 1])
            self._written[signal, which] = value
        if which == 0:
            self._heat = self._binds_in(MINUTE, view) // 2 + self._binds_in(5 * MINUTE, view) // 5

    def _binds_in(self, seconds: float, view: View) -> Array:
        self._binds = [it for it in self._binds if view.now - it.at <= 5 * MINUTE]
        rows = [row for it in self._binds if view.now - it.at <= seconds for row in it.rows]
        return np.bincount(np.array(rows, dtype=np.int64), minlength=len(view.free)).astype(float)

    def placed(self, bound: Bound) -> None:
        self._binds.append(bound)

    def scores(self, question: Question) -> Array:
        free, refused = np.zeros(len(question.fits)), np.zeros(len(question.fits), dtype=np.bool_)
        for signal in RESOURCE:
            for which, weight in enumerate(self.WEIGHTS):
                free += weight * (1.0 - self._written[signal, which])
            for which, limit in enumerate(self.LIMITS):
                refused |= self._written[signal, which] > limit
        score = np.trunc(100.0 * free / (len(RESOURCE) * sum(self.WEIGHTS))) - 10.0 * self._heat
        return np.where(refused, OUT, np.maximum(score, 0.0))


class Koordinator(Baseline):
    """Koordinator's LoadAwareScheduling: score = 100·(1 - estimate), the mean over CPU and memory.

    estimate = 5-minute mean + Σ max(0, e - u) over pods that the node's last report (once a minute) can't have in full
    + e of the new pod, e = 85 % of the CPU and 70 % of the memory requested; refused past 65 % CPU or 95 % memory.
    """

    WINDOW, REPORT = 5 * MINUTE, 60.0
    EXPECTED: ClassVar = {Signal.CPU: 0.85, Signal.MEMORY: 0.70}
    LIMIT: ClassVar = {Signal.CPU: 0.65, Signal.MEMORY: 0.95}

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._mean: dict[Signal, Array] = {}
        self._reported_at = -np.inf
        self._bound: dict[int, Bound] = {}

    def scraped(self, view: View) -> None:
        if view.now - self._reported_at >= self.REPORT:
            self._reported_at = view.now
            self._mean = {signal: view.history.mean(signal, self.WINDOW) for signal in RESOURCE}
            self._bound = {n: it for n, it in self._bound.items() if view.now - it.at < self.REPORT}

    def placed(self, bound: Bound) -> None:
        self._bound[bound.ask.number] = bound

    def ended(self, over: Over) -> None:
        self._bound.pop(over.bound.ask.number, None)

    def scores(self, question: Question) -> Array:
        left, refused = np.zeros(len(question.fits)), np.zeros(len(question.fits), dtype=np.bool_)
        for signal, column in RESOURCE.items():
            coming = np.zeros(len(question.fits))
            for row, asked in self._unreported(column):
                coming[row] += asked
            share = (
                self.EXPECTED[signal]
                * (coming + question.ask.asked[column])
                / question.view.fleet.capacity[:, column]
            )
            left += np.maximum(1.0 - self._mean[signal] - share, 0.0)
            refused |= np.round(100.0 * self._mean[signal]) > 100.0 * self.LIMIT[signal]
        return np.where(refused, OUT, np.trunc(100.0 * left / len(RESOURCE)))

    def _unreported(self, column: int) -> Iterator[tuple[int, float]]:
        for bound in self._bound.values():
            for row in bound.rows:
                yield row, float(bound.ask.asked[column])


class VolcanoUsage(Baseline):
    """Volcano's usage plugin: score = 5·100·mean(1 - u) over CPU and memory, u 10-minute means; refused past 80 %."""

    WINDOW, LIMIT = 10 * MINUTE, 0.8

    def scores(self, question: Question) -> Array:
        means = [question.view.history.mean(signal, self.WINDOW) for signal in RESOURCE]
        refused = np.any([mean > self.LIMIT for mean in means], axis=0)
        return np.where(refused, OUT, 500.0 * np.mean([1.0 - mean for mean in means], axis=0))
