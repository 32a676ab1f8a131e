"""Why a job is where it is: the whole placement, from the resource alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadstar.api.text import one_line
from loadstar.cli.rows import Job, loss, rounded, signed
from loadstar.cli.tables import STYLES


def explanation(job: Job) -> Group:
    """State, placement with every node's numbers, nodes that could not be used, result and last failure."""
    return Group(*_parts(job))


def _parts(job: Job) -> Iterable[RenderableType]:
    metadata, status = job["metadata"], job.get("status") or {}
    phase = str(status.get("phase") or "Pending")
    yield Text.assemble(
        (f"{metadata['namespace']}/{metadata['name']}", "bold"), "  ", (phase, STYLES.get(phase, ""))
    )
    if message := one_line(str(status.get("message") or "")):
        yield Text(message)
    if not status:
        yield Text("The operator has not looked at it yet: is it running, and does it watch this namespace?")
    yield from _conditions(status.get("conditions") or ())
    if placement := status.get("placement"):
        yield from _placement(placement)
    yield from _result(status)
    yield from _failure(status.get("lastFailure") or {})


def _conditions(conditions: Iterable[Mapping[str, Any]]) -> Iterable[RenderableType]:
    for condition in conditions:
        if condition.get("type") == "MetricsAvailable" and condition.get("status") != "True":
            yield Text(f"Metrics: {one_line(str(condition.get('message') or ''))}", style="yellow")


def _placement(placement: Mapping[str, Any]) -> Iterable[RenderableType]:
    nodes = placement.get("nodes") or ()
    if nodes:
        policy, horizon = placement.get("policy"), placement.get("horizonSeconds")
        yield Text()
        yield Text(
            f"Placed by policy {policy}, looking {horizon} s ahead; "
            "terms speak for (+) or against (−) a node, the highest score wins"
        )
        yield _nodes(nodes)
    rejected = placement.get("rejected") or ()
    if rejected:
        yield Text()
        yield Text("Nodes that could not be used")
        table = _table("Nodes", "Reason", "For example")
        for one in rejected:
            table.add_row(
                str(one.get("nodes", "")),
                Text(str(one.get("reason", ""))),
                Text(one_line(str(one.get("example", "")))),
            )
        yield table


def _nodes(nodes: Iterable[Mapping[str, Any]]) -> Table:
    terms = sorted({name for node in nodes for name in node.get("terms") or {}})
    table = _table("Node", "Ranks", "GPUs", "Load", "Forecast", "±", *map(one_line, terms), "Score")
    for node in nodes:
        values = node.get("terms") or {}
        table.add_row(
            Text(str(node.get("name", ""))),
            ",".join(str(rank) for rank in node.get("ranks") or ()),
            str(node.get("gpus", "")),
            *(rounded(node.get(name)) or "unknown" for name in ("load", "forecast", "band")),
            *(signed(values[term]) if term in values else "" for term in terms),
            signed(node["score"]) if node.get("score") else "",
        )
    return table


def _result(status: Mapping[str, Any]) -> Iterable[RenderableType]:
    result = status.get("result")
    if not result:
        return
    yield Text()
    accuracy = status.get("accuracy")
    headline = f"accuracy {accuracy}" if accuracy else loss(status) or "done"
    yield Text(
        f"Result: {headline} after {result.get('epochs')} epochs in {rounded(result.get('durationSeconds'))} s "
        f"over {result.get('worldSize')} processes, seed {result.get('seed')}",
        style="green",
    )
    for metric in result.get("metrics") or ():
        yield Text(f"  {one_line(str(metric.get('name')))} {one_line(str(metric.get('value')))}")


def _failure(failure: Mapping[str, Any]) -> Iterable[RenderableType]:
    if not failure:
        return
    yield Text()
    where = [f"{name} {failure[key]}" for key, name in _PLACES if failure.get(key) is not None]
    yield Text(f"Last failure ({', '.join(where)}): {failure.get('reason')}", style="red")
    yield Text(one_line(str(failure.get("message") or "")))


_PLACES = (("attempt", "attempt"), ("rank", "rank"), ("node", "on"), ("exitCode", "exit code"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
