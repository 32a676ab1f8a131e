"""Where nodes stand to each other: the level of a cluster's topology on which a gang would rather stay together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Topology:
    """A wish for nearness. `level` is a node label's key (a zone, a rack, an NVLink clique); nodes with the same value
    of it are one domain. `required` refuses every placement in more than one domain; else fewer are better.
    """

    level: str
    required: bool = False


def split(domains: Rows) -> Values:
    """For each rank on a node of these domains, the share of the other ranks that are in other domains (0..1).

    The mean of it is the share of a gang's pairs that have to talk across domains. A node without a domain (-1) is
    near to no other.
    """
    ranks = len(domains)
    if ranks < 2:
        return np.zeros(ranks)
    together = (domains[:, None] == domains[None, :]) & (domains >= 0)[:, None]
    near = together.sum(axis=1) - (domains >= 0)
    return np.asarray((ranks - 1 - near) / (ranks - 1))


def together(order: Rows, values: Values, domains: Rows, ranks: int) -> Rows | None:
    """The best rows of one domain, all ranks in it; None where no domain has enough.

    `order` are the candidates, best first, with their `values` and `domains`. Of domains that are equally good the one
    with the fewest candidates is taken, so that large ones stay whole.
    """
    groups = _Groups.of(domains, values)
    enough = (groups.counts >= ranks) & groups.named
    if not enough.any():
        return None
    worth = np.where(enough, groups.worth(np.full(len(enough), ranks)), -np.inf)
    return order[groups.best(_argmax(worth, groups.counts), ranks)]


def near(order: Rows, values: Values, domains: Rows, ranks: int, weight: float) -> Rows:
    """Rows for a gang that would rather not be split: at most as good by Σ values - weight·Σ split as any, nearly.

    The best set is a knapsack problem. This fills one domain after the other, always the one whose best rows are worth
    most per rank, nearness included, and falls back on the best rows whatever their domain where those are worth more.
    """
    plain = np.arange(ranks)
    if not len(set(domains[:ranks].tolist())) > 1 and domains[0] >= 0:
        return order[:ranks]
    groups = _Groups.of(domains, values)
    left, open_, chosen = ranks, groups.counts > 0, []
    while left:
        size = np.minimum(groups.counts, left)
        pairs = np.where(groups.named, size * (size - 1), 0)
        per_rank = (groups.worth(size) + weight * pairs / (ranks - 1)) / np.maximum(size, 1)
        group = _argmax(np.where(open_, per_rank, -np.inf), groups.counts)
        open_[group] = False
        chosen.append(groups.best(group, int(size[group])))
        left -= int(size[group])
    filled = np.sort(np.concatenate(chosen))

    def worth(places: Rows) -> float:
        return float(values[places].sum() - weight * split(domains[places]).sum())

    return order[filled if worth(filled) >= worth(plain) else plain]


def fullest(domains: Rows) -> int:
    """How many of these the domain with the most of them has."""
    named = domains[domains >= 0]
    return int(np.bincount(named).max()) if len(named) else 0


@dataclass(frozen=True, slots=True)
class _Groups:
    """Candidates by domain, best first within each; a candidate without a domain is a group of its own."""

    places: Rows
    starts: Rows
    counts: Rows
    sums: Values
    named: NDArray[np.bool_]

    @classmethod
    def of(cls, domains: Rows, values: Values) -> "_Groups":
        nameless = domains < 0
        codes = domains
        if nameless.any():
            codes = np.where(nameless, domains.max(initial=-1) + 1 + np.arange(len(domains)), domains)
        places = np.argsort(codes, kind="stable")
        codes = codes[places]
        starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
        counts = np.diff(np.append(starts, len(codes)))
        sums = np.concatenate([[0.0], np.cumsum(values[places])])
        return cls(places, starts, counts, sums, ~nameless[places[starts]])

    def worth(self, sizes: Rows) -> Values:
        """The sum of the values of each group's best, so many of each."""
        ends = np.minimum(self.starts + sizes, self.starts + self.counts)
        return np.asarray(self.sums[ends] - self.sums[self.starts])

    def best(self, group: int, size: int) -> Rows:
        """The places of one group's best."""
        start = self.starts[group]
        return self.places[start : start + size]


def _argmax(worth: Values, counts: Rows) -> int:
    """The best group; of equals (to nine decimals) the smallest, then the first."""
    top = np.flatnonzero(worth >= worth.max() - 1e-9)
    return int(top[np.argmin(counts[top])])
