"""The load formula: the plain feedback rule, and what the mix of experts makes of loads of every shape."""

import numpy as np
import pytest

from loadstar.core.experts import EXPERTS, HORIZONS
from loadstar.core.forecast import DEFAULT_SCALE, Forecaster, Scale, feedback
from loadstar.core.load import STEP_SECONDS, Sample, Signal
from tests.builders import GPU, NOW, make_forecaster, make_samples

TEN_STEPS = 10 * STEP_SECONDS
ALPHA, TREND = EXPERTS.index("plain rule"), EXPERTS.index("trend")


def value_after(forecaster: Forecaster, seconds: float = TEN_STEPS, now: float = NOW) -> float:
    return float(forecaster.forecast(["n"], seconds, now).value[0, GPU])


def band_after(forecaster: Forecaster, seconds: float = TEN_STEPS, now: float = NOW) -> float:
    return float(forecaster.forecast(["n"], seconds, now).band[0, GPU])


def noise(deviation: float, count: int, seed: int = 7) -> list[float]:
    return [float(n) for n in np.random.default_rng(seed).normal(0.0, deviation, count)]


def test_the_plain_rule_gives_the_worked_example() -> None:
    # C = (0.6, 0.7, 0.8), each 0.5 lower than a step before, α = 0.1
    found = feedback(np.array([0.6, 0.7, 0.8]), np.array([-0.5, -0.5, -0.5]), alpha=0.1)
    assert found == pytest.approx([0.55, 0.65, 0.75])


def test_the_plain_rule_stays_between_idle_and_saturated() -> None:
    found = feedback(np.array([0.9, 0.1]), np.array([0.5, -0.5]), alpha=1.0)
    assert found.tolist() == [1.0, 0.0]


def test_a_node_never_seen_has_no_forecast() -> None:
    found = Forecaster().forecast(["n"], TEN_STEPS, NOW)
    for values in (found.current, found.change, found.value, found.band, found.age, found.mean, found.upper):
        assert np.isnan(values).all()


def test_after_the_first_sample_the_forecast_is_that_sample() -> None:
    found = make_forecaster({"n": [0.3]}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] == pytest.approx(0.3)
    assert found.change[0, GPU] == 0.0
    assert found.band[0, GPU] == DEFAULT_SCALE.least_band


def test_a_constant_load_is_forecast_as_it_is() -> None:
    found = make_forecaster({"n": [0.5] * 20}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] == pytest.approx(0.5)
    assert found.mean[0, GPU] == pytest.approx(0.5)
    assert found.band[0, GPU] == DEFAULT_SCALE.least_band


def test_the_change_is_that_of_the_last_two_samples_per_step() -> None:
    found = make_forecaster({"n": [0.2, 0.3]}).forecast(["n"], TEN_STEPS, NOW)
    assert found.change[0, GPU] == pytest.approx(0.1)
    late = Forecaster()
    late.observe(make_samples({"n": 0.2}, NOW - 2 * STEP_SECONDS))
    late.observe(make_samples({"n": 0.3}, NOW))
    assert late.forecast(["n"], TEN_STEPS, NOW).change[0, GPU] == pytest.approx(0.05)


def test_a_ramp_goes_on_and_the_trend_gets_the_credit() -> None:
    forecaster = make_forecaster({"n": [0.1 + 0.01 * step for step in range(30)]})
    assert 0.39 + 0.04 < value_after(forecaster) < 0.39 + 0.1
    by_expert = forecaster.weights(["n"])[0, GPU, int(np.flatnonzero(HORIZONS == 10)[0])]
    assert by_expert[ALPHA] + by_expert[TREND] > 0.9


@pytest.mark.parametrize("interval", [5.0, 10.0, 15.0, 30.0])
def test_samples_that_come_faster_than_one_per_step_show_a_ramp_as_well(interval: float) -> None:
    forecaster = Forecaster()
    for back in range(int(300 / interval), -1, -1):
        forecaster.observe(
            make_samples({"n": 0.8 - 0.06 * back * interval / STEP_SECONDS}, NOW - back * interval)
        )
    assert value_after(forecaster) > 0.95


