"""The simulator's load series: values between and beyond the points, and the exact integral."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgm_simulator.series import Series

LOADS = st.floats(0, 1)
POINTS = st.lists(st.tuples(st.integers(0, 500), LOADS), min_size=1, unique_by=lambda point: point[0])


def _series(points: list[tuple[int, float]]) -> Series:
    return Series(tuple((float(seconds), load) for seconds, load in sorted(points)))


def test_a_constant_is_the_same_at_any_time() -> None:
    assert [Series.constant(0.4).at(t) for t in (0, 1, 1e6)] == [0.4, 0.4, 0.4]


@pytest.mark.parametrize(("seconds", "load"), [(0, 0.9), (150, 0.55), (300, 0.2), (4000, 0.2)])
def test_a_ramp_goes_straight_to_its_end_and_stays_there(seconds: float, load: float) -> None:
    assert Series.ramp(0.9, 0.2, 300).at(seconds) == pytest.approx(load)


def test_before_its_first_point_a_series_has_the_first_load() -> None:
    assert _series([(60, 0.5), (120, 1.0)]).at(0) == 0.5


def test_the_integral_of_a_ramp_is_the_area_below_it() -> None:
    ramp = Series.ramp(0.0, 1.0, 100)

    assert ramp.integral(50) == pytest.approx(12.5)
    assert ramp.integral(300) == pytest.approx(250)


@given(POINTS, st.floats(0, 1000), st.floats(0, 1000))
def test_the_integral_never_falls_as_time_goes_on(
    points: list[tuple[int, float]], first: float, second: float
) -> None:
    series, (early, late) = _series(points), sorted((first, second))

    assert series.integral(early) <= series.integral(late) + 1e-9


@given(POINTS, st.floats(0, 1000))
def test_no_value_lies_outside_the_given_ones(points: list[tuple[int, float]], seconds: float) -> None:
    loads = [load for _, load in points]

    assert min(loads) - 1e-12 <= _series(points).at(seconds) <= max(loads) + 1e-12
