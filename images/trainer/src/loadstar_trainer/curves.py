"""The course of a run, epoch by epoch: it goes with the final record, as reports leave epochs out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

MOST_POINTS = 200  # of one metric; more can't be told apart in a plot

Document = dict[str, list[list[float]]]
"""By metric: [Unix seconds, step, value], in the order of time."""


@dataclass(frozen=True)
class _Row:
    """One epoch."""

    at: float
    step: int
    metrics: dict[str, float]


class Curves:
    """Every epoch's metrics, within bounds.

    When there are more epochs than points, every second one goes and from then on only every second is kept: so the
    whole course stays, ever more coarsely, and the newest epoch is always its end.
    """

    def __init__(self) -> None:
        self._kept: list[_Row] = []
        self._newest: _Row | None = None
        self._stride = 1
        self._seen = 0

    def __bool__(self) -> bool:
        return self._newest is not None

    def add(self, at: float, step: int, metrics: Mapping[str, float]) -> None:
        """Takes an epoch in, which ended at these Unix seconds. Values that are not finite are left out."""
        # Rounded down, so that no report of an epoch is older than its point; and a clock may be set back.
        at = math.floor(at * 1000) / 1000
        at = max(at, self._newest.at) if self._newest else at
        finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
        self._newest = _Row(at, step, finite)
        if self._seen % self._stride == 0:
            self._kept.append(self._newest)
            while len(self._kept) >= MOST_POINTS:  # leaves room for the newest
                self._kept = self._kept[::2]
                self._stride *= 2
        self._seen += 1

    def document(self, most: int = MOST_POINTS) -> Document:
        """At most so many points of each metric, at least one; empty before the first epoch."""
        rows = self._kept
        while rows and len(rows) >= most:  # as above
            rows = rows[::2] if len(rows) > 1 else []
        if self._newest and (not rows or rows[-1] is not self._newest):
            rows = [*rows, self._newest]
        document: Document = {}
        for row in rows:
            for name, value in row.metrics.items():
                document.setdefault(name, []).append([row.at, row.step, value])
        return document
