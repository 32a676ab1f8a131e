"""The predictive load formula's f(C, ΔC): a mix of experts per node, signal and horizon, online, for all nodes at once.

A node's new sample settles the forecasts that were made for its hour: the mix learns whom to trust (`mixture`), the
plain rule its α (`experts`), the band how far off it is (`bands`). Then every expert looks ahead from the sample,
and the weighted forecasts are kept with the moment (`moments`) until their own hour comes. Memory per node is
constant: half an hour of moments, one per step Δ.

Samples may come at any time; those not newer than what is known, and those that are no number, are ignored.
"""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from loadstar.core.cells import Cells
from loadstar.core.columns import Rows, compact
from loadstar.core.experts import EXPERTS, HORIZONS
from loadstar.core.load import STEP_SECONDS, Sample, Samples, Signal

Array = NDArray[np.float64]

SPARE_ROWS = 16
"""How many nodes that are gone are remembered at least."""
NORMAL_90 = 1.645
"""A normal variable lies within this many σ of its mean nine times of ten."""

_AT, _VALUE = attrgetter("at"), attrgetter("value")

SIGNALS: tuple[Signal, ...] = tuple(Signal)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the numbers of a forecaster mean.

    `step_seconds` is Δ, the rhythm in which samples come at the most; loads lie in 0..`ceiling`; no band is
    narrower than `least_band`, however quiet a node was so far.
    """

    step_seconds: float = STEP_SECONDS
    ceiling: float = 1.0
    least_band: float = 0.02


DEFAULT_SCALE = Scale()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Arrays of shape (nodes, signals) in the order of the asked nodes and SIGNALS; NaN where no sample was seen.

    `current` and `change` (per step Δ) are the newest sample and its difference to the one before; `value` is the
    forecast at the horizon, least far off on average (so near the *median* of what may come); `band` is its 90 %
    half-width; `mean` is the expected load, `value` made good for how far outcomes lay above or below it; `upper`
    is what nine outcomes of ten stay below. `age` is seconds since the newest sample.
    """

    current: Array
    change: Array
    value: Array
    band: Array
    age: Array
    mean: Array
    upper: Array


class Forecaster:
    """Online forecasts of every node and signal; some four kilobytes for each."""

    def __init__(self, scale: Scale = DEFAULT_SCALE) -> None:
        self._scale = scale
        self._row: dict[str, int] = {}
        self._cells = {signal: Cells() for signal in SIGNALS}

    def observe(self, samples: Samples) -> None:
        """Take in the newest samples of any nodes, in any order."""
        for signal, by_node in samples.items():
            if by_node:
                self._observe(self._cells[signal], by_node)

    def _observe(self, cells: Cells, by_node: Mapping[str, Sample]) -> None:
        rows, count = self._rows(by_node), len(by_node)
        at = np.fromiter(map(_AT, by_node.values()), np.float64, count)
        at /= self._scale.step_seconds
        y = np.fromiter(map(_VALUE, by_node.values()), np.float64, count)
        new = np.isfinite(y) & np.isfinite(at) & (at > cells.at[rows])
        if new.all():
            cells.update(compact(rows), at, y)
        elif new.any():
            cells.update(rows[new], at[new], y[new])

    def keep(self, nodes: Container[str]) -> None:
        """Forget all nodes but these. Costs nothing while fewer than half of the known ones would go."""
        kept = [node for node in self._row if node in nodes]
        if len(self._row) <= SPARE_ROWS + 2 * len(kept):
            return
        rows = np.array([self._row[node] for node in kept], dtype=np.intp)
        self._row = {node: row for row, node in enumerate(kept)}
        for cells in self._cells.values():
            cells.reorder(rows)

    def forecast(self, nodes: Sequence[str], horizon_seconds: float, now: float) -> Forecast:
        """Forecasts for `now + horizon_seconds`, counted from each sample's own time: age lengthens the horizon."""
        places = self._places(nodes)
        out = np.full((len(SIGNALS), 7, len(nodes)), np.nan)
        for column, signal in enumerate(SIGNALS):
            cells = self._cells[signal]
            asked, rows = _seen(cells, places)
            if len(asked):
                out[column][:, asked] = self._look_ahead(cells, rows, horizon_seconds, now)
        current, change, value, band, age, mean, upper = out.transpose(1, 2, 0)
        return Forecast(current, change, value, band, age, mean, upper)

    def alphas(self, nodes: Sequence[str]) -> Array:
        """The learned α of the plain rule for each of HORIZONS, (nodes, signals, horizons); NaN without a sample."""
        places = self._places(nodes)
        out = np.full((len(nodes), len(SIGNALS), len(HORIZONS)), np.nan)
        for column, signal in enumerate(SIGNALS):
            cells = self._cells[signal]
            asked, rows = _seen(cells, places)
            out[asked, column] = cells.slopes.alphas(rows).T
        return out

    def weights(self, nodes: Sequence[str]) -> Array:
        """What each of EXPERTS counts for each of HORIZONS, (nodes, signals, horizons, experts); NaN as above."""
        places = self._places(nodes)
        out = np.full((len(nodes), len(SIGNALS), len(HORIZONS), len(EXPERTS)), np.nan)
        for column, signal in enumerate(SIGNALS):
            cells = self._cells[signal]
            asked, rows = _seen(cells, places)
            out[asked, column] = cells.mixture.weights(rows).T
        return out

    def _look_ahead(self, cells: Cells, rows: Rows, horizon_seconds: float, now: float) -> Array:
        """The fields of Forecast in their order, (7, nodes)."""
        step, top = self._scale.step_seconds, self._scale.ceiling
        age = np.maximum(now - cells.at[rows] * step, 0.0)
        value, half, bias, upper = cells.ahead(rows, age / step, horizon_seconds / step)
        band = np.clip(half, self._scale.least_band, top)
        mean, upper = np.clip(value + bias, 0.0, top), np.clip(value + upper, 0.0, top)
        return np.stack(
            [cells.newest[rows], cells.change(rows), np.clip(value, 0.0, top), band, age, mean, upper]
        )

    def _places(self, nodes: Collection[str]) -> NDArray[np.intp]:
        """The rows of these nodes; -1 where nothing is known."""
        return np.fromiter(map(self._row.get, nodes, repeat(-1)), np.intp, len(nodes))

    def _rows(self, nodes: Collection[str]) -> NDArray[np.intp]:
        """The rows of these nodes; new ones get one."""
        rows = self._places(nodes)
        if (rows < 0).any():
            for node in nodes:
                self._row.setdefault(node, len(self._row))
            rows = self._places(nodes)
        known = len(self._row)
        for cells in self._cells.values():
            if len(cells.at) < known:
                cells.extend(max(known, len(cells.at) * 5 // 4) - len(cells.at))
        return rows


def _seen(cells: Cells, places: NDArray[np.intp]) -> tuple[NDArray[np.intp], Rows]:
    """Which of the asked nodes have a sample of the signal, by position, and their rows."""
    asked = np.flatnonzero(places >= 0)
    asked = asked[cells.at[places[asked]] > 0]
    return asked, compact(places[asked])


def feedback(current: Array, change: Array, alpha: float) -> Array:
    """The plain feedback rule C(t+1) = C(t) + α·ΔC(t), clipped to 0..1."""
    return np.clip(current + alpha * change, 0.0, 1.0)
