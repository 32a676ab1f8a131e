"""Values of the core with sensible defaults: a test names only what it is about."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from loadstar.core.commitments import Commitment
from loadstar.core.forecast import NORMAL_90, SIGNALS, Forecaster
from loadstar.core.jobs import Job, JobState, Phase, Placement, Policy, RankPlacement, RunPolicy, Scheduling
from loadstar.core.load import STEP_SECONDS, FreshnessPolicy, Sample, Signal
from loadstar.core.placement import Unplaceable
from loadstar.core.plan import Loads, MetricsHealth, Offer
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.resources import Resources
from loadstar.core.score import NodeLoads, Weights
from loadstar.core.snapshot import Node, Snapshot

NOW = 1_700_000_000.0
GIB = 1 << 30
UID = "uid-1"

WEIGHTS = Weights({Signal.GPU: 0.5, Signal.GPU_MEMORY: 0.2, Signal.CPU: 0.2, Signal.MEMORY: 0.1})
GPU_ONLY = Weights({Signal.GPU: 1.0})
"""A node's load is its GPU activity alone, so that expected numbers can be worked out in the head."""
HEALTHY = MetricsHealth(True, "Available", "GPU activity of all GPU nodes is known")
BLIND = MetricsHealth(False, "NotConfigured", "no Prometheus is configured")


def make_node(name: str = "node-a", gpus: int = 8, **changes: Any) -> Node:
    """A ready node of 64 cores, 512 GiB and room for 110 pods."""
    return Node(name, Resources(64_000, 512 * GIB, gpus, 110), **changes)


def make_nodes(count: int, gpus: int = 8) -> list[Node]:
    """node-0, node-1, …, all alike."""
    return [make_node(f"node-{number}", gpus) for number in range(count)]


def make_request(gpus: int = 1, cpu: int = 1_000, memory: int = GIB) -> Resources:
    """What one rank's pod requests."""
    return Resources(cpu, memory, gpus, pods=1)


def make_job(
    name: str = "job",
    *,
    ranks: int = 1,
    gpus: int = 1,
    scheduling: Scheduling | None = None,
    run_policy: RunPolicy | None = None,
    **changes: Any,
) -> Job:
    """A job created at NOW that asks for one rank of one GPU; its uid is `uid-<name>`."""
    values = {
        "uid": f"uid-{name}",
        "namespace": "research",
        "name": name,
        "generation": 1,
        "created_at": NOW,
        "ranks": ranks,
        "request": make_request(gpus),
        "scheduling": scheduling or Scheduling(),
        "run_policy": run_policy or RunPolicy(),
    }
    return Job(**{**values, **changes})


def make_pod(rank: int = 0, attempt: int = 1, phase: PodPhase = PodPhase.RUNNING, **changes: Any) -> Pod:
    """One rank's pod on the node of `make_placement`; its uid tells rank and attempt."""
    values = {"name": f"job-{attempt}-{rank}", "uid": f"pod-{attempt}-{rank}", "node": f"node-{rank}"}
    return Pod(attempt=attempt, rank=rank, phase=phase, **{**values, **changes})


def make_placement(
    ranks: int = 1, *, decided_at: float = NOW, policy: Policy = Policy.PREDICTIVE
) -> Placement:
    """Rank i on node-i, each at load 0.25, forecast 0.5."""
    placed = (
        RankPlacement(rank, f"node-{rank}", 0.25, 0.5, 0.05, -0.125, {"load": -0.1, "fragmentation": -0.025})
        for rank in range(ranks)
    )
    return Placement(policy, decided_at, 300.0, tuple(placed))


def make_state(
    attempt: int = 1, *, ranks: int = 1, phase: Phase = Phase.STARTING, **changes: Any
) -> JobState:
    """The memory of a job inside an attempt."""
    values = {"phase": phase, "attempt": attempt, "placement": make_placement(ranks)}
    return JobState(**{**values, **changes})


def make_offer(outcome: Placement | Unplaceable | None = None, position: int | None = None) -> Offer:
    """What the cycle answers; a placement of one rank by default."""
    return Offer(outcome or make_placement(), HEALTHY, position)


def make_snapshot(nodes: list[Node], requested: Mapping[str, Resources] | None = None) -> Snapshot:
    """The nodes with what is taken on them; nothing by default."""
    return Snapshot(nodes, requested or {})


def make_samples(values: Mapping[str, float], at: float = NOW) -> dict[Signal, dict[str, Sample]]:
    """One round of GPU activity, by node."""
    return {Signal.GPU: {node: Sample(value, at) for node, value in values.items()}}


def make_forecaster(series: Mapping[str, list[float]], last_at: float = NOW) -> Forecaster:
    """A forecaster that saw one GPU sample per step of each node, the last one at `last_at`."""
    forecaster = Forecaster()
    for node, values in series.items():
        for steps_ago, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
            forecaster.observe(make_samples({node: value}, last_at - steps_ago * STEP_SECONDS))
    return forecaster


def make_loads(forecaster: Forecaster | None = None, weights: Weights = GPU_ONLY) -> Loads:
    """What a cycle knows of load; nothing was measured by default."""
    return Loads(forecaster or Forecaster(), FreshnessPolicy(), weights, HEALTHY if forecaster else BLIND)


def make_node_loads(
    forecast: list[float],
    *,
    current: list[float] | None = None,
    plain_feedback: list[float] | None = None,
    band: list[float] | None = None,
) -> NodeLoads:
    """One measured load per node; what is not given is the forecast itself, without a band."""
    return NodeLoads(
        current=np.array(current or forecast),
        plain_feedback=np.array(plain_feedback or current or forecast),
        forecast=np.array(forecast),
        band=np.array(band or [0.0] * len(forecast)),
        measured=np.ones(len(forecast), dtype=np.bool_),
        expected=np.tile(np.array([forecast]).T, len(SIGNALS)),
        sigma=np.tile(np.array([band or [0.0] * len(forecast)]).T / NORMAL_90, len(SIGNALS)),
    )


def make_commitment(node: str = "node-a", gpus: int = 1, age: float = 0.0) -> Commitment:
    """One rank decided `age` seconds before NOW."""
    return Commitment(node, make_request(gpus), NOW - age)


GPU = SIGNALS.index(Signal.GPU)
"""The column of GPU activity in a forecast's arrays."""
