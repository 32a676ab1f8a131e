"""What a run came to: times of every job, heat, waste and energy of the cluster."""

from dataclasses import dataclass

import numpy as np

from loadstar.core.load import STEP_SECONDS, Signal
from loadstar.simulator.fleet import Array, Fleet, Integers
from loadstar.simulator.truth import Load
from loadstar.simulator.workload import Workload

HOT = 0.8
"""The CPU load above which a node counts as hot."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The cluster per step: mean CPU load, share of hot nodes, share of GPUs taken, jobs that wait."""

    cpu: Array
    hot: Array
    taken: Array
    waiting: Array


@dataclass(frozen=True, slots=True)
class Outcome:
    """Per job: seconds waited, seconds from arrival to end, and end over undisturbed run; the rest per run.

    `hot` and `overload` are node-time above HOT and ∫(u - 1)⁺ over all of the run, both as a share of the nodes' time
    until the last arrival: the same jobs have to run under every policy, so who only delays them gains nothing.
    """

    wait: Array
    completion: Array
    stretch: Array
    hot: float
    overload: float
    stranded: float
    """Share of the GPU-time until the last arrival that was free while somebody waited."""
    goodput: float
    """GPU-seconds of work that was done before the last arrival, as a share of all GPUs' time."""
    energy: float
    """kWh per GPU-hour of work done."""
    fairness: float
    """Jain's index of the jobs' speed from arrival to end (1: all were slowed alike)."""
    timeline: Timeline

    def figures(self) -> dict[str, float]:
        """The numbers by which policies are compared."""
        return {
            "hot": 100 * self.hot,
            "overload": 100 * self.overload,
            "wait": float(self.wait.mean()),
            "jct": float(self.completion.mean()),
            "jct p95": float(np.quantile(self.completion, 0.95)),
            "jct p99": float(np.quantile(self.completion, 0.99)),
            "stretch": float(self.stretch.mean()),
            "stranded": 100 * self.stranded,
            "goodput": 100 * self.goodput,
            "kWh/GPUh": self.energy,
            "fairness": self.fairness,
        }


class Recorder:
    """Collects what an Outcome needs while a run goes on."""

    def __init__(self, fleet: Fleet, workload: Workload) -> None:
        self._fleet, self._workload = fleet, workload
        self._started = np.full(len(workload), np.nan)
        self._ended = np.full(len(workload), np.nan)
        self._overload = 0.0
        self._watt_seconds = 0.0
        self._steps: list[tuple[float, float, float, float]] = []

    def record(self, load: Load, watts: float, free_gpus: Integers, waiting: int) -> None:
        """One step of the cluster."""
        cpu = load.by_signal[Signal.CPU]
        self._overload += float(np.maximum(cpu - 1.0, 0.0).sum())
        self._watt_seconds += watts * STEP_SECONDS
        taken = 1.0 - float(free_gpus.sum()) / self._fleet.gpus
        self._steps.append((float(cpu.mean()), float((cpu > HOT).mean()), taken, float(waiting)))

    def started(self, number: int, at: float) -> None:
        """A job got its nodes."""
        self._started[number] = at

    def ended(self, number: int, at: float) -> None:
        """A job is done."""
        self._ended[number] = at

    def outcome(self) -> Outcome:
        """What it came to. Every job must have ended."""
        work, timeline = self._workload, np.array(self._steps).T
        span = work.span / STEP_SECONDS
        within = slice(0, int(np.ceil(span)))
        _, hot, taken, waiting = timeline
        completion = self._ended - work.arrival
        speed = work.work / completion
        share_done = np.clip((work.span - self._started) / (self._ended - self._started), 0.0, 1.0)
        gpu_seconds = work.work * work.gpus
        return Outcome(
            wait=self._started - work.arrival,
            completion=completion,
            stretch=1.0 / speed,
            hot=float(hot.sum() / span),
            overload=float(self._overload / (span * len(self._fleet))),
            stranded=float(((1.0 - taken) * (waiting > 0))[within].sum() / span),
            goodput=float((gpu_seconds * share_done).sum() / (work.span * self._fleet.gpus)),
            energy=self._watt_seconds / 1000.0 / float(gpu_seconds.sum()),
            fairness=float(speed.sum() ** 2 / (len(speed) * (speed**2).sum())),
            timeline=Timeline(*timeline),
        )
