"""Track B: openb jobs replayed in time, with the true load that nobody sees at once"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from loadstar.simulator import replay
from loadstar.simulator.background import recorded
from loadstar.simulator.comparison import Estimate
from loadstar.simulator.fleet import Fleet
from loadstar.simulator.replay import ABLATIONS, BASELINES, ORACLE, OURS, Scenario
from loadstar.simulator.traces import read_jobs, trace_file
from loadstar.simulator.workload import Trace
from tests.bench.placement.figure import Figure, Section, at_most, seen

OCCUPANCIES = (0.6, 0.85)
SEEDS = range(10, 30)
"""Constants were chosen on seeds 0–9 only."""
PART_SEEDS = range(10, 20)
"""What a part is worth is a difference seed by seed, and half as many seeds tell it."""
TLP = "trimaran-tlp"
_SHOWN = (
    "hot",
    "overload",
    "wait",
    "jct",
    "jct p95",
    "jct p99",
    "stretch",
    "stranded",
    "goodput",
    "kWh/GPUh",
    "fairness",
)
_UNITS = {"hot": "%", "wait": "s", "jct": "s"}

Figures = Mapping[str, float]
Runs = dict[str, list[Figures]]
"""Of each policy what every seed came to, in the order of the seeds."""


def measure() -> Section:
    """Every policy on every seed at both occupancies, the product without its parts on half of them."""
    base = scenario()
    by_occupancy = {share: all_runs(replace(base, occupancy=share)) for share in OCCUPANCIES}
    return section(by_occupancy)


def section(by_occupancy: Mapping[float, Runs]) -> Section:
    """What these runs tell."""
    figures = [one for share, found in by_occupancy.items() for one in _figures(share, found)]
    return Section(
        figures, "\n".join(line for share, found in by_occupancy.items() for line in _text(share, found))
    )


def scenario() -> Scenario:
    """24 nodes of 8 GPUs and 96 cores, 1200 of openb's jobs, first come, first served."""
    trace = Trace.of(read_jobs(trace_file("openb", "openb_pod_list_default.csv")))
    fleet = Fleet.alike(24, gpus=8, cores=96, memory_gib=768)
    return Scenario(fleet, trace, recorded())


def all_runs(base: Scenario) -> Runs:
    """What is measured at one occupancy."""
    return runs(base, SEEDS, (OURS, *BASELINES, ORACLE)) | runs(base, PART_SEEDS, ABLATIONS)


def runs(base: Scenario, seeds: Sequence[int], policies: Iterable[str]) -> Runs:
    """All runs, as many at a time as there are CPUs to run on."""
    names = list(policies)
    tasks = [(policy, seed) for seed in seeds for policy in names]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn"), _begin, (base,)) as pool:
        found = list(pool.map(_run, tasks, chunksize=4))
    return {
        name: [it for (policy, _), it in zip(tasks, found, strict=True) if policy == name] for name in names
    }


_scenario: Scenario
"""What this process replays; set once when it begins, as it is large."""


def _begin(given: Scenario) -> None:
    global _scenario  # noqa: PLW0603
    _scenario = given


def _run(task: tuple[str, int]) -> Figures:
    return replay.run(_scenario, *task).figures()


def _figures(share: float, found: Runs) -> Iterator[Figure]:
    ours, at = {key: _mean(found[OURS], key) for key in _SHOWN}, f"at {share:g}"
    better = [
        name
        for name in BASELINES
        if _mean(found[name], "hot") < ours["hot"] and _mean(found[name], "wait") < ours["wait"]
    ]
    best = min(BASELINES, key=lambda name: _mean(found[name], "jct"))
    yield at_most(f"baselines that are better on hot nodes and on waits, {at}", len(better), 0, "policies")
    yield at_most(
        f"mean JCT over the best baseline's, {at} ({best})",
        ours["jct"] / _mean(found[best], "jct"),
        1.01,
        "ratio",
    )
    yield at_most(
        f"hot-node time over Trimaran TLP's, {at}", ours["hot"] / _mean(found[TLP], "hot"), 1.0, "ratio"
    )
    for key, unit in _UNITS.items():
        yield seen(f"{key}, {at}", ours[key], unit)
    for name in ABLATIONS:
        worth = _difference(found[name], found[OURS], "hot"), _difference(found[name], found[OURS], "wait")
        yield seen(f"{name.removeprefix(OURS + ' ')}, {at}: hot-node time", worth[0].mean, "points")
        yield seen(f"{name.removeprefix(OURS + ' ')}, {at}: wait", worth[1].mean, "s")


def _text(share: float, found: Runs) -> Iterator[str]:
    yield f"**{share:g} of all GPU-time asked for**, {len(found[OURS])} seeds, means ± 95 %:"
    yield ""
    yield f"| policy | {' | '.join(_SHOWN)} |"
    yield f"|---|{'---:|' * len(_SHOWN)}"
    for name in (OURS, *BASELINES, ORACLE):
        means = [Estimate.of([run[key] for run in found[name]]) for key in _SHOWN]
        yield f"| {name} | {' | '.join(f'{_written(it.mean)} ± {_written(it.band)}' for it in means)} |"
    yield ""
    count = len(next(iter(found[name] for name in ABLATIONS)))
    yield f"What a part is worth: left out, the difference to the whole, seed by seed ({count} of them), ± 95 %:"
    yield ""
    yield "| left out | hot (points) | wait (s) | jct (s) |"
    yield "|---|---:|---:|---:|"
    for name in ABLATIONS:
        parts = [_difference(found[name], found[OURS], key) for key in ("hot", "wait", "jct")]
        cells = " | ".join(f"{_written(it.mean, '+')} ± {_written(it.band)}" for it in parts)
        yield f"| {name.removeprefix(OURS + ' without ')} | {cells} |"
    yield ""


def _mean(found: list[Figures], key: str) -> float:
    return sum(run[key] for run in found) / len(found)


def _difference(found: list[Figures], to: list[Figures], key: str) -> Estimate:
    """Seed by seed, of those seeds that both have: the first ones."""
    return Estimate.of([one[key] - other[key] for one, other in zip(found, to, strict=False)])


def _written(value: float, sign: str = "") -> str:
    return f"{value:{sign}.0f}" if abs(value) >= 100 else f"{value:{sign}.3g}"
