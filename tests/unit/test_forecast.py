"""The load formula: the plain feedback rule, and the damped trend by numbers worked out by hand."""

import numpy as np
import pytest

from loadstar.core.forecast import BAND_FLOOR, LAMBDA, RIDGE, TrendForecaster, feedback
from loadstar.core.load import STEP_SECONDS, Sample, Signal
from tests.builders import GPU, NOW, make_forecaster, make_samples

TEN_STEPS = 10 * STEP_SECONDS
DAMPED_TEN = sum(0.9**i for i in range(1, 11))
"""Σ PHI^i of ten steps, summed term by term: 5.861894."""


def value_after(forecaster: TrendForecaster, seconds: float = TEN_STEPS, now: float = NOW) -> float:
    return float(forecaster.forecast(["n"], seconds, now).value[0, GPU])


def line_through(samples: list[tuple[float, float]]) -> tuple[float, float]:
    """Level at the newest sample and slope per step of the discounted line, from its definition."""
    newest = samples[-1][0]
    x = np.array([(at - newest) / STEP_SECONDS for at, _ in samples])
    y = np.array([value for _, value in samples])
    weight = LAMBDA**-x
    mean_x, mean_y = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
    spread = (weight * (x - mean_x) ** 2).sum() + RIDGE
    slope = (weight * (x - mean_x) * (y - mean_y)).sum() / spread
    return float(mean_y - slope * mean_x), float(slope)


def test_the_plain_rule_gives_the_worked_example() -> None:
    # C = (0.6, 0.7, 0.8), each 0.5 lower than a step before, α = 0.1
    found = feedback(np.array([0.6, 0.7, 0.8]), np.array([-0.5, -0.5, -0.5]), alpha=0.1)
    assert found == pytest.approx([0.55, 0.65, 0.75])


def test_the_plain_rule_stays_between_idle_and_saturated() -> None:
    found = feedback(np.array([0.9, 0.1]), np.array([0.5, -0.5]), alpha=1.0)
    assert found.tolist() == [1.0, 0.0]


def test_a_node_never_seen_has_no_forecast() -> None:
    found = TrendForecaster().forecast(["n"], TEN_STEPS, NOW)
    assert np.isnan(found.value).all()
    assert np.isnan(found.current).all()
    assert np.isnan(found.age).all()


def test_nodes_that_are_gone_are_forgotten_and_the_others_are_forecast_as_before() -> None:
    forecaster = make_forecaster({**{f"gone-{number}": [0.9] for number in range(40)}, "n": [0.2, 0.3]})
    before = value_after(forecaster)
    forecaster.keep({"n"})
    assert value_after(forecaster) == before
    assert np.isnan(forecaster.forecast(["gone-0"], TEN_STEPS, NOW).value).all()
    forecaster.observe(make_samples({"n": 0.4, "new": 0.5}, NOW + STEP_SECONDS))
    assert forecaster.forecast(["new"], TEN_STEPS, NOW + STEP_SECONDS).value[0, GPU] == pytest.approx(0.5)


def test_a_node_that_is_away_for_a_moment_keeps_its_history() -> None:
    forecaster = make_forecaster({"n": [0.2, 0.3]})
    before = value_after(forecaster)
    forecaster.keep(())
    assert value_after(forecaster) == before


def test_after_the_first_sample_the_forecast_is_that_sample() -> None:
    found = make_forecaster({"n": [0.3]}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] == pytest.approx(0.3)
    assert found.change[0, GPU] == 0.0
    assert found.band[0, GPU] == BAND_FLOOR


def test_after_two_samples_the_trend_is_believed_by_half() -> None:
    # weights 1, 0.8; slope = (-0.16 + 0.8·0.46/1.8) / (0.8 - 0.64/1.8 + 0.5) = 4/85; level = 47/170
    forecaster = make_forecaster({"n": [0.2, 0.3]})
    assert value_after(forecaster) == pytest.approx(47 / 170 + 4 / 85 * 5.861894, abs=1e-6)


def test_two_samples_give_the_change_and_the_band_of_one_surprise() -> None:
    found = make_forecaster({"n": [0.2, 0.3]}).forecast(["n"], TEN_STEPS, NOW)
    assert found.change[0, GPU] == pytest.approx(0.1)
    # mean absolute error 0.1·|0.3 - 0.2|; times 1.645·1.2533·√10
    assert found.band[0, GPU] == pytest.approx(0.0652, abs=1e-4)


def test_a_constant_load_is_forecast_as_it_is() -> None:
    found = make_forecaster({"n": [0.5] * 20}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] == pytest.approx(0.5)
    assert found.band[0, GPU] == BAND_FLOOR


