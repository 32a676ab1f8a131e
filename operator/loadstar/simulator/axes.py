"""Axes of a plot: values to pixels, and round numbers to write beside them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, isnan, log10

Write = Callable[[float], str]
"""How a value is written beside its axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high`, drawn from pixel `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; beyond the ends, the end's."""
        low, high, value = (self._scaled(it) for it in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self, about: int = 6) -> list[float]:
        """Round values within the axis, about so many."""
        return _powers(self.low, self.high) if self.logarithmic else _even(self.low, self.high, about)

    def _scaled(self, value: float) -> float:
        return log10(max(value, 1e-12)) if self.logarithmic else value


def spanning(values: Iterable[float], start: float, end: float, *, logarithmic: bool = False) -> Axis:
    """An axis on which all values fit with some air; a linear one begins at 0 unless all values are far from it."""
    present = [value for value in values if not isnan(value) and (value > 0 or not logarithmic)] or [1.0]
    low, high = min(present), max(present)
    if logarithmic:
        return Axis(low / 1.25, high * 1.25, start, end, logarithmic=True)
    if high - low < 0.5 * high and low > 0:  # far from 0, where differences would not show
        air = 0.1 * (high - low or high)
        return Axis(low - air, high + air, start, end)
    low = min(low, 0.0)
    return Axis(low, low + (high - low or 1.0) * 1.08, start, end)


def seconds(value: float) -> str:
    """A time span in its largest unit: 0, 45 s, 3 min, 2.5 h, 4 d."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.{2 if value < 10 else 3}g} s" if value else "0"


def percent(value: float) -> str:
    """Per cent, of a number that already is."""
    return f"{value:.3g} %" if value >= 1 else f"{round(value, 2):g} %"


def plain(value: float) -> str:
    """The number itself."""
    if value >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{round(value, 3):g}"


def _even(low: float, high: float, about: int) -> list[float]:
    rough = (high - low) / max(about, 1)
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    return [round(step * number, 12) for number in range(ceil(low / step), floor(high / step + 1e-9) + 1)]


_TIMES = (1, 3, 10, 30, 60, 180, 600, 1_800, 3_600, 10_800, 36_000, 86_400, 3 * 86_400, 10 * 86_400)
"""Round spans, in seconds, for logarithmic axes: those of this product all show times."""


def _powers(low: float, high: float) -> list[float]:
    return [float(time) for time in _TIMES if low <= time <= high] or [low, high]
