"""From the series of the vitals query to each node's health and watts."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadstar.clients import promql
from loadstar.clients.queries import Series
from loadstar.clients.series import NodeNames, locate
from loadstar.core.health import Health

MIB = 1 << 20
Values = Mapping[str, float]
"""By node."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """One round: each node's health, and what its least and its most drawing GPU draw (W). `problem` says why not."""

    health: Mapping[str, Health] = field(default_factory=dict)
    watts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    problem: str | None = None


def read(series: Iterable[Series], nodes: NodeNames) -> Vitals:
    """The nodes that anything is known of. A value that is no number is left out."""
    by_vital: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        by_vital[one.labels.get(promql.VITAL_LABEL, "")].append(one)
    vital = {name: _values(found, nodes) for name, found in by_vital.items() if name != promql.XID}
    xids = _xids(by_vital[promql.XID], nodes)
    celsius, memory = vital.get(promql.TEMPERATURE, {}), vital.get(promql.FREE_MEMORY, {})
    remap = vital.get(promql.ROW_REMAP, {})
    least, most = vital.get(promql.LEAST_WATTS, {}), vital.get(promql.MOST_WATTS, {})
    known = xids.keys() | celsius.keys() | memory.keys() | remap.keys()
    health = {
        node: Health(
            xids=frozenset(xids.get(node, ())),
            temperature=celsius.get(node),
            row_remap_failed=remap.get(node, 0.0) > 0,
            free_memory=int(memory[node] * MIB) if node in memory else None,
        )
        for node in known
    }
    return Vitals(health, {node: (least[node], most[node]) for node in least.keys() & most.keys()})


def _values(series: Iterable[Series], nodes: NodeNames) -> Values:
    found = locate(((one.labels, one.points[0][1]) for one in series), nodes)
    return {node: value for node, value in found.values.items() if math.isfinite(value)}


def _xids(series: Iterable[Series], nodes: NodeNames) -> Mapping[str, set[int]]:
    """The codes that came up on each node: each code is a series of its own."""
    codes: dict[str, set[int]] = defaultdict(set)
    for one in series:
        found, code = nodes.find(one.labels), one.labels.get(promql.XID_LABEL, "")
        if found is not None and code.isdecimal():
            codes[found[1]].add(int(code))
    return codes
