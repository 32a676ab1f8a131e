"""The operator's own decisions in a simulation: its forecast, ledger, families, score and cycle, as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from loadstar.core import demand
from loadstar.core.attribution import Attribution
from loadstar.core.commitments import Commitment
from loadstar.core.durations import Durations
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS, Forecast, Forecaster
from loadstar.core.jobs import Job, Placement, Scheduling
from loadstar.core.ledger import Ledger
from loadstar.core.load import FreshnessPolicy, Sample, Samples, Signal
from loadstar.core.plan import Loads, MetricsHealth, Queues, Turn, plan
from loadstar.core.running import Running
from loadstar.core.score import Weights
from loadstar.core.snapshot import Snapshot
from loadstar.simulator.fleet import Fleet
from loadstar.simulator.policy import Bound, Over, Question, View

DEMAND_SECONDS = 600.0
"""Between two looks at what jobs usually ask for; the operator looks more often, as it has nothing better to do."""

_HEALTHY = MetricsHealth(True, "Available", "every node is scraped")
CPU_ONLY = MappingProxyType({Signal.CPU: 1.0})
"""What jobs on whole GPUs fight for is their node's CPU, and it is all that the other policies look at."""


_WATCHED = (Signal.GPU, Signal.CPU)
"""Signals that are always scraped: when a job's load first shows is told by its GPUs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What of the decision is in use. By default it is the product; to leave something out shows what it is worth."""

    weights: Weights = field(default_factory=lambda: Weights(CPU_ONLY))
    scheduling: Scheduling = field(default_factory=Scheduling)
    commitments: bool = True
    ghosts: bool = True
    families: bool = True
    forecast: bool = True
    """Without it the newest sample stands for the future."""
    band: bool = True


class Predictive:
    """Asks the operator's cycle about the job at hand."""

    def __init__(self, fleet: Fleet, parts: Parts) -> None:
        self._parts = parts
        self._snapshot = Snapshot(fleet.nodes, {})
        self._signals = tuple(each for each in Signal if each in {*_WATCHED, *parts.weights.signals})
        self._ledger = Ledger(Families())
        self._attribution = Attribution(self._ledger)
        self._forecaster = _Partly(parts)
        self._loads = Loads(
            self._forecaster, FreshnessPolicy(), parts.weights, _HEALTHY, self._ledger.families
        )
        self._demand_at = -np.inf
        self._asked: list[Job] = []
        self._durations = Durations()
        self._running: dict[str, tuple[Job, Placement]] = {}
        self._gangs: dict[str, Running] = {}
        self._ended: list[tuple[Job, Placement, float]] = []

    def scraped(self, view: View) -> None:
        """The nodes' newest samples go to the forecaster, and tell what families of jobs use and what else is there."""
        if not view.history.shown:
            return
        self._forecaster.observe(self._samples(view))
        self._follow(view.now)
        newest = np.full((len(self._snapshot.names), len(SIGNALS)), np.nan)
        for signal in self._signals:
            newest[:, SIGNALS.index(signal)] = view.history.last(signal)
        age = np.full(newest.shape, view.now - view.sampled_at)
        if self._parts.families:
            self._attribution.observe(newest, age, self._snapshot, view.now)
        self._loads.background.observe(self._ledger, newest, age, self._snapshot, view.now)

    def _samples(self, view: View) -> Samples:
        def of(signal: Signal) -> dict[str, Sample]:
            values = view.history.last(signal).tolist()
            return {
                name: Sample(value, view.sampled_at)
                for name, value in zip(self._snapshot.names, values, strict=True)
            }

        return {signal: of(signal) for signal in self._signals}

    def choose(self, question: Question) -> Sequence[int] | None:
        """One cycle with one job that waits; what it places it takes from the snapshot."""
        job, now = replace(question.ask.job, scheduling=self._parts.scheduling), question.view.now
        loads, queues = self._usual(job, now), Queues(tuple(self._gangs.values()), durations=self._durations)
        offers = plan([job], self._snapshot, self._commitments(now), loads, Turn(), now, queues)
        outcome = offers[job.uid].outcome
        if not isinstance(outcome, Placement):
            return None
        self._running[job.uid] = job, outcome
        nodes = tuple(rank.node for rank in outcome.ranks)
        self._gangs[job.uid] = Running(job, 1, nodes, placed_at=now, started_at=now)
        return [row for node in nodes if (row := self._snapshot.row(node)) is not None]

    def _usual(self, job: Job, now: float) -> Loads:
        """What is known of load, and of what jobs usually ask for; this one counts, too."""
        if not self._asked or self._asked[-1].uid != job.uid:
            self._asked.append(job)
        if now - self._demand_at >= DEMAND_SECONDS:
            tables = demand.fragmentation(self._asked, self._snapshot.nodes)
            self._demand_at, self._loads = now, replace(self._loads, fragmentation=tables)
        return self._loads

    def _follow(self, now: float) -> None:
        self._ledger.follow(self._running.values(), self._ended, now, started=self._running)
        self._ended.clear()

    def _commitments(self, now: float) -> list[Commitment]:
        self._follow(now)
        return [
            one
            for one in self._ledger.commitments(now)
            if (self._parts.commitments if one.ended_at is None else self._parts.ghosts)
        ]

    def placed(self, bound: Bound) -> None:
        """The cycle has counted it already."""

    def ended(self, over: Over) -> None:
        """What the job had is free."""
        job, placement = self._running.pop(over.bound.ask.job.uid)
        self._durations.learn(job.family, self._gangs.pop(job.uid).ran(over.at))
        self._ended.append((job, placement, over.at))
        for rank in placement.ranks:
            self._snapshot.give(rank.node, job.request)


class _Partly(Forecaster):
    """The forecaster, or what is left of it."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self._parts = parts

    def forecast(self, nodes: Sequence[str], horizon_seconds: float, now: float) -> Forecast:
        whole = super().forecast(nodes, horizon_seconds, now)
        if not self._parts.forecast:
            whole = replace(whole, value=whole.current, mean=whole.current)
        if not self._parts.band:
            whole = replace(whole, band=np.zeros_like(whole.band))
        return whole