def test_a_ramp_goes_on_but_ever_more_slowly() -> None:
    ramp = [0.1 + 0.01 * step for step in range(30)]
    samples = [(NOW + 30 * (step - 29), value) for step, value in enumerate(ramp)]
    level, slope = line_through(samples)
    assert slope == pytest.approx(0.01, rel=0.03)
    assert value_after(make_forecaster({"n": ramp})) == pytest.approx(level + slope * DAMPED_TEN)


def test_irregular_sample_times_are_exact() -> None:
    samples = [(NOW - 400, 0.2), (NOW - 310, 0.35), (NOW - 290, 0.3), (NOW - 40, 0.5), (NOW, 0.45)]
    forecaster = TrendForecaster()
    for at, value in samples:
        forecaster.observe(make_samples({"n": value}, at))
    level, slope = line_through(samples)
    assert value_after(forecaster) == pytest.approx(level + slope * DAMPED_TEN)


def test_noise_around_a_level_is_forecast_near_that_level_with_a_band() -> None:
    noise = np.random.default_rng(7).normal(0.0, 0.05, 200)
    found = make_forecaster({"n": [0.5 + float(n) for n in noise]}).forecast(["n"], TEN_STEPS, NOW)
    assert abs(found.value[0, GPU] - 0.5) < found.band[0, GPU]
    assert found.band[0, GPU] > 0.2


def test_a_cooling_node_is_forecast_below_a_heating_one_though_its_load_is_higher() -> None:
    falling = [0.9, 0.84, 0.78, 0.72, 0.66, 0.6, 0.54]
    rising = [0.2, 0.24, 0.28, 0.32, 0.36, 0.4, 0.44]
    forecaster = make_forecaster({"cooling": falling, "heating": rising})
    found = forecaster.forecast(["cooling", "heating"], TEN_STEPS, NOW)
    assert found.current[0, GPU] > found.current[1, GPU]
    assert found.value[0, GPU] < found.value[1, GPU]


def test_from_the_worked_ends_the_cooled_node_is_below_the_heated_one() -> None:
    forecaster = make_forecaster({"cooling": [0.9, 0.7, 0.4, 0.2], "heating": [0.2, 0.3, 0.45, 0.6]})
    cooling, heating = forecaster.forecast(["cooling", "heating"], TEN_STEPS, NOW).value[:, GPU]
    assert cooling < 0.2
    assert heating > 0.6


@pytest.mark.parametrize(("series", "bound"), [([0.5, 0.7, 0.9, 1.0], 1.0), ([0.5, 0.3, 0.1, 0.0], 0.0)])
def test_a_forecast_stays_between_idle_and_saturated(series: list[float], bound: float) -> None:
    assert value_after(make_forecaster({"n": series})) == bound


def test_a_sample_that_is_not_newer_changes_nothing() -> None:
    once, twice = make_forecaster({"n": [0.2, 0.3]}), make_forecaster({"n": [0.2, 0.3]})
    twice.observe(make_samples({"n": 0.9}, NOW))
    twice.observe(make_samples({"n": 0.9}, NOW - 10))
    assert value_after(twice) == value_after(once)


def test_the_age_of_the_newest_sample_lengthens_the_horizon() -> None:
    forecaster = make_forecaster({"n": [0.2, 0.3]})
    assert value_after(forecaster, TEN_STEPS, NOW + 60) == value_after(forecaster, TEN_STEPS + 60, NOW)
    assert forecaster.forecast(["n"], TEN_STEPS, NOW + 60).age[0, GPU] == 60.0


def test_a_jump_to_a_new_level_is_no_trend() -> None:
    jumped = make_forecaster({"n": [0.1, 0.1, 0.1, 0.9]})
    assert value_after(jumped) == pytest.approx(0.9)


def test_the_trend_after_a_jump_is_that_of_the_samples_since() -> None:
    since, all_of_it = [0.9, 0.85, 0.8, 0.75], [0.1, 0.1, 0.1, 0.9, 0.85, 0.8, 0.75]
    assert value_after(make_forecaster({"n": all_of_it})) == pytest.approx(
        value_after(make_forecaster({"n": since}))
    )


def test_signals_are_kept_apart() -> None:
    forecaster = TrendForecaster()
    forecaster.observe({Signal.CPU: {"n": Sample(0.4, NOW)}, Signal.GPU: {"n": Sample(0.9, NOW)}})
    found = forecaster.forecast(["n"], TEN_STEPS, NOW)
    assert found.current[0].tolist()[:1] == [0.9]
    assert np.isnan(found.current[0]).sum() == 2


def test_nodes_are_kept_apart_however_many_there_are() -> None:
    values = {f"n{number}": number / 100 for number in range(100)}
    forecaster = TrendForecaster()
    for node, value in values.items():
        forecaster.observe(make_samples({node: value}))
    found = forecaster.forecast(list(values), TEN_STEPS, NOW)
    assert found.value[:, GPU] == pytest.approx(list(values.values()))
