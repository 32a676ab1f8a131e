"""From Prometheus's series to nodes: which node a series speaks of, and whether its value can be believed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

CANDIDATES: Final = ("hostname", "Hostname", "node", "nodename", "instance")
"""Labels that may tell the node, best first: the exporter's own word, then the scrape's, then the address."""
_SLACK: Final = 0.05
"""Rates overshoot a little when a scrape comes late; that far outside of 0..1 is taken for the bound."""


@dataclass(frozen=True, slots=True)
class NodeNames:
    """The nodes that can be spoken of: by name, and by address (InternalIP, Hostname) → name."""

    names: frozenset[str]
    addresses: Mapping[str, str]

    def find(self, labels: Mapping[str, str]) -> tuple[int, str] | None:
        """The node of a series, with the rank of the label that told it (0 best); None: no node of ours."""
        for rank, label in enumerate(CANDIDATES):
            for text in (labels.get(label, ""), _host(labels.get(label, ""))):
                name = text if text in self.names else self.addresses.get(text)
                if name:
                    return rank, name
        return None


@dataclass(slots=True)
class Located(Generic[Value]):
    """One value per node, and how many series went another way."""

    values: dict[str, Value] = field(default_factory=dict)
    unmapped: int = 0
    """Series that speak of no known node."""
    doubtful: int = 0
    """Nodes left out as several series speak of them with equal right: two sources, one of them wrong."""


def locate(series: Iterable[tuple[Mapping[str, str], Value]], nodes: NodeNames) -> Located[Value]:
    """Give each node the value of its series.

    A better label wins over a worse one (the series that lost counts as unmapped); between equals there is
    no telling, and the node gets none.
    """
    located = Located[Value]()
    ranks: dict[str, int] = {}
    doubtful: set[str] = set()
    for labels, value in series:
        found = nodes.find(labels)
        if found is None:
            located.unmapped += 1
            continue
        rank, name = found
        held = ranks.get(name)
        if held == rank:
            doubtful.add(name)
            continue
        if held is not None:
            located.unmapped += 1
            if held < rank:
                continue
            doubtful.discard(name)
        ranks[name] = rank
        located.values[name] = value
    for name in doubtful:
        del located.values[name]
    located.doubtful = len(doubtful)
    return located


def share(value: float) -> float | None:
    """A load in 0..1, None where the value is no load: NaN, infinite, negative or beyond 1."""
    if not math.isfinite(value) or not -_SLACK <= value <= 1 + _SLACK:
        return None
    return min(1.0, max(0.0, value))


def _host(instance: str) -> str:
    """The host of `host:port`, `[v6]:port` or a bare host."""
    if instance.startswith("["):
        return instance[1:].partition("]")[0]
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdigit() and ":" not in host else instance
