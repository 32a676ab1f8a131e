"""Tables for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from loadstar.api.observe import observe_node, observe_pod
from loadstar.cli.rows import Job, row
from loadstar.clients.kube import Objects
from loadstar.core.devices import GPU, VENDOR
from loadstar.core.resources import Resources

STYLES = {
    "Succeeded": "green",
    "Running": "cyan",
    "Starting": "cyan",
    "Failed": "red",
    "Restarting": "yellow",
    "Queued": "yellow",
    "Pending": "yellow",
    "Suspended": "dim",
}


def jobs_table(jobs: Sequence[Job], now: datetime, *, namespaces: bool) -> Table:
    """One line per job, by name; `namespaces` adds theirs."""
    table = _table()
    if namespaces:
        table.add_column("Namespace")
    table.add_column("Job", no_wrap=True)
    table.add_column("Phase", no_wrap=True)
    table.add_column("Accuracy", justify="right", no_wrap=True)
    table.add_column("GPUs", justify="right")
    table.add_column("Nodes", overflow="fold")
    table.add_column("Time", justify="right", no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=1)
    for line in sorted((row(job, now) for job in jobs), key=lambda line: (line.namespace, line.name)):
        phase = Text(line.phase, style=STYLES.get(line.phase, ""))
        cells: list[str | Text] = [line.namespace] if namespaces else []
        cells += [line.name, phase, line.accuracy, line.gpus, line.nodes, line.time, Text(line.why)]
        table.add_row(*cells)
    return table


def nodes_table(nodes: Objects, pods: Objects) -> Table:
    """One line per GPU node: what it has, what is requested of it, what is left, and whether it takes pods."""
    requested = _requested(pods)
    table = _table()
    for name, justify in (
        ("Node", "left"),
        ("Product", "left"),
        ("GPUs free", "right"),
        ("of", "right"),
        ("CPU free", "right"),
        ("of", "right"),
        ("Memory free", "right"),
        ("of", "right"),
        ("State", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for node in sorted((observe_node(raw).node for raw in nodes), key=lambda node: node.name):
        has = node.allocatable
        offered = has.gpu_counts
        if not offered:
            continue
        takes = requested.get(node.name, Resources())
        taken = takes.gpu_counts
        free = {kind: count - taken.get(kind, 0) for kind, count in offered.items()}
        state = ["ready" if node.ready else "not ready"] + (["cordoned"] if node.cordoned else [])
        state += [f"taint {taint}" for taint in sorted(map(str, node.taints))]
        table.add_row(
            Text(node.name),
            Text(node.gpu_product or ""),
            *(_told(free), _told(offered)),
            *(f"{(has.cpu - takes.cpu) / 1000:g}", f"{has.cpu / 1000:g}"),
            *(_gibibytes(has.memory - takes.memory), _gibibytes(has.memory)),
            Text(", ".join(state), style="green" if state == ["ready"] else "yellow"),
        )
    return table


def _requested(pods: Iterable[dict[str, object]]) -> dict[str, Resources]:
    total: dict[str, Resources] = {}
    for pod in (observe_pod(raw) for raw in pods):
        if pod.node is not None and not pod.terminal:
            total[pod.node] = total.get(pod.node, Resources()) + pod.request
    return total


def _told(gpus: Mapping[str, int]) -> str:
    """A line for each kind; parts of GPUs with what they are."""
    return "\n".join(
        str(count) if kind == GPU else f"{count} {kind.removeprefix(VENDOR)}" for kind, count in gpus.items()
    )


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")
