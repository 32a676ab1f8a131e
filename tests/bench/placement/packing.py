"""Track A: packing of arrivals, against FGD's published results

The openb trace's 1213 nodes with 6212 GPUs; each job list in ten random orders (seeds 42-51, as in FGD's experiments;
constants were chosen on seeds 0-9), inflated to 130 % of the GPUs. Figures are percent of the GPUs that are not
allocated when as many were asked for as there are, the mean over seeds.
"""

import csv
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

from loadstar.core.mix import MILLI
from loadstar.simulator.packing import pack, policies
from loadstar.simulator.traces import (
    TraceJob,
    TraceNode,
    in_whole_gpus,
    inflated,
    read_jobs,
    read_nodes,
    trace_file,
)
from tests.bench.placement.figure import Section, at_most, seen

SEEDS = range(42, 52)
LISTS = ("default", "cpu250", "gpushare60", "gpuspec20", "multigpu30")
INFLATION = 1.3
OURS = ("Loadstar", "Loadstar, random ties")
_PUBLISHED = {"random": "01-Random", "DotProd": "02-DotProd", "GpuClustering": "03-GpuClustering"} | {
    "GpuPacking": "04-GpuPacking",
    "BestFit": "05-BestFit",
    "FGD": "06-FGD",
}
_MOST_UNALLOCATED, _MARGIN, _MOST_SECONDS = 4.8, 0.2, 3.0

Case = tuple[str, str, bool]
"""A job list, a policy, and whether GPUs are given out whole only."""


def measure() -> Section:
    """All policies on the default list, ours on the others, and the default list in whole GPUs."""
    names = tuple(policies(_nodes(), (), 0))
    cases: list[Case] = [("default", name, whole) for whole in (False, True) for name in names]
    cases += [(jobs, name, False) for jobs in LISTS[1:] for name in ("FGD", *OURS)]
    seconds = statistics.median(_seconds(seed) for seed in SEEDS[:3])
    results = unallocated(cases, SEEDS)
    means = {case: statistics.mean(values) for case, values in results.items()}
    figures = [
        at_most(f"default, {name}", means["default", name, False], _MOST_UNALLOCATED, "% of GPUs")
        for name in OURS
    ]
    for jobs in LISTS[1:]:
        most = published(jobs, "FGD") + _MARGIN
        figures += [at_most(f"{jobs}, {name}", means[jobs, name, False], most, "% of GPUs") for name in OURS]
    rivals = [means["default", name, True] for name in names if name not in OURS]
    figures += [
        at_most(f"default in whole GPUs, {name}", means["default", name, True], min(rivals), "% of GPUs")
        for name in OURS
    ]
    figures.append(at_most("one run, 8152 pods inflated to 130 %", seconds, _MOST_SECONDS, "s of one core"))
    figures += [
        seen(f"default, {name}", means["default", name, False], "% of GPUs")
        for name in names
        if name not in OURS
    ]
    return Section(figures, _table(results, names))


def unallocated(cases: Sequence[Case], seeds: Sequence[int]) -> dict[Case, list[float]]:
    """Percent of GPUs not allocated at 100 % arrived, by case, one value for each seed."""
    runs = [(case, seed) for case in cases for seed in seeds]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        values = list(pool.map(_run, runs, chunksize=len(seeds)))
    return {
        case: values[number * len(seeds) : (number + 1) * len(seeds)] for number, case in enumerate(cases)
    }


def published(jobs: str, policy: str) -> float:
    """FGD's published percentage for a job list, the mean of its seeds."""
    with trace_file("fgd_expected", "analysis_allo_discrete.csv").open(encoding="utf-8") as file:
        rows = [
            float(row["100"])
            for row in csv.DictReader(file)
            if (row["workload"], row["sc_policy"]) == (f"openb_pod_list_{jobs}", _PUBLISHED[policy])
        ]
    return 100 - statistics.mean(rows)


@lru_cache
def _nodes() -> tuple[TraceNode, ...]:
    return read_nodes(trace_file("openb", "openb_node_list_gpu_node.csv"))


@lru_cache
def _jobs(name: str, whole: bool) -> tuple[TraceJob, ...]:
    jobs = read_jobs(trace_file("openb", f"openb_pod_list_{name}.csv"))
    return in_whole_gpus(jobs) if whole else jobs


def _run(run: tuple[Case, int]) -> float:
    (name, policy, whole), seed = run
    nodes, jobs = _nodes(), _jobs(name, whole)
    packer, ties = policies(nodes, jobs, seed)[policy]
    wanted = INFLATION * MILLI * sum(node.gpus for node in nodes)
    return pack(nodes, inflated(jobs, wanted, seed), packer, ties, seed).unallocated(100)


def _seconds(seed: int) -> float:
    """What a run takes of one core, reading aside."""
    _jobs("default", whole=False)
    start = time.process_time()
    _run((("default", OURS[0], False), seed))
    return time.process_time() - start


def _table(results: dict[Case, list[float]], names: Sequence[str]) -> str:
    lines = [
        "Mean ± standard deviation over the ten seeds, in percent of the GPUs. Published: FGD's own results.",
        "",
        "| policy | default | published | default in whole GPUs |",
        "|---|---|---|---|",
    ]
    for name in names:
        paper = f"{published('default', name):.2f}" if name in _PUBLISHED else "–"
        shared, whole = (_spread(results["default", name, only]) for only in (False, True))
        lines.append(f"| {name} | {shared} | {paper} | {whole} |")
    lines += ["", "| list | Loadstar | random ties | FGD | FGD published |", "|---|---|---|---|---|"]
    for jobs in LISTS:
        ours, random, fgd = (_spread(results[jobs, name, False]) for name in (*OURS, "FGD"))
        lines.append(f"| {jobs} | {ours} | {random} | {fgd} | {published(jobs, 'FGD'):.2f} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
