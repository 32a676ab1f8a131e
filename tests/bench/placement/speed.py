"""Speed: how long a placement and a cycle take.

Times are CPU seconds of the one thread that decides, so that other work on the machine changes them little. The
cluster has nodes of 8 GPUs, of which a random half is taken, and a forecast of four signals for each.
On every node that is not empty a gang runs.
"""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from loadstar.core import demand
from loadstar.core.draining import whole_in
from loadstar.core.durations import Durations
from loadstar.core.fleet import Fleet, Node
from loadstar.core.forecast import Forecaster
from loadstar.core.jobs import Job, Placement
from loadstar.core.load import STEP_SECONDS, FreshnessPolicy, Sample, Signal
from loadstar.core.newcomers import newcomers
from loadstar.core.placement import Placer
from loadstar.core.plan import Loads, MetricsHealth, Queues, Turn, plan
from loadstar.core.resources import Resources
from loadstar.core.running import Running
from loadstar.core.score import Weights
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Snapshot
from loadstar.core.view import LoadView
from tests.bench.placement.figure import Section, at_most, seen
from tests.bench.placement.growth_plot import Growth, drawn

NOW = 1_700_000_000.0
GIB = 1 << 30
ZONE = "topology.kubernetes.io/zone"
NODES = (500, 1000, 2000, 5000, 10_000, 20_000)
JOBS = (125, 250, 500, 1000, 2000)
TARGET_NODES, TARGET_JOBS = 5000, 1000
WEIGHTS = Weights({Signal.GPU: 0.5, Signal.GPU_MEMORY: 0.2, Signal.CPU: 0.2, Signal.MEMORY: 0.1})
NEAR_LINEAR = 1.2
"""The exponent of growth up to which it is called near linear."""
SIZES = (1, 2, 4, 8)
PLOT = Path(__file__).parents[3] / "docs" / "benchmarks" / "placement-speed.svg"


class Cluster:
    """So many nodes, all that is known of them, and what is taken."""

    def __init__(self, nodes: int) -> None:
        random = np.random.default_rng(nodes)
        names = [f"node-{number:05}" for number in range(nodes)]
        self.fleet = Fleet(
            Node(
                name,
                Resources(96_000, 1024 * GIB, 8, 110),
                gpu_product="A100",
                labels={ZONE: f"zone-{number % 4}"},
            )
            for number, name in enumerate(names)
        )
        taken = random.integers(0, 9, nodes).tolist()
        self.taken = dict(zip(names, taken, strict=True))
        self.requested = {name: asked(gpus) for name, gpus in zip(names, taken, strict=True)}
        forecaster = Forecaster()
        load = random.random((len(Signal), nodes))
        for step in range(10):
            noisy = np.clip(load + random.normal(0.0, 0.05, load.shape), 0.0, 1.0)
            at = NOW - (9 - step) * STEP_SECONDS
            for signal, values in zip(Signal, noisy.tolist(), strict=True):
                rounds = {name: Sample(value, at) for name, value in zip(names, values, strict=True)}
                forecaster.observe({signal: rounds})
        health = MetricsHealth(True, "Available", "all nodes are measured")
        usual = demand.fragmentation((gang(size, size) for size in SIZES), self.fleet.nodes)
        self.loads = Loads(
            forecaster, FreshnessPolicy(), WEIGHTS, health, fragmentation=usual, levels=(ZONE,)
        )

    def snapshot(self) -> Snapshot:
        """What is free, from the nodes that are known and the requests that are added up."""
        return Snapshot(self.fleet, self.requested)

    def criteria(self, *levels: str) -> Criteria:
        """What a placement is judged by."""
        snapshot, running = self.snapshot(), self.queues().running
        whole = whole_in(snapshot, running, Durations(), NOW)
        background = self.loads.background.of(snapshot.names)
        coming = newcomers(running, snapshot, self.loads.families, background)
        return Criteria(WEIGHTS, self.loads.fragmentation, levels, whole, coming)

    def queues(self) -> Queues:
        """A gang on every node that has GPUs taken."""
        gangs = (
            Running(gang(number, gpus, 1), 1, (name,), NOW - 3600.0, NOW - 3600.0)
            for number, (name, gpus) in enumerate(self.taken.items())
            if gpus
        )
        return Queues(tuple(gangs))


def asked(gpus: int) -> Resources:
    """A twelfth of a node's host for each GPU."""
    return Resources(8_000 * gpus, 64 * GIB * gpus, gpus, 1)


