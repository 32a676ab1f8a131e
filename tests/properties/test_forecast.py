"""What holds of the forecast whatever the loads do, and whenever samples come."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loadstar.core.forecast import Forecast, Forecaster
from loadstar.core.load import STEP_SECONDS, Sample, Signal
from tests.builders import GPU, NOW

Array = NDArray[np.float64]

LOADS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60)
GAPS = st.lists(st.floats(1.0, 400.0), min_size=60, max_size=60)
HORIZON = st.floats(30.0, 900.0)


def fed(loads: dict[str, list[float]], gaps: list[float]) -> tuple[Forecaster, float]:
    """A forecaster that saw every node's loads at the same irregular times, and the time of the last one."""
    forecaster, at = Forecaster(), NOW
    for row in range(max(map(len, loads.values()))):
        at += gaps[row % len(gaps)]
        seen = {node: Sample(values[row], at) for node, values in loads.items() if row < len(values)}
        forecaster.observe({Signal.GPU: seen})
    return forecaster, at


def same(one: Forecast, other: Forecast) -> bool:
    fields = ("current", "change", "value", "band", "age", "mean", "upper")
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in fields)


@given(LOADS, GAPS, HORIZON, st.floats(0.0, 3600.0))
def test_every_number_is_a_share_whenever_samples_come(
    loads: list[float], gaps: list[float], horizon: float, age: float
) -> None:
    forecaster, at = fed({"n": loads}, gaps)
    found = forecaster.forecast(["n"], horizon, at + age)
    for values in (found.current, found.value, found.band, found.mean, found.upper):
        assert 0.0 <= values[0, GPU] <= 1.0
    assert np.isfinite(found.change[0, GPU])


@given(LOADS, GAPS, HORIZON, st.floats(0.0, 3600.0))
def test_the_band_of_an_old_sample_is_no_narrower_than_that_of_a_new_one(
    loads: list[float], gaps: list[float], horizon: float, age: float
) -> None:
    forecaster, at = fed({"n": loads}, gaps)
    fresh, old = (forecaster.forecast(["n"], horizon, now).band[0, GPU] for now in (at, at + age))
    assert old >= fresh - 1e-6


@given(st.dictionaries(st.sampled_from("abcdef"), LOADS, min_size=1), GAPS, HORIZON, st.randoms())
def test_a_nodes_forecast_depends_on_no_other_node_and_on_no_order(
    loads: dict[str, list[float]], gaps: list[float], horizon: float, random: Random
) -> None:
    together, at = fed(loads, gaps)
    nodes = list(loads)
    random.shuffle(nodes)
    shuffled, _ = fed({node: loads[node] for node in nodes}, gaps)
    for node in nodes:
        alone = fed({node: loads[node]}, gaps)[0].forecast([node], horizon, at)
        for forecaster in (together, shuffled):
            found = forecaster.forecast([node], horizon, at)
            assert found.value[0, GPU] == pytest.approx(alone.value[0, GPU], abs=1e-5)
            assert found.band[0, GPU] == pytest.approx(alone.band[0, GPU], abs=1e-5)


@given(LOADS, GAPS, HORIZON)
def test_repeated_and_late_samples_change_nothing(
    loads: list[float], gaps: list[float], horizon: float
) -> None:
    forecaster, at = fed({"n": loads}, gaps)
    before = forecaster.forecast(["n"], horizon, at)
    for late in (0.0, 1.0, 1e4):
        forecaster.observe({Signal.GPU: {"n": Sample(0.5, at - late)}})
    assert same(forecaster.forecast(["n"], horizon, at), before)


@given(st.lists(LOADS, min_size=40, max_size=60), GAPS, HORIZON)
@settings(max_examples=25)
def test_forgetting_some_nodes_leaves_the_others_as_they_were(
    loads: list[list[float]], gaps: list[float], horizon: float
) -> None:
    forecaster, at = fed({f"n{number}": series for number, series in enumerate(loads)}, gaps)
    kept = [f"n{number}" for number in range(0, len(loads), 4)]
    before = forecaster.forecast(kept, horizon, at)
    forecaster.keep(set(kept))
    assert same(forecaster.forecast(kept, horizon, at), before)
    assert np.isnan(forecaster.forecast(["n1"], horizon, at).value).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_over_a_whole_day_the_forecast_is_hardly_ever_worse_than_nothing_changes_and_the_band_holds(
    seed: int,
) -> None:
    loads = training_nodes(seed, nodes=20, steps=1500)
    names, forecaster = [str(node) for node in range(20)], Forecaster()
    value, band = np.empty_like(loads), np.empty_like(loads)
    for row, values in enumerate(loads):
        now = NOW + row * STEP_SECONDS
        forecaster.observe(
            {Signal.GPU: dict(zip(names, (Sample(float(v), now) for v in values), strict=True))}
        )
        found = forecaster.forecast(names, 10 * STEP_SECONDS, now)
        value[row], band[row] = found.value[:, GPU], found.band[:, GPU]
    outcome = loads[130:]
    miss = np.abs(outcome - value[120:-10])
    assert miss.mean() < 1.05 * np.abs(outcome - loads[120:-10]).mean()
    assert 0.86 < (miss <= band[120:-10]).mean() < 0.97


def training_nodes(seed: int, nodes: int, steps: int) -> Array:
    """GPU activity of nodes on which jobs of all lengths come and go: idle, or a plateau with noise."""
    rng = np.random.default_rng(seed)
    loads = np.zeros((steps, nodes))
    for node in range(nodes):
        row = 0
        while row < steps:
            length = int(rng.exponential(rng.choice([20, 60, 240]))) + 2
            if rng.random() < 0.6:
                part = loads[row : row + length, node]
                part[:] = np.clip(rng.beta(5, 2) + rng.normal(0, 0.03, len(part)), 0, 1)
            row += length
    return loads


def test_a_forecaster_fed_with_history_at_the_start_is_as_one_that_was_there() -> None:
    loads = training_nodes(1, nodes=8, steps=300)
    names = [f"n{node}" for node in range(8)]

    def rounds(first: int) -> Forecaster:
        forecaster = Forecaster()
        for row in range(first, 300):
            seen = {
                name: Sample(float(v), NOW + row * STEP_SECONDS)
                for name, v in zip(names, loads[row], strict=True)
            }
            forecaster.observe({Signal.GPU: seen})
        return forecaster

    now = NOW + 299 * STEP_SECONDS
    there, restarted = (rounds(first).forecast(names, 300, now) for first in (0, 60))
    assert restarted.current[:, GPU] == pytest.approx(there.current[:, GPU])
    # two hours of history teach nearly all that a longer life has taught
    assert np.abs(restarted.value - there.value)[:, GPU].mean() < 0.03
    assert np.abs(restarted.band - there.band)[:, GPU].mean() < 0.1


def test_memory_does_not_grow_with_time() -> None:
    def size(part: object) -> int:
        if isinstance(part, np.ndarray):
            return part.nbytes
        inner = (
            part.values()
            if isinstance(part, dict)
            else vars(part).values()
            if hasattr(part, "__dict__")
            else ()
        )
        return sum(size(one) for one in inner)

    forecaster = Forecaster()
    sizes = []
    for row in range(200):
        seen = {f"n{node}": Sample(0.5, NOW + row * STEP_SECONDS) for node in range(50)}
        forecaster.observe(dict.fromkeys(Signal, seen))
        sizes.append(size(forecaster))
    assert len(set(sizes)) == 1
    assert sizes[0] < 50 * len(Signal) * 4096