def test_samples_that_come_at_half_the_pace_are_learned_from_too() -> None:
    forecaster = Forecaster()
    for back, change in zip(range(200, 0, -1), noise(0.05, 200), strict=True):
        forecaster.observe(make_samples({"n": 0.5 + change}, NOW - 2 * back * STEP_SECONDS))
    found = forecaster.forecast(["n"], STEP_SECONDS, NOW)
    assert 0.04 < found.band[0, GPU] < 0.2
    assert found.value[0, GPU] == pytest.approx(0.5, abs=0.04)


def test_noise_around_a_level_is_forecast_near_that_level_with_a_band() -> None:
    found = make_forecaster({"n": [0.5 + n for n in noise(0.05, 200)]}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] == pytest.approx(0.5, abs=0.02)
    # nine of ten of a normal variable lie within 1.645 σ of its mean, and below 1.28 σ above it
    assert found.band[0, GPU] == pytest.approx(1.645 * 0.05, rel=0.35)
    assert found.upper[0, GPU] - found.value[0, GPU] == pytest.approx(1.28 * 0.05, rel=0.4)


def test_of_a_load_that_is_mostly_idle_the_mean_lies_above_the_forecast() -> None:
    spikes = [0.6 if chance < 0.2 else 0.0 for chance in np.random.default_rng(1).random(600)]
    found = make_forecaster({"n": [*spikes, 0.0, 0.0]}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] < 0.05
    assert found.mean[0, GPU] == pytest.approx(0.12, abs=0.06)
    assert found.upper[0, GPU] > 0.4


def test_a_cooling_node_is_forecast_below_a_heating_one_though_its_load_is_higher() -> None:
    falling = [0.9, 0.84, 0.78, 0.72, 0.66, 0.6, 0.54]
    rising = [0.2, 0.24, 0.28, 0.32, 0.36, 0.4, 0.44]
    forecaster = make_forecaster({"cooling": falling, "heating": rising})
    found = forecaster.forecast(["cooling", "heating"], TEN_STEPS, NOW)
    assert found.current[0, GPU] > found.current[1, GPU]
    assert found.value[0, GPU] < found.value[1, GPU]


def test_two_nodes_that_leave_a_long_quiet_in_opposite_directions_are_seen_to_cross_before_they_do() -> None:
    forecaster = Forecaster()
    for back in range(600, 0, -5):
        forecaster.observe(make_samples({"cooling": 0.1, "heating": 0.1}, NOW - back))
    for after in range(0, 61, 5):  # they cross at 75 s
        moved = 0.9 * after / 150
        forecaster.observe(make_samples({"cooling": 0.95 - moved, "heating": 0.05 + moved}, NOW + after))
    found = forecaster.forecast(["cooling", "heating"], 300, NOW + 60)
    assert found.value[1, GPU] - found.value[0, GPU] > 0.4


@pytest.mark.parametrize(("series", "bound"), [([0.1, 0.4, 0.7, 1.0], 1.0), ([0.9, 0.6, 0.3, 0.0], 0.0)])
def test_a_forecast_stays_between_idle_and_saturated(series: list[float], bound: float) -> None:
    found = make_forecaster({"n": series}).forecast(["n"], TEN_STEPS, NOW)
    assert found.value[0, GPU] == bound
    assert 0.0 <= found.mean[0, GPU] <= 1.0
    assert 0.0 <= found.upper[0, GPU] <= 1.0


def test_a_jump_to_a_new_level_is_no_trend_and_soon_the_new_level_itself() -> None:
    jumped = make_forecaster({"n": [*([0.1] * 60), 0.9]})
    assert 0.6 < value_after(jumped) <= 0.9
    settled = make_forecaster({"n": [*([0.1] * 60), *([0.9] * 6)]})
    assert value_after(settled) == pytest.approx(0.9, abs=0.02)


def test_a_band_opens_at_once_when_a_long_quiet_ends() -> None:
    quiet = make_forecaster({"n": [0.1] * 240})
    assert band_after(quiet) == DEFAULT_SCALE.least_band
    stirred = make_forecaster({"n": [*([0.1] * 240), 0.9, 0.2, 0.8, 0.1]})
    assert band_after(stirred) > 0.15


