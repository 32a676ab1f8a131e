"""What the operator knows of load: Prometheus asked in its own rhythm, never in the way of a launch."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadstar.clients.prometheus import Prometheus
from loadstar.clients.series import NodeNames
from loadstar.controller.caches import Caches
from loadstar.controller.vitals import VitalSigns
from loadstar.core import demand
from loadstar.core.background import Background
from loadstar.core.families import Families
from loadstar.core.forecast import Forecaster
from loadstar.core.fragmentation import Fragmentation
from loadstar.core.health import Health
from loadstar.core.load import FreshnessPolicy, Sample, Samples, Signal
from loadstar.core.plan import Loads, MetricsHealth
from loadstar.core.score import Weights

log = logging.getLogger(__name__)

DEMAND_SECONDS = 60.0
"""Between two looks at what jobs usually ask for."""
NOT_CONFIGURED = MetricsHealth(
    False,
    "NotConfigured",
    "no Prometheus is configured: nodes are ranked by what is allocated on them; set prometheus.url in the chart "
    "(LOADSTAR_PROMETHEUS_URL) to rank them by load",
)


@dataclass(slots=True)
class LoadWatch:
    """Keeps the forecaster fed. `prometheus` is None where none is configured."""

    prometheus: Prometheus | None
    caches: Caches
    freshness: FreshnessPolicy
    weights: Weights
    clock: Callable[[], float]
    observe: Callable[[Samples, float], None]
    """(newest samples, now), told after each round."""
    forecaster: Forecaster = field(default_factory=Forecaster)
    families: Families = field(default_factory=Families)
    """What is learned of families of jobs, by whoever learns it."""
    background: Background = field(default_factory=Background)
    """What nodes are loaded by besides jobs, learned by the same."""
    levels: tuple[str, ...] = ()
    """Node labels of the topology, nearest first."""
    health: MetricsHealth = NOT_CONFIGURED
    signs: VitalSigns = field(init=False)
    _demand: tuple[float, Fragmentation] | None = None

    def __post_init__(self) -> None:
        self.signs = VitalSigns(self.freshness.missing_seconds)

    def loads(self) -> Loads:
        """What a cycle may use now."""
        return Loads(
            self.forecaster,
            self.freshness,
            self.weights,
            self.health,
            self.families,
            self.background,
            self._usual(),
            self.levels,
        )

    def vitals(self) -> Mapping[str, Health]:
        """How the nodes' GPUs are, as far as that is known now."""
        return self.signs.now(self.clock())

    def _usual(self) -> Fragmentation:
        """The usual requests, worked out anew now and then."""
        now = self.clock()
        if self._demand is None or now - self._demand[0] >= DEMAND_SECONDS:
            jobs = (tracked.job for tracked in self.caches.jobs.values())
            nodes = (seen.node for seen in self.caches.nodes.values())
            self._demand = now, demand.fragmentation((job for job in jobs if job is not None), nodes)
        return self._demand[1]

    async def warm_up(self, seconds: float, step: float) -> None:
        """Feed the forecaster with history, so that the first placements see trends already."""
        if self.prometheus is None or seconds <= 0:
            return
        now = self.clock()
        history = await self.prometheus.history(self._names(), now - seconds, now, step)
        for signal, problem in history.problems.items():
            log.warning("no history of %s: %s", signal, problem)
        for samples in _in_time(history.samples):
            self.forecaster.observe(samples)

    async def run(self, interval: float, changed: Callable[[], None]) -> None:
        """Ask every `interval` seconds until cancelled; `changed` is called after each round."""
        while True:
            await self.refresh()
            changed()
            await asyncio.sleep(interval)

    async def refresh(self) -> None:
        """One round of queries. What fails is said in `health`; the last good samples age by their own time."""
        if self.prometheus is None:
            return
        now = self.clock()
        readings, vitals = await asyncio.gather(
            self.prometheus.latest(self._names(), now), self.prometheus.vitals(self._names())
        )
        self.signs.take(vitals, now, self.caches.nodes)
        self.forecaster.observe(readings.samples)
        self.forecaster.keep(self.caches.nodes)
        health = self._judge(readings.samples, readings.problems)
        if health != self.health:
            log.info("metrics: %s: %s", health.reason, health.message)
        self.health = health
        self.observe(readings.samples, now)

    def _judge(self, samples: Samples, problems: dict[Signal, str]) -> MetricsHealth:
        gpu_nodes = {name for name, seen in self.caches.nodes.items() if seen.node.allocatable.gpu_counts}
        problem = problems.get(Signal.GPU)
        if problem is not None:
            message = (
                f"{problem}; nodes are ranked by their last samples while those are fresh, then by allocation"
            )
            return MetricsHealth(False, "PrometheusUnavailable", message)
        measured = gpu_nodes & samples.get(Signal.GPU, {}).keys()
        if gpu_nodes and not measured:
            message = (
                "Prometheus answers, but has no GPU activity of any GPU node: check that it scrapes dcgm-exporter; "
                "nodes are ranked by allocation"
            )
            return MetricsHealth(False, "NoSamples", message)
        message = f"GPU activity of {len(measured)} of {len(gpu_nodes)} GPU nodes is known"
        return MetricsHealth(True, "Available", message)

    def _names(self) -> NodeNames:
        nodes = self.caches.nodes
        addresses = {address: name for name, seen in nodes.items() for address in seen.addresses}
        return NodeNames(frozenset(nodes), addresses)


def _in_time(history: dict[Signal, dict[str, list[Sample]]]) -> list[dict[Signal, dict[str, Sample]]]:
    """History as rounds: all nodes' samples of one signal at one moment, oldest first."""
    rounds: dict[tuple[float, Signal], dict[str, Sample]] = {}
    for signal, by_node in history.items():
        for node, samples in by_node.items():
            for sample in samples:
                rounds.setdefault((sample.at, signal), {})[node] = sample
    return [{signal: rounds[at, signal]} for at, signal in sorted(rounds)]
