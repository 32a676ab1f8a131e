"""The course of one metric: its newest, least and greatest value, and a bounded number of points. Pure."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadstar.api.curves import MOST_POINTS

POINTS_OF_A_JOB: Final = 10_000
"""Points of all metrics of a job together: at some 50 bytes each, half of what a ConfigMap can hold."""

_LESS_IS_BETTER: Final = ("loss", "error", "mse", "mae", "rmse", "perplexity", "wer", "cer")
_MORE_IS_BETTER: Final = (
    "accuracy",
    "acc",
    "precision",
    "recall",
    "f1",
    "auroc",
    "auc",
    "r2",
    "bleu",
    "rouge",
    "map",
)

Point = tuple[float, float | None, float]
"""Unix seconds, step if one was told, value."""


def less_is_better(name: str) -> bool | None:
    """Whether less of a metric is better, by the words of its name; None where they don't tell."""
    words = set(name.lower().replace("-", "_").replace("/", "_").replace(".", "_").split("_"))
    if words & set(_LESS_IS_BETTER):
        return True
    return False if words & set(_MORE_IS_BETTER) else None


@dataclass(slots=True)
class Series:
    """Values are kept twice: the texts that are shown, exact to the last digit, and the numbers of the points.

    When there are more than `capacity` points, every second one goes and from then on only every second report adds
    one: so the whole course stays, ever more coarsely, and the newest value is always its end.
    """

    name: str
    latest: str = ""
    least: str = ""
    greatest: str = ""
    newest: Point | None = None
    stride: int = 1
    _taken: int = 0
    _points: "array[float]" = field(default_factory=lambda: array("d"))
    """Flat: time, step (NaN for none), value."""

    def add(self, at: float, step: float | None, value: str, capacity: int = MOST_POINTS) -> None:
        """Take a value in. Times must not go back."""
        number = float(value)
        self.latest, self.newest = value, (at, step, number)
        self._compare(value)
        if self._taken % self.stride == 0:
            self._points.extend((at, math.nan if step is None else step, number))
            self._thin(capacity)
        self._taken += 1

    @property
    def best(self) -> str | None:
        """The least or the greatest value, whichever is better; None where the name does not tell."""
        less = less_is_better(self.name)
        return None if less is None else self.least if less else self.greatest

    @property
    def points(self) -> list[Point]:
        """In the order of time, the newest last; one more than the capacity at most."""
        flat = self._points
        kept: list[Point] = [
            (flat[i], None if math.isnan(flat[i + 1]) else flat[i + 1], flat[i + 2])
            for i in range(0, len(flat), 3)
        ]
        return kept if self.newest is None or (kept and kept[-1] == self.newest) else [*kept, self.newest]

    def precede(self, points: Iterable[Point], capacity: int = MOST_POINTS) -> None:
        """Put points from before the first one in front."""
        kept = self.points
        first = kept[0][0] if kept else math.inf
        earlier = array("d")
        for at, step, value in points:
            if at < first:
                earlier.extend((at, math.nan if step is None else step, value))
        self._points = earlier + self._points
        self._thin(capacity)

    def replace(self, points: Sequence[Point], capacity: int = MOST_POINTS) -> None:
        """Have these points, one at least, be the course from the first of them on; what came before it stays."""
        *others, self.newest = points
        self.latest = repr(self.newest[2])
        for _, _, value in points:
            self._compare(repr(value))
        earlier = self.points
        self._points, self.stride = array("d"), 1
        for at, step, value in others:
            self._points.extend((at, math.nan if step is None else step, value))
        self.precede(earlier, capacity)

    def _compare(self, value: str) -> None:
        """Take a value into account as the least or the greatest one."""
        if not self.least or float(value) < float(self.least):
            self.least = value
        if not self.greatest or float(value) > float(self.greatest):
            self.greatest = value

    def _thin(self, capacity: int) -> None:
        """Leave room for the newest value, which may come on top."""
        while len(self._points) // 3 > max(capacity - 1, 1):
            flat = self._points
            self._points = array("d", (flat[i + k] for i in range(0, len(flat), 6) for k in range(3)))
            self.stride *= 2
