"""How fast jobs launch: `python -m tests.bench.launch` (or `make bench-launch`).

A control plane with 300 fake nodes of 8 GPUs, at the default client limits of Kubernetes, and the real
operator as a process. In turns, so that noise shows: 500 bare pods, then 500 one-GPU TrainingJobs, each until
all pods are bound. The operator does not run while the bare pods launch. Then single jobs on the idle cluster.
Prints the figures beside their targets and writes them to build/reports/launch.json.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.load import Bench, Launch
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import OPERATOR_NAMESPACE, operator_process
from tests.cluster.steps import last_lines, say

_ROOT = Path(__file__).parents[2]
_REPORT = _ROOT / "build" / "reports" / "launch.json"
_NODES, _GPUS_PER_NODE, _BATCH, _SINGLES = 300, 8, 500, 10
_RATIO_TARGET = 0.8
_LATENCY_TARGET_MS = 60.0


@dataclass(frozen=True)
class Figure:
    """One measured number; `target` and `holds` are None where nothing is promised."""

    name: str
    value: float
    target: float | None
    unit: str
    holds: bool | None


def figures(pods: list[Launch], jobs: list[Launch], singles: list[Launch]) -> list[Figure]:
    """What the launches amount to."""
    pod_rate, job_rate = (statistics.median(it.rate for it in launches) for launches in (pods, jobs))
    ratio = job_rate / pod_rate
    created = statistics.median(it.created[0] for it in singles) * 1000
    bound = statistics.median(it.seconds for it in singles) * 1000
    return [
        Figure("bare pods, all bound", round(pod_rate, 1), None, "pods/s", None),
        Figure("TrainingJobs, all pods bound", round(job_rate, 1), None, "jobs/s", None),
        Figure("TrainingJobs to bare pods", round(ratio, 3), _RATIO_TARGET, "ratio", ratio >= _RATIO_TARGET),
        Figure(
            "one job, apply to pod created, median",
            round(created, 1),
            _LATENCY_TARGET_MS,
            "ms",
            created <= _LATENCY_TARGET_MS,
        ),
        Figure("one job, apply to pod bound, median", round(bound, 1), None, "ms", None),
    ]


async def measure(cluster: ControlPlane, rounds: int, settings: dict[str, str]) -> list[Figure]:
    """Run everything on a control plane with nodes."""
    async with Bench.open(cluster.kubeconfig) as bench:
        pods, jobs = [], []
        for number in range(1, rounds + 1):
            pods.append(await bench.launch_pods(_BATCH))
            _tell(f"round {number}, bare pods", pods[-1])
            await bench.clean()
            with _operator(cluster, settings):
                jobs.append(await bench.launch_jobs(_BATCH))
            _tell(f"round {number}, TrainingJobs", jobs[-1])
            await bench.clean()
        with _operator(cluster, settings):
            singles = [await bench.launch_single(number) for number in range(_SINGLES)]
        await bench.clean()
    for number, single in enumerate(singles, 1):
        say(
            f"single job {number}: created {single.created[0] * 1000:.0f} ms, bound {single.seconds * 1000:.0f} ms"
        )
    return figures(pods, jobs, singles)


def _tell(title: str, launch: Launch) -> None:
    say(
        f"{title}: all created after {launch.created[-1]:.1f} s, all bound after {launch.seconds:.1f} s,"
        f" {launch.rate:.1f} a second"
    )


@contextmanager
def _operator(cluster: ControlPlane, settings: dict[str, str]) -> Iterator[None]:
    """The operator at work. Its log is kept beside the report."""
    process = operator_process(cluster, settings)
    log = _REPORT.parent / "launch-operator.log"
    process.start()
    try:
        yield
    finally:
        ended = process.identity is None
        process.kill()
        log.write_bytes(process.log.read_bytes())
        if ended:
            say(f"The operator ended by itself. {last_lines(log)}")


def _prepare(cluster: ControlPlane) -> None:
    """Install the CRD and what the operator needs around itself."""
    cluster.kubectl("apply", "--server-side", "-f", str(_ROOT / "manifests" / "crd.yaml"))
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trainingjobs.loadstar.dev"
    while not _established(cluster.api.get(path)):
        time.sleep(0.1)
    cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)


def _established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(it["type"] == "Established" and it["status"] == "True" for it in conditions)


def report(found: Iterable[Figure]) -> str:
    """The figures beside their targets, for people."""
    lines = [f"{'figure':<40}{'measured':>12}{'target':>10}"]
    for figure in found:
        target = "" if figure.target is None else f"{figure.target:g}"
        verdict = {None: "", True: "  holds", False: "  MISSED"}[figure.holds]
        lines.append(f"{figure.name:<40}{figure.value:>12g}{target:>10} {figure.unit}{verdict}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and report. A missed target is said loudly and is no failure of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.launch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of pods and jobs; default: %(default)s")
    options = parser.parse_args(arguments)
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    say(f"Starting a control plane with {_NODES} fake nodes …")
    name = f"bench-{os.getpid()}"
    with ControlPlane.start(name, kwok_nodes=_NODES, gpus_per_node=_GPUS_PER_NODE) as cluster:
        _prepare(cluster)
        found = asyncio.run(measure(cluster, options.rounds, {}))
    _REPORT.write_text(json.dumps([asdict(figure) for figure in found], indent=2) + "\n")
    print(report(found))
    missed: list[Any] = [figure.name for figure in found if figure.holds is False]
    if missed:
        print(f"\nMISSED {len(missed)} of the targets: {'; '.join(missed)}")
    print(f"\nWritten to {_REPORT.relative_to(_ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
