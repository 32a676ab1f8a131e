"""Track B: recorded jobs replayed in time on a cluster, one policy at a time, with the same truth for each.

A run is a pure function of (scenario, policy, seed): jobs, background and all that is drawn depend on the seed alone,
so that policies can be compared pair by pair.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from loadstar.core.load import STEP_SECONDS
from loadstar.simulator import baselines, loadaware
from loadstar.simulator.background import Series, background
from loadstar.simulator.engine import Engine, Queueing
from loadstar.simulator.fleet import CPU, GPUS, MEMORY, Array, Fleet
from loadstar.simulator.oracle import Oracle
from loadstar.simulator.outcome import Outcome
from loadstar.simulator.policy import Policy
from loadstar.simulator.predictive import Parts, Predictive
from loadstar.simulator.workload import Trace, Workload, as_recorded, sample

BACKGROUND_HOURS = 24
"""Length of a node's background; it repeats after that."""
ALPHA = 0.5
"""α of the plain feedback rule among the baselines."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is replayed. `occupancy` is the share of all GPU-time that the jobs ask for, see workload.sample; None
    takes all of the trace's jobs at their recorded times. Without `sources` the background is made up.
    """

    fleet: Fleet
    trace: Trace
    sources: tuple[Series, ...] = ()
    occupancy: float | None = 0.85
    jobs: int = 1200
    queueing: Queueing = Queueing.FIRST


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario with everything drawn; `rng` is for policies that draw lots."""

    fleet: Fleet
    workload: Workload
    background: Array
    rng: np.random.Generator


Make = Callable[[Case], Policy]


def _predictive(parts: Parts) -> Make:
    return lambda case: Predictive(case.fleet, parts)


OURS = "loadstar"
ORACLE = "oracle"

BASELINES: Mapping[str, Make] = MappingProxyType(
    {
        "random": lambda case: baselines.Random(case.rng),
        "first-fit": lambda _: baselines.FirstFit(),
        "most-allocated": lambda case: baselines.Allocated(case.rng, most=True, columns=(GPUS,)),
        "least-allocated": lambda case: baselines.Allocated(case.rng, most=False, columns=(CPU, MEMORY)),
        "least-loaded": lambda _: baselines.LeastLoaded(),
        "round-robin": lambda _: baselines.RoundRobin(),
        "feedback": lambda _: baselines.Feedback(ALPHA),
        "trimaran-tlp": lambda case: loadaware.Tlp(case.rng),
        "trimaran-lvrb": lambda case: loadaware.Lvrb(case.rng),
        "crane": lambda case: loadaware.Crane(case.rng),
        "koordinator": lambda case: loadaware.Koordinator(case.rng),
        "volcano-usage": lambda case: loadaware.VolcanoUsage(case.rng),
        "kai-pack": lambda _: baselines.KaiPack(),
        "fgd": lambda case: baselines.Fgd(case.fleet, case.workload),
    }
)
"""What people use today."""

_PRODUCT = Parts()

ABLATIONS: Mapping[str, Make] = MappingProxyType(
    {
        f"{OURS} without {part}": _predictive(parts)
        for part, parts in {
            "commitments": replace(_PRODUCT, commitments=False),
            "ghosts": replace(_PRODUCT, ghosts=False),
            "learned families": replace(_PRODUCT, families=False),
            "overload": replace(_PRODUCT, weights=replace(_PRODUCT.weights, overload=0.0)),
            "headroom": replace(_PRODUCT, weights=replace(_PRODUCT.weights, headroom=0.0)),
            "fragmentation": replace(_PRODUCT, weights=replace(_PRODUCT.weights, fragmentation=0.0)),
            "drain": replace(_PRODUCT, weights=replace(_PRODUCT.weights, drain=0.0)),
            "forecast": replace(_PRODUCT, forecast=False),
            "band": replace(_PRODUCT, band=False),
        }.items()
    }
)
"""The product with one part left out: what that part is worth."""

POLICIES: Mapping[str, Make] = MappingProxyType(
    {
        OURS: _predictive(_PRODUCT),
        **BASELINES,
        ORACLE: lambda case: Oracle(case.fleet, case.workload, case.background),
        **ABLATIONS,
    }
)


def run(scenario: Scenario, policy: str, seed: int) -> Outcome:
    """One policy on one seed's jobs. Raises ValueError for a policy that there is not."""
    if policy not in POLICIES:
        raise ValueError(f"there is no policy {policy!r}: choose among {', '.join(POLICIES)}")
    case = draw(scenario, seed)
    made = POLICIES[policy](case)
    return Engine(case.fleet, case.workload, case.background, made, scenario.queueing).run()


def draw(scenario: Scenario, seed: int) -> Case:
    """Everything random of a seed."""
    jobs, others, lots = (np.random.default_rng([seed, stream]) for stream in range(3))
    fleet, trace = scenario.fleet, scenario.trace
    if scenario.occupancy is None:
        workload = as_recorded(trace, fleet, jobs)
    else:
        workload = sample(trace, fleet, scenario.occupancy, scenario.jobs, jobs)
    steps = int(BACKGROUND_HOURS * 3600 / STEP_SECONDS)
    return Case(fleet, workload, background(scenario.sources, len(fleet), steps, others), lots)
