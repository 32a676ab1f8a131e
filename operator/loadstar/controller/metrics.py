"""The operator's own metrics, on a registry of their own. Every label's values are bounded, by nodes at the most."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import loadstar
from loadstar.core.decisions import Event
from loadstar.core.hindsight import Figures
from loadstar.core.jobs import Phase, Placement
from loadstar.core.load import Samples, Signal
from loadstar.core.plan import Offer

_PASS_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_CYCLE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_CALL_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read at the moment of a scrape, so that nothing gone (a node, a phase) lingers in a gauge."""

    phases: Callable[[], Iterable[Phase]]
    """The phase of every known job."""
    queue_depth: Callable[[], int]
    """Jobs that wait to be looked at."""
    waiting: Callable[[], int]
    """Jobs that wait for nodes."""
    forecasts: Callable[[], Mapping[str, float]]
    """Per node, the load expected at the default horizon, 0..1."""
    accuracy: Callable[[], Figures]
    """How right the forecasts of the last day's placements were."""


class Metrics:
    """One method for each thing that happens; the controller's parts get these as their observers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self.registry = CollectorRegistry()
        own = self.registry
        Info("loadstar_build", "Version of the operator.", registry=own).info(
            {"version": loadstar.__version__}
        )
        self._leading = Gauge("loadstar_leading", "1 while this replica holds the Lease.", registry=own)
        self._passes = Histogram(
            "loadstar_reconcile_seconds",
            "Duration of a pass over one job.",
            ["result"],
            buckets=_PASS_BUCKETS,
            registry=own,
        )
        self._cycles = Histogram(
            "loadstar_cycle_seconds",
            "Duration of a scheduling cycle over all jobs that wait.",
            buckets=_CYCLE_BUCKETS,
            registry=own,
        )
        self._placements = Counter("loadstar_placements_total", "Gangs placed.", ["policy"], registry=own)
        self._unplaceable = Counter(
            "loadstar_unplaceable_total", "Times a cycle found no place for a gang.", ["reason"], registry=own
        )
        self._actions = Counter(
            "loadstar_actions_total",
            "Actions carried out: pods created and deleted.",
            ["action"],
            registry=own,
        )
        self._events = Counter(
            "loadstar_job_events_total",
            "What happened to jobs (Placed, Restarting, Succeeded, Failed …), by the reason of the Event told.",
            ["reason"],
            registry=own,
        )
        self._events_lost = Counter(
            "loadstar_events_lost_total", "Events that could not be written to the API server.", registry=own
        )
        self._calls = Histogram(
            "loadstar_api_call_seconds",
            "Duration of one request to the API server; code 0 is no answer.",
            ["verb", "resource", "code"],
            buckets=_CALL_BUCKETS,
            registry=own,
        )
        self._sampled_at: dict[Signal, float] = {}
        age = Gauge(
            "loadstar_metrics_age_seconds",
            "Age of the newest sample of any node; NaN before the first.",
            ["signal"],
            registry=own,
        )
        for signal in Signal:
            age.labels(signal).set_function(partial(self._age, signal, clock))
        self._sampled_nodes = Gauge(
            "loadstar_metrics_nodes", "Nodes with a sample in the last round.", ["signal"], registry=own
        )

    def _age(self, signal: Signal, clock: Callable[[], float]) -> float:
        return clock() - self._sampled_at.get(signal, float("nan"))

    def watch(self, sources: Sources) -> None:
        """Serve what `sources` says, from now on. To be called once."""
        self.registry.register(_State(sources))

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)

    def leading(self, leads: bool) -> None:
        """The Lease was won or lost."""
        self._leading.set(leads)

    def passed(self, seconds: float, succeeded: bool) -> None:
        """One pass over one job ended."""
        self._passes.labels("success" if succeeded else "failure").observe(seconds)

    def cycled(self, seconds: float, offers: Mapping[str, Offer]) -> None:
        """One scheduling cycle ended with these offers, by job uid."""
        self._cycles.observe(seconds)
        for offer in offers.values():
            if isinstance(offer.outcome, Placement):
                self._placements.labels(offer.outcome.policy).inc()
            else:
                self._unplaceable.labels(offer.outcome.reason).inc()

    def acted(self, action: str) -> None:
        """One action was carried out; `action` is the name of its class."""
        self._actions.labels(action).inc()

    def told(self, event: Event) -> None:
        """An Event was told on a job."""
        self._events.labels(event.reason).inc()

    def lost_event(self) -> None:
        """An Event could not be written."""
        self._events_lost.inc()

    def called(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """One request to the API server ended; `code` 0 means without an answer."""
        self._calls.labels(verb, resource, str(code)).observe(seconds)

    def sampled(self, samples: Samples, now: float) -> None:  # noqa: ARG002 - an observer's signature
        """One round of queries to Prometheus ended with these samples."""
        for signal in Signal:
            seen = samples.get(signal, {})
            self._sampled_nodes.labels(signal).set(len(seen))
            if seen:
                newest = max(sample.at for sample in seen.values())
                self._sampled_at[signal] = max(newest, self._sampled_at.get(signal, newest))


class _State(Collector):
    """Gauges that are read when scraped."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not read the sources before they are filled."""
        return ()

    def collect(self) -> Iterable[Metric]:
        phases = GaugeMetricFamily("loadstar_jobs", "TrainingJobs by phase.", labels=["phase"])
        counts = dict.fromkeys(Phase, 0)
        for phase in self._sources.phases():
            counts[phase] += 1
        for phase, count in counts.items():
            phases.add_metric([phase], count)
        yield phases
        depth = "Jobs that wait to be looked at."
        yield GaugeMetricFamily("loadstar_queue_depth", depth, self._sources.queue_depth())
        yield GaugeMetricFamily("loadstar_waiting_jobs", "Jobs that wait for nodes.", self._sources.waiting())
        forecast = GaugeMetricFamily(
            "loadstar_node_forecast", "Load expected at the default horizon, 0..1.", labels=["node"]
        )
        for node, load in self._sources.forecasts().items():
            forecast.add_metric([node], load)
        yield forecast
        yield from _accuracy(self._sources.accuracy())


def _accuracy(figures: Figures) -> Iterable[Metric]:
    for name, meaning, value in (
        ("placements", "Placements of the last day whose horizon has passed", figures.placements),
        ("mae", "Mean absolute error of the load forecast of a placement's nodes", figures.mae),
        ("persistence_mae", "The same of a forecast that nothing changes", figures.persistence_mae),
        ("skill", "1 - error / error of a forecast that nothing changes; below 0 it is worse", figures.skill),
        ("coverage", "Share of nodes whose load came within the 90 % band", figures.coverage),
        ("regret", "How much less loaded the best alternative would have been on average", figures.regret),
    ):
        end = "" if name == "placements" else " over the last day's placements; NaN before the first"
        yield GaugeMetricFamily(f"loadstar_forecast_{name}", f"{meaning}{end}.", value)
