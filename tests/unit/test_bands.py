"""The band of a forecast: how wide it is after errors of every kind, and how many outcomes it holds in the long run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loadstar.core.bands import BOUNDS, COVERAGE, Bands
from loadstar.core.columns import Floats
from loadstar.core.experts import HORIZONS

ALL = slice(None)
EVER, NEVER = np.float32(np.inf), np.float32(-1.0)
"""Widths that hold every outcome and none."""


def make_bands(nodes: int = 1) -> Bands:
    bands = Bands()
    bands.extend(nodes)
    return bands


def learned(errors: NDArray[np.float64], given: np.float32 = EVER, evidence: float = 1.0) -> Bands:
    """Bands of one node that saw these errors (steps) at every horizon, with this width given before each."""
    bands = make_bands()
    for error in errors.astype(np.float32):
        alike = np.full((len(HORIZONS), 1), error, np.float32)
        bands.learn(ALL, alike, np.full_like(alike, given), np.full_like(alike, evidence))
    return bands


def half_width(bands: Bands, horizon: int = 0) -> float:
    return float(bands.spread(ALL)[0][horizon, 0])


def held(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of errors (steps, horizons, nodes) within the half widths that were given when each was still ahead,
    (horizons). The first 200 steps are only learned from."""
    bands, (steps, _, nodes) = make_bands(errors.shape[2]), errors.shape
    widths = np.zeros((steps, len(HORIZONS), nodes), np.float32)
    inside = np.zeros(errors.shape)
    for step, error in enumerate(errors.astype(np.float32)):
        back = step - HORIZONS.astype(int)
        given: Floats = widths[np.maximum(back, 0), np.arange(len(HORIZONS))]
        known = np.repeat((back >= 0)[:, None], nodes, axis=1).astype(np.float32)
        inside[step] = np.abs(error) <= given
        bands.learn(ALL, error, given, known)
        widths[step] = bands.spread(ALL)[0]
    return np.asarray(inside[200:].mean(axis=(0, 2)))


def walks(steps: int, nodes: int) -> NDArray[np.float64]:
    """Errors of "nothing changes" on random walks: those h steps ahead overlap, and so come in runs of h."""
    rng = np.random.default_rng(3)
    walk = np.cumsum(rng.normal(0.0, 0.01, (steps + 30, nodes)), axis=0)
    return np.stack([walk[30:] - walk[30 - h : -h] for h in HORIZONS.astype(int)], axis=1)


def calm_and_wild(steps: int, nodes: int) -> NDArray[np.float64]:
    """Errors whose size changes tenfold and back, in waves of six hours."""
    rng = np.random.default_rng(4)
    size = 10 ** (0.5 * np.sin(2 * np.pi * np.arange(steps) / 720))
    errors = rng.normal(0.0, 0.02, (steps, len(HORIZONS), nodes)) * size[:, None, None]
    return np.asarray(errors)


def mostly_idle(steps: int, nodes: int) -> NDArray[np.float64]:
    """A fifth of all outcomes misses a forecast that is otherwise exact to the thousandth part of a load."""
    rng = np.random.default_rng(5)
    shape = (steps, len(HORIZONS), nodes)
    return np.where(rng.random(shape) < 0.2, rng.uniform(0.2, 1.0, shape), rng.normal(0.0, 0.001, shape))


@pytest.mark.parametrize("errors", [calm_and_wild, mostly_idle])
def test_nine_of_ten_outcomes_lie_in_the_band_that_was_given_for_them(errors: object) -> None:
    assert callable(errors)
    assert held(errors(3000, 10)) == pytest.approx(np.full(len(HORIZONS), 0.9), abs=0.015)


def test_far_bands_hold_nearly_as_many_as_near_ones_though_their_errors_come_in_runs() -> None:
    shares = held(walks(8000, 10))
    assert shares[:-1] == pytest.approx(np.full(len(HORIZONS) - 1, 0.9), abs=0.015)
    assert 0.87 < shares[-1] < 0.91


