"""Why a job is where it is: the whole placement, from the resource alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadstar.api.text import one_line
from loadstar.cli.rows import Job, gpus, in_queue, loss, moment, rounded, signed
from loadstar.cli.tables import STYLES


def explanation(job: Job, now: datetime) -> Group:
    """State, placement with the numbers of every node chosen and of the best others, how right the forecast was, nodes
    that could not be used, result and last failure."""
    return Group(*_parts(job, now))


def _parts(job: Job, now: datetime) -> Iterable[RenderableType]:
    metadata, status = job["metadata"], job.get("status") or {}
    phase = str(status.get("phase") or "Pending")
    yield Text.assemble(
        (f"{metadata['namespace']}/{metadata['name']}", "bold"), "  ", (phase, STYLES.get(phase, ""))
    )
    if place := in_queue(status, now):
        yield Text(place)
    if message := one_line(str(status.get("message") or "")):
        yield Text(message)
    if not status:
        yield Text("The operator has not looked at it yet: is it running, and does it watch this namespace?")
    yield from _conditions(status.get("conditions") or ())
    if placement := status.get("placement"):
        yield from _placement(placement, status)
    yield from _result(status)
    yield from _failure(status.get("lastFailure") or {})


def _conditions(conditions: Iterable[Mapping[str, Any]]) -> Iterable[RenderableType]:
    for condition in conditions:
        if condition.get("type") == "MetricsAvailable" and condition.get("status") != "True":
            yield Text(f"Metrics: {one_line(str(condition.get('message') or ''))}", style="yellow")


def _placement(placement: Mapping[str, Any], status: Mapping[str, Any]) -> Iterable[RenderableType]:
    nodes, others = placement.get("nodes") or (), placement.get("alternatives") or ()
    if nodes:
        policy, horizon = placement.get("policy"), placement.get("horizonSeconds")
        yield Text()
        yield Text(
            f"Placed by policy {policy}, looking {horizon} s ahead; "
            "terms speak for (+) or against (−) a node, the highest score wins"
        )
        yield _nodes(nodes, others, status)
    yield from _hindsight(placement.get("hindsight") or {}, len(nodes), bool(others))
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


def _nodes(
    chosen: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], status: Mapping[str, Any]
) -> Table:
    """The chosen nodes with their ranks and, in the same columns, the best of the others."""
    table = _table("Node", "Ranks", "GPUs", "Load", "Forecast", "Score")
    for column in table.columns[1:]:
        column.no_wrap = True
    table.add_column("Made of", overflow="fold", ratio=1)
    table.columns[0].overflow = "fold"
    for node in chosen:
        ranks = ",".join(str(rank) for rank in node.get("ranks") or ())
        table.add_row(*_numbers(node, ranks, gpus(node, status)))
    for node in others:
        table.add_row(*_numbers(node, "not chosen", ""), style="dim")
    return table


def _numbers(node: Mapping[str, Any], ranks: str, gpus: str) -> Iterable[str | Text]:
    load, forecast, band = (rounded(node.get(name)) for name in ("load", "forecast", "band"))
    return (
        Text(str(node.get("name", ""))),
        ranks,
        gpus,
        load or "unknown",
        (forecast or "unknown") + (f" ± {band}" if band else ""),
        signed(node["score"]) if node.get("score") else "",
        Text(_terms(node.get("terms") or {})),
    )


def _terms(terms: Mapping[str, Any]) -> str:
    """What a score is made of, the weightiest first; a term that says nothing is left out."""
    told = sorted((name for name in terms if _weight(terms[name])), key=lambda name: -_weight(terms[name]))
    return ", ".join(f"{one_line(name)} {signed(terms[name])}" for name in told)


def _weight(value: Any) -> float:
    try:
        return round(abs(float(value)), 3)
    except ValueError:
        return math.inf


def _hindsight(seen: Mapping[str, Any], nodes: int, compared: bool) -> Iterable[RenderableType]:
    """How right the forecast was, once that is known."""
    if not seen:
        return
    try:
        error, unchanged, within, regret = (
            float(seen.get(name) or "nan") for name in ("error", "persistenceError", "withinBand", "regret")
        )
    except ValueError:  # another version's words
        return
    nearer = "nearer than" if abs(error) < abs(unchanged) else "no nearer than"
    yield Text()
    reached_at = moment(seen.get("horizonReachedAt"))
    yield Text(f"In hindsight{f', {reached_at:%Y-%m-%d %H:%M:%S} UTC' if reached_at else ''}", style="bold")
    yield Text(
        f"  the load had become {rounded(seen.get('load'))}, the forecast was {_off(error)}: "
        f"{nearer} to say that nothing changes, which was {_off(unchanged)}"
    )
    yield Text(f"  {_within(within, nodes)}")
    if compared:
        yield Text(
            f"  the best of the others would have been loaded {regret:.4g} less"
            if regret > 0
            else "  none of the others would have been less loaded"
        )
    if use := seen.get("use"):
        parts = (f"{one_line(signal)} {rounded(share)}" for signal, share in sorted(use.items()))
        yield Text(f"  its pods used of what they request: {', '.join(parts)}")


def _within(share: float, nodes: int) -> str:
    if share <= 0:
        return "it did not stay within the forecast's band"
    on = f" on {round(share * nodes)} of {nodes} nodes" if nodes > 1 else ""
    return f"it stayed within the forecast's band{on}"


def _off(error: float) -> str:
    return f"{abs(error):.4g} too {'high' if error > 0 else 'low'}" if round(error, 4) else "right"


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