def gang(number: int, gpus: int, ranks: int = 4) -> Job:
    """A gang that came as the `number`-th."""
    return Job(f"uid-{number}", "bench", f"job-{number}", 1, NOW + number, ranks, asked(gpus))


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def first_of_their_kind(cluster: Cluster, times: int, levels: tuple[str, ...] = ()) -> list[float]:
    """Seconds per gang whose kind no gang of the cycle had before: every node is filtered and scored for it."""
    snapshot = cluster.snapshot()
    view = LoadView.begin(snapshot, cluster.loads, [], NOW)
    view.loads(gang(0, 1).scheduling)
    criteria = cluster.criteria(*levels)

    def decide(number: int) -> None:
        placer = Placer(snapshot, view, criteria, NOW)
        outcome = placer.place(gang(number, SIZES[number % len(SIZES)]))
        assert isinstance(outcome, Placement)

    decide(0)
    return [timed(lambda number=number: decide(number)) for number in range(times)]  # type: ignore[misc]


def next_of_their_kind(cluster: Cluster, times: int) -> list[float]:
    """Seconds per gang, decided and counted, where others that ask alike came before it in the cycle."""
    snapshot = cluster.snapshot()
    placer = Placer(snapshot, LoadView.begin(snapshot, cluster.loads, [], NOW), cluster.criteria(), NOW)

    def decide(number: int) -> None:
        job = gang(number, SIZES[number % len(SIZES)])
        outcome = placer.place(job)
        if isinstance(outcome, Placement):
            placer.assume(job, outcome)

    for number in range(len(SIZES)):
        decide(number)
    return [timed(lambda number=number: decide(number)) for number in range(times)]  # type: ignore[misc]


def cycle(cluster: Cluster, jobs: int, kinds: int = 8) -> float:
    """Seconds of a cycle over so many gangs of 1 to 8 ranks, from what is requested to every job's offer."""
    random = np.random.default_rng(jobs)
    sizes, ranks = random.choice(SIZES, jobs).tolist(), random.integers(1, kinds + 1, jobs).tolist()
    waiting = [gang(number, gpus, of) for number, (gpus, of) in enumerate(zip(sizes, ranks, strict=True))]
    queues = cluster.queues()
    gc.collect()
    return timed(lambda: plan(waiting, cluster.snapshot(), [], cluster.loads, Turn(), NOW, queues))


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """The power of its size with which a time grows: the slope of a line through their logarithms."""
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


def measure() -> Section:
    """All figures of this part; writes the plot."""
    cluster = Cluster(TARGET_NODES)
    first = np.array(first_of_their_kind(cluster, 300)) * 1e3
    after = np.array(next_of_their_kind(cluster, 300)) * 1e3
    zoned = np.array(first_of_their_kind(cluster, 100, (ZONE,))) * 1e3
    whole = min(cycle(cluster, TARGET_JOBS) for _ in range(3))
    by_jobs = [min(cycle(cluster, jobs) for _ in range(2)) for jobs in JOBS]
    by_nodes = [float(np.median(first_of_their_kind(Cluster(nodes), 40))) for nodes in NODES]
    large, many = exponent(NODES[2:], by_nodes[2:]), exponent(JOBS, by_jobs)
    of = f"{TARGET_NODES:,} nodes × 8 GPUs"
    nodes_panel = Growth("One gang", "nodes", "ms", NODES, [seconds * 1e3 for seconds in by_nodes])
    jobs_panel = Growth(f"A cycle on {TARGET_NODES:,} nodes", "waiting gangs", "s", JOBS, by_jobs)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(drawn([nodes_panel, jobs_panel]))
    figures = [
        at_most(f"a gang of 4 ranks on {of}, median", float(np.median(first)), 2.0, "ms"),
        at_most(f"a gang of 4 ranks on {of}, p99", float(np.quantile(first, 0.99)), 10.0, "ms"),
        seen("the next gang of a kind, median", float(np.median(after)), "ms"),
        seen("a gang kept together in one of 4 zones, median", float(np.median(zoned)), "ms"),
        at_most(f"a cycle with {TARGET_JOBS:,} gangs on {TARGET_NODES:,} nodes", whole, 1.0, "s"),
        at_most("growth with nodes, exponent (2,000 to 20,000)", large, NEAR_LINEAR),
        at_most("growth of a cycle with jobs, exponent (125 to 2,000)", many, NEAR_LINEAR),
    ]
    return Section(figures, _text(by_nodes, by_jobs))


def _text(by_nodes: list[float], by_jobs: list[float]) -> str:
    lines = [
        "CPU time of the one thread that decides. A gang is decided from loads that are known: filters, all terms of",
        "the score, choice, alternatives and the reasons of all refusals. A cycle begins with what is requested and",
        "ends with every job's offer, forecasts included.",
        "",
        "| nodes | one gang, ms |   | jobs on 5,000 nodes | cycle, s |",
        "|---:|---:|---|---:|---:|",
    ]
    for place in range(max(len(NODES), len(JOBS))):
        left = f"| {NODES[place]:,} | {by_nodes[place] * 1e3:.2f} |" if place < len(NODES) else "| | |"
        right = f" | {JOBS[place]:,} | {by_jobs[place]:.3f} |" if place < len(JOBS) else " | | |"
        lines.append(left + right)
    return "\n".join([*lines, "", "![Growth with nodes and with jobs](placement-speed.svg)"])