def test_where_the_widths_that_were_given_held_too_few_wider_ones_are_given() -> None:
    errors = np.random.default_rng(6).normal(0.0, 0.1, 1000)
    assert half_width(learned(errors, NEVER)) > 1.1 * half_width(learned(errors, EVER))


def test_a_band_that_never_missed_keeps_most_of_its_outcomes_when_that_is_over() -> None:
    errors = np.random.default_rng(7).normal(0.0, 0.1, (2000, len(HORIZONS), 100)).astype(np.float32)
    bands = make_bands(100)
    for error in errors:
        bands.learn(ALL, error, np.full_like(error, EVER), np.ones_like(error))
    share = float((np.abs(errors[1000:]) <= bands.spread(ALL)[0]).mean())
    assert share == pytest.approx(float(COVERAGE + BOUNDS[0]), abs=0.02)


def test_what_is_missed_while_a_new_node_is_learned_is_not_made_up_for_later() -> None:
    errors = np.random.default_rng(8).normal(0.0, 0.1, 100)
    assert half_width(learned(errors, NEVER)) == half_width(learned(errors, EVER))


def test_the_upper_error_is_not_steered_by_the_band() -> None:
    errors = np.random.default_rng(9).normal(0.0, 0.1, 1000)
    low, high = (learned(errors, given).spread(ALL)[1] for given in (EVER, NEVER))
    assert np.array_equal(low, high)


def test_a_wild_hour_that_is_over_leaves_a_narrow_band_within_the_next() -> None:
    rng = np.random.default_rng(10)
    wild, calm = rng.normal(0.0, 0.3, 120), rng.normal(0.0, 0.0003, 120)
    assert half_width(learned(np.concatenate([wild, calm]))) < 0.05 * half_width(learned(wild))


def test_a_band_that_is_given_up_holds_the_small_errors_that_come_then() -> None:
    rng, shape = np.random.default_rng(13), (len(HORIZONS), 10)
    wild, tiny = rng.normal(0.0, 0.3, (200, *shape)), rng.normal(0.0, 1e-6, (300, *shape))
    assert held(np.concatenate([wild, tiny])).min() > 0.85


def test_a_few_good_forecasts_in_a_row_leave_the_band_as_it_was() -> None:
    rng = np.random.default_rng(11)
    wild = rng.normal(0.0, 0.3, 240)
    assert half_width(learned(np.concatenate([wild, np.zeros(8)]))) > 0.8 * half_width(learned(wild))


def test_a_band_around_errors_that_are_all_alike_is_hardly_wider_than_they_are() -> None:
    assert half_width(learned(np.full(600, 0.2))) == pytest.approx(0.2, rel=0.15)


def test_the_first_error_after_a_long_quiet_opens_the_band() -> None:
    quiet = np.zeros(600)
    assert half_width(learned(quiet)) == 0.0
    assert half_width(learned(np.append(quiet, 0.8))) > 0.1


def test_a_far_horizon_that_has_not_seen_it_yet_is_given_the_width_of_the_near_one() -> None:
    bands = make_bands()
    for near in (*([0.001] * 300), *([0.5] * 5)):
        error = np.full((len(HORIZONS), 1), 0.001, np.float32)
        error[0] = near
        bands.learn(ALL, error, error, np.ones_like(error))
    assert half_width(bands, len(HORIZONS) - 1) == half_width(bands) > 0.2


def test_what_is_no_evidence_changes_nothing() -> None:
    errors = np.random.default_rng(12).normal(0.0, 0.1, 300)
    before, after = learned(errors), learned(errors)
    error = np.full((len(HORIZONS), 1), 9.0, np.float32)
    after.learn(ALL, error, error, np.zeros_like(error))
    assert np.array_equal(before.spread(ALL), after.spread(ALL))


@given(st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=200), st.sampled_from([EVER, NEVER]))
def test_no_band_is_negative_or_more_than_twice_as_wide_as_the_largest_error(
    errors: list[float], given: np.float32
) -> None:
    half, upper = learned(np.array(errors), given).spread(ALL)
    largest = max(map(abs, errors))
    assert (half >= 0).all()
    assert (half <= 2 * largest).all()
    assert (np.abs(upper) <= 2 * largest).all()
