"""Nodes and jobs from csv files: the openb trace's columns, or our own.

Our own columns (a header line, then a line each; those marked * may be left out or left empty):

nodes: `name`, `cpu_milli` (millicores), `memory_mib`, `gpus`, `gpu_product`*
jobs:  `name`, `submit_seconds`* (0), `duration_seconds`* (unknown), `ranks`* (1), and of each rank `cpu_milli`* (0),
       `memory_mib`* (0), `gpus`, `gpu_milli`* (1000: whole GPUs), `gpu_products`* (any; several as `A|B`); also
       `family`* (jobs of one family load a node alike), `queue`* and `priority`* (0)

openb (Alibaba, cluster-trace-gpu-v2023): nodes `sn`, `gpu`, `model`; pods `num_gpu`, `gpu_spec`, `creation_time`,
`deletion_time`, `scheduled_time`. Other columns are passed over.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from loadstar.core.mix import MILLI, Ask
from loadstar.simulator.cells import Line, TraceError, TracesMissing, lines, need

__all__ = ["TraceError", "TraceJob", "TraceNode", "TracesMissing", "read_jobs", "read_nodes", "trace_file"]

MIB = 1024 * 1024

VARIABLE = "LOADSTAR_TRACES"
"""The environment variable that names the folder with the traces."""


@dataclass(frozen=True, slots=True)
class TraceNode:
    """One node: millicores, bytes, whole GPUs and their product ("" where it is not told)."""

    name: str
    cpu: int
    memory: int
    gpus: int
    product: str = ""


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job: when it came and how long it ran, and what each of its ranks asks for.

    Times are in seconds; `duration` is None where it never ran or nothing is told.
    """

    name: str
    ask: Ask
    submitted: float = 0.0
    duration: float | None = None
    ranks: int = 1
    family: str = ""
    queue: str = ""
    priority: int = 0

    @property
    def milli(self) -> int:
        """All milli-GPUs that the job asks for."""
        return self.ranks * self.ask.milli


def trace_file(*parts: str) -> Path:
    """A file below `$LOADSTAR_TRACES`, or else below `../shared/data` beside the project's folder."""
    folder = os.environ.get(VARIABLE)
    root = Path(folder) if folder else Path(__file__).parents[4] / "shared" / "data"
    path = root.joinpath(*parts)
    if not path.exists():
        raise TracesMissing(
            f"{path} is not there: get the traces as docs/simulator.md says and set {VARIABLE} to their folder"
        )
    return path


def read_nodes(path: Path) -> tuple[TraceNode, ...]:
    """The nodes of a csv file, sorted by name."""
    columns, found = lines(path)
    openb = "sn" in columns
    need(path, columns, ("sn", "cpu_milli", "memory_mib", "gpu") if openb else _OWN_NODE)
    nodes = [_openb_node(line) if openb else _own_node(line) for line in found]
    _distinct(path, (node.name for node in nodes))
    return tuple(sorted(nodes, key=lambda node: node.name))


def read_jobs(path: Path) -> tuple[TraceJob, ...]:
    """The jobs of a csv file, in its order."""
    columns, found = lines(path)
    openb = "num_gpu" in columns
    need(path, columns, _OPENB_POD if openb else ("name", "gpus"))
    jobs = [_openb_job(line) if openb else _own_job(line) for line in found]
    _distinct(path, (job.name for job in jobs))
    return tuple(jobs)


def inflated(jobs: Iterable[TraceJob], milli: float, seed: int) -> tuple[TraceJob, ...]:
    """The jobs in a random order, with more of them drawn again (or some taken away) until they ask for `milli`.

    That is how FGD's experiments "tune" a list to 130 % of the cluster's GPUs. What is drawn again comes last.
    """
    known = tuple(jobs)
    asked = sum(job.milli for job in known)
    if not asked:
        raise TraceError("no job asks for a GPU, so that no number of them fills the cluster's GPUs")
    rng = np.random.default_rng(seed)
    order = [known[position] for position in rng.permutation(len(known))]
    while asked > milli:
        asked -= order.pop(int(rng.integers(len(order)))).milli
    again = known[int(rng.integers(len(known)))]
    while asked + again.milli <= milli:
        asked += again.milli
        order.append(replace(again, name=f"{again.name}-again-{len(order)}"))
        again = known[int(rng.integers(len(known)))]
    return tuple(order)


def in_whole_gpus(jobs: Iterable[TraceJob]) -> tuple[TraceJob, ...]:
    """The same jobs where GPUs are not shared: who asks for a part of one gets all of it."""
    return tuple(replace(job, ask=replace(job.ask, share=MILLI)) for job in jobs)


_OWN_NODE = ("name", "cpu_milli", "memory_mib", "gpus")
_OPENB_POD = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")


def _own_node(line: Line) -> TraceNode:
    return TraceNode(
        name=line.name("name"),
        cpu=line.whole("cpu_milli", least=1),
        memory=line.whole("memory_mib", least=1) * MIB,
        gpus=line.whole("gpus"),
        product=line.text("gpu_product"),
    )


def _openb_node(line: Line) -> TraceNode:
    return TraceNode(
        name=line.name("sn"),
        cpu=line.whole("cpu_milli", least=1),
        memory=line.whole("memory_mib", least=1) * MIB,
        gpus=line.whole("gpu"),
        product=line.text("model"),
    )


def _own_job(line: Line) -> TraceJob:
    gpus = line.whole("gpus")
    return TraceJob(
        name=line.name("name"),
        ask=_ask(line, gpus, "gpu_products"),
        submitted=line.seconds("submit_seconds") or 0.0,
        duration=line.seconds("duration_seconds"),
        ranks=line.whole("ranks", least=1, default=1),
        family=line.text("family"),
        queue=line.text("queue"),
        priority=_priority(line),
    )


def _openb_job(line: Line) -> TraceJob:
    scheduled, deleted = line.seconds("scheduled_time"), line.seconds("deletion_time")
    return TraceJob(
        name=line.name("name"),
        ask=_ask(line, line.whole("num_gpu"), "gpu_spec"),
        submitted=line.seconds("creation_time") or 0.0,
        duration=None if scheduled is None or deleted is None else max(deleted - scheduled, 0.0),
    )


def _ask(line: Line, gpus: int, products: str) -> Ask:
    share = line.whole("gpu_milli", least=1, default=MILLI) if gpus else MILLI
    if share > MILLI or (gpus > 1 and share < MILLI):
        line.refuse(
            "gpu_milli", f"is {share} with {gpus} GPUs: write {MILLI} for whole GPUs, less for a part of one"
        )
    return Ask(
        cpu=line.whole("cpu_milli", default=0),
        memory=line.whole("memory_mib", default=0) * MIB,
        gpus=gpus,
        share=share,
        products=frozenset(name for name in line.text(products).split("|") if name),
    )


def _priority(line: Line) -> int:
    text = line.text("priority") or "0"
    try:
        return int(text)
    except ValueError:
        line.refuse("priority", f"is {text!r}: write a whole number, the higher the sooner")


def _distinct(path: Path, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TraceError(f"{path}: the name {name} is there twice: every line needs a name of its own")
        seen.add(name)