def test_a_sample_that_is_not_newer_changes_nothing() -> None:
    once, twice = make_forecaster({"n": [0.2, 0.3]}), make_forecaster({"n": [0.2, 0.3]})
    twice.observe(make_samples({"n": 0.9}, NOW))
    twice.observe(make_samples({"n": 0.9}, NOW - 10))
    assert value_after(twice) == value_after(once)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_sample_that_is_no_number_changes_nothing(value: float) -> None:
    forecaster = make_forecaster({"n": [0.2, 0.3]})
    before = value_after(forecaster)
    forecaster.observe(make_samples({"n": value, "other": 0.5}, NOW + 30))
    assert value_after(forecaster) == before
    assert forecaster.forecast(["n"], TEN_STEPS, NOW + 30).age[0, GPU] == 30.0


def test_the_age_of_the_newest_sample_lengthens_the_horizon() -> None:
    forecaster = make_forecaster({"n": [0.5, 0.53, 0.56]})
    assert value_after(forecaster, TEN_STEPS, NOW + 60) == value_after(forecaster, TEN_STEPS + 60, NOW)
    assert forecaster.forecast(["n"], TEN_STEPS, NOW + 60).age[0, GPU] == 60.0


def test_a_clock_that_is_behind_the_sample_makes_it_no_younger_than_new() -> None:
    forecaster = make_forecaster({"n": [0.2, 0.3]})
    assert value_after(forecaster, TEN_STEPS, NOW - 20) == value_after(forecaster, TEN_STEPS, NOW)


def test_the_band_widens_with_age_and_with_the_root_of_time_beyond_what_was_learned() -> None:
    forecaster = make_forecaster({"n": [min(1.0, max(0.0, 0.5 + n)) for n in np.cumsum(noise(0.01, 300))]})
    bands = [band_after(forecaster, 900, NOW + age) for age in (0, 60, 300, 900, 2700)]
    assert bands == sorted(bands)
    assert bands[-1] == pytest.approx(2 * bands[0], rel=1e-6)


def test_a_horizon_between_two_learned_ones_is_forecast_between_their_forecasts() -> None:
    forecaster = make_forecaster({"n": [0.2 + 0.01 * step + n for step, n in enumerate(noise(0.02, 60))]})
    five, seven, ten = (value_after(forecaster, steps * STEP_SECONDS) for steps in (5, 7, 10))
    assert seven == pytest.approx(five + (ten - five) * 2 / 5)


def test_signals_are_kept_apart() -> None:
    forecaster = Forecaster()
    forecaster.observe({Signal.CPU: {"n": Sample(0.4, NOW)}, Signal.GPU: {"n": Sample(0.9, NOW)}})
    found = forecaster.forecast(["n"], TEN_STEPS, NOW)
    assert found.current[0, GPU] == pytest.approx(0.9)
    assert np.isnan(found.current[0]).sum() == 2


def test_nodes_are_kept_apart_however_many_there_are() -> None:
    values = {f"n{number}": number / 100 for number in range(100)}
    forecaster = Forecaster()
    for node, value in values.items():
        forecaster.observe(make_samples({node: value}))
    found = forecaster.forecast(list(values), TEN_STEPS, NOW)
    assert found.value[:, GPU] == pytest.approx(list(values.values()))


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


def test_the_learned_alpha_of_a_load_that_swings_to_and_fro_is_negative_and_of_a_smooth_one_positive() -> (
    None
):
    series = {"swings": [0.5 + 0.2 * (-1) ** step for step in range(100)]}
    series["smooth"] = [0.5 + 0.3 * float(np.sin(step / 20)) for step in range(100)]
    alphas = make_forecaster(series).alphas(["swings", "smooth", "unknown"])[:, GPU, 0]
    assert alphas[0] == pytest.approx(-1.0, abs=0.05)
    assert alphas[1] == pytest.approx(0.9, abs=0.05)
    assert np.isnan(alphas[2])


def test_the_weights_of_the_experts_sum_to_one() -> None:
    weights = make_forecaster({"n": [0.5 + n for n in noise(0.1, 100)]}).weights(["n"])[0, GPU]
    assert weights.sum(axis=-1) == pytest.approx(np.ones(len(HORIZONS)))
    assert (weights >= 0).all()


def test_loads_in_other_units_are_forecast_alike() -> None:
    shares = [0.5 + n for n in noise(0.1, 100)]
    percent = Forecaster(Scale(ceiling=100.0, least_band=2.0))
    for back, share in zip(range(99, -1, -1), shares, strict=True):
        percent.observe(make_samples({"n": 100 * share}, NOW - back * STEP_SECONDS))
    assert value_after(percent) == pytest.approx(100 * value_after(make_forecaster({"n": shares})), rel=1e-4)
