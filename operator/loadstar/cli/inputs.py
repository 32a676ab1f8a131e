"""What to simulate, from the options of `loadstar simulate`. Every ValueError names the option and what to write."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from loadstar.cli.cluster import ask
from loadstar.cli.snapshot import Found, snapshot
from loadstar.core.resources import Resources
from loadstar.core.snapshot import Node
from loadstar.simulator.engine import Queueing
from loadstar.simulator.fleet import GIB, Fleet
from loadstar.simulator.replay import BASELINES, OURS, POLICIES, Scenario
from loadstar.simulator.traces import TraceJob, TraceNode, read_jobs, read_nodes
from loadstar.simulator.workload import Trace

_SHAPE = re.compile(r"(\d+)[x×](\d+)(?:[x×](\d+))?")
_CORES_PER_GPU, _GIB_PER_CORE, _PODS = 12, 8, 110
_MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """Where nodes and jobs come from: files, a shape such as 24x8x96, or the cluster that `kubeconfig` names."""

    nodes: str | None
    jobs: Path | None
    from_cluster: bool
    kubeconfig: str | None

    @property
    def facts(self) -> dict[str, str]:
        """The same in words."""
        cluster = "the cluster" if self.from_cluster else ""
        return {"nodes": self.nodes or cluster, "jobs": self.jobs.name if self.jobs else cluster}

    def read(self) -> tuple[list[Node], list[TraceJob]]:
        """Nodes and jobs."""
        if not self.from_cluster and (self.nodes is None or self.jobs is None):
            missing = "--nodes" if self.nodes is None else "--jobs"
            raise ValueError(f"{missing} is missing: name a csv file, or take --from-cluster")
        asked = self.nodes is None or self.jobs is None
        found = ask(self.kubeconfig, snapshot) if asked else Found([], [])
        nodes = found.nodes if self.nodes is None else _nodes(self.nodes)
        jobs = found.jobs if self.jobs is None else list(read_jobs(self.jobs))
        return nodes, jobs


def scenario_of(source: Source, load: float | None, count: int, queue: str) -> Scenario:
    """The scenario that the options describe."""
    if load is not None and not 0 < load <= 2:
        raise ValueError(
            f"--load is {load:g}: write the share of all GPU-time that is asked for, such as 0.85"
        )
    nodes, jobs = source.read()
    return Scenario(Fleet.of(nodes), Trace.of(jobs), (), load, count, Queueing(queue))


def policies_of(asked: list[str], baselines: bool) -> tuple[str, ...]:
    """Those that were asked for (else the product's), then the others'. A name with `without` leaves a part out."""
    for name in asked:
        if name not in POLICIES:
            raise ValueError(f"--policy is {name!r}: there are {', '.join(POLICIES)}")
    chosen = list(dict.fromkeys(asked or [OURS]))
    return (*chosen, *(name for name in BASELINES if baselines and name not in chosen))


def seeds_of(text: str) -> tuple[int, ...]:
    """10 is 0 … 9, 10-29 is 10 … 29."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if match is None:
        raise ValueError(f"--seeds is {text!r}: write how many, such as 10, or which, such as 10-29")
    first, last = (0, int(match[1]) - 1) if match[2] is None else (int(match[1]), int(match[2]))
    if not 0 <= last - first < _MOST_SEEDS:
        raise ValueError(f"--seeds is {text!r}: write 1 to {_MOST_SEEDS} seeds, the lower one first")
    return tuple(range(first, last + 1))


def check_folders(**files: Path | None) -> None:
    """Refuse, by the options' names, files that could not be written when the simulation is over."""
    for option, file in files.items():
        if (
            file is not None
            and str(file) != "-"
            and not (file.parent.is_dir() and os.access(file.parent, os.W_OK))
        ):
            raise ValueError(f"--{option} is {file}: there is no folder {file.parent} that can be written to")


def _nodes(text: str) -> list[Node]:
    match = _SHAPE.fullmatch(text)
    if match is None:
        return [_node(node) for node in read_nodes(Path(text))]
    count, gpus = int(match[1]), int(match[2])
    cores = int(match[3]) if match[3] else _CORES_PER_GPU * gpus
    if not (0 < count <= 100_000 and gpus and cores):
        raise ValueError(
            f"--nodes is {text}: write nodes × GPUs × cores, such as 24x8x96, each of them above 0"
        )
    shape = Resources(cores * 1000, cores * _GIB_PER_CORE * GIB, gpus, _PODS)
    return [Node(f"node-{number:05d}", shape) for number in range(count)]


def _node(node: TraceNode) -> Node:
    return Node(
        node.name, Resources(node.cpu, node.memory, node.gpus, _PODS), gpu_product=node.product or None
    )
