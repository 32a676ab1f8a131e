"""A load over time: straight lines between given points, and its exact integral. Pure."""

import bisect
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Series:
    """Load (0 to 1) at given seconds, linear in between, held before the first point and after the last.

    `points` are (seconds, load) with strictly growing seconds, the first at 0 or later; at least one.
    """

    points: tuple[tuple[float, float], ...]

    @classmethod
    def constant(cls, value: float) -> "Series":
        """The same load for ever."""
        return cls(((0.0, value),))

    @classmethod
    def ramp(cls, start: float, end: float, over_seconds: float) -> "Series":
        """From `start` to `end` within `over_seconds` (> 0), then `end` for ever."""
        return cls(((0.0, start), (over_seconds, end)))

    def at(self, seconds: float) -> float:
        """The load, `seconds` (≥ 0) after the series began."""
        after = bisect.bisect_right(self.points, seconds, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (t0, load0), (t1, load1) = self.points[after - 1], self.points[after]
        return load0 + (load1 - load0) * (seconds - t0) / (t1 - t0)

    def integral(self, seconds: float) -> float:
        """Load-seconds from the beginning of the series until `seconds` (≥ 0)."""
        inner = [point for point in self.points if 0.0 < point[0] < seconds]
        corners = [(0.0, self.at(0.0)), *inner, (seconds, self.at(seconds))]
        return sum((t1 - t0) * (load0 + load1) / 2.0 for (t0, load0), (t1, load1) in pairwise(corners))
