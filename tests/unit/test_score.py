"""Commitments, the combination of signals into one load, and the score's terms, by numbers worked out by hand."""

import numpy as np
import pytest

from loadstar.core.commitments import Committed, committed, expected_use, visibility
from loadstar.core.forecast import SIGNALS, Forecast
from loadstar.core.load import FreshnessPolicy
from loadstar.core.score import (
    NodeLoads,
    combine,
    expected_excess,
    least_loaded,
    plain_feedback,
    predictive,
    round_robin,
)
from tests.builders import (
    GIB,
    GPU,
    GPU_ONLY,
    NOW,
    WEIGHTS,
    make_commitment,
    make_node,
    make_node_loads,
    make_request,
    make_snapshot,
)

NO_USE = np.zeros((2, len(SIGNALS)))
USE = np.full((2, len(SIGNALS)), 0.1)


@pytest.mark.parametrize(("age", "share"), [(0, 0.0), (165, 0.0), (285, 0.5), (405, 1.0), (10_000, 1.0)])
def test_a_jobs_load_comes_into_sight_between_165_and_405_seconds(age: float, share: float) -> None:
    assert visibility(age) == pytest.approx(share)


def test_a_rank_is_expected_to_use_four_fifths_of_what_it_asks() -> None:
    snapshot = make_snapshot([make_node("a", gpus=8)])
    used = dict(
        zip(SIGNALS, expected_use(make_request(2, cpu=16_000, memory=128 * GIB), snapshot)[0], strict=True)
    )
    # 0.8 of 2/8 GPUs, 16/64 cores and 128/512 GiB
    assert used == pytest.approx({"gpu": 0.2, "gpuMemory": 0.2, "cpu": 0.2, "memory": 0.2})


def test_a_node_without_gpus_expects_no_gpu_load() -> None:
    snapshot = make_snapshot([make_node("a", gpus=0)])
    assert expected_use(make_request(2), snapshot)[0, GPU] == 0.0


def test_commitments_on_a_node_add_up_and_fade() -> None:
    snapshot = make_snapshot([make_node("a"), make_node("b")])
    found = committed([make_commitment("a", 2), make_commitment("a", 4, age=285)], snapshot, NOW)
    # 0.8·(2/8)·(1 - 0) + 0.8·(4/8)·(1 - 0.5)
    assert found.coming[:, GPU].tolist() == pytest.approx([0.4, 0.0])


def forecast_of(value: float, *, age: float = 0.0, band: float = 0.1, change: float = 0.0) -> Forecast:
    """One node whose four signals all read the same."""
    shape = (1, len(SIGNALS))
    return Forecast(*(np.full(shape, x) for x in (value, change, value, band, age, value, value + band)))


def combined(
    forecast: Forecast, hidden: float = 0.0, allocated: float = 0.9, alpha: float = 0.1, doubt: float = 0.0
) -> NodeLoads:
    share = np.full((1, len(SIGNALS)), allocated)
    return combine(forecast, coming(hidden, doubt), share, alpha, FreshnessPolicy(90.0, 300.0), WEIGHTS)


def coming(share: float, doubt: float = 0.0) -> Committed:
    """R⁺ of one node, alike in all signals, with its σ."""
    shape = (1, len(SIGNALS))
    return Committed(np.full(shape, share), np.zeros(shape), np.full(shape, doubt**2))


def test_a_nodes_load_is_the_weighted_mean_of_its_signals() -> None:
    values = np.array([[0.8, 0.6, 0.4, 0.2]])
    shape = values.shape
    forecast = Forecast(values, np.zeros(shape), values, np.zeros(shape), np.zeros(shape), values, values)
    loads = combine(forecast, coming(0.0), np.ones(shape), 0.1, FreshnessPolicy(), WEIGHTS)
    # 0.5·0.8 + 0.2·0.6 + 0.2·0.4 + 0.1·0.2
    assert loads.current[0] == pytest.approx(0.62)
    assert loads.forecast[0] == pytest.approx(0.62)


def test_hidden_load_is_added_to_the_forecast_and_to_nothing_else() -> None:
    loads = combined(forecast_of(0.5), hidden=0.3)
    assert loads.forecast[0] == pytest.approx(0.8)
    assert loads.current[0] == loads.plain_feedback[0] == pytest.approx(0.5)


def test_forecast_and_hidden_load_together_stay_below_saturation() -> None:
    assert combined(forecast_of(0.9), hidden=0.3).forecast[0] == pytest.approx(1.0)


def test_the_plain_rule_moves_by_alpha_times_the_change() -> None:
    assert combined(forecast_of(0.6, change=-0.5), alpha=0.1).plain_feedback[0] == pytest.approx(0.55)


def test_a_fresh_band_is_the_root_of_the_weighted_squares() -> None:
    # 0.1·√(0.5² + 0.2² + 0.2² + 0.1²) = 0.1·√0.34
    assert combined(forecast_of(0.5, age=90)).band[0] == pytest.approx(0.1 * 0.34**0.5)


def test_a_band_holds_the_doubt_in_what_is_committed_too() -> None:
    # 90 % of a normal lie within 1.645 σ: √(0.1² + (1.645·0.2)²)·√0.34
    found = combined(forecast_of(0.5), hidden=0.3, doubt=0.2).band[0]
    assert found == pytest.approx((0.1**2 + (1.645 * 0.2) ** 2) ** 0.5 * 0.34**0.5)


def test_what_leaves_is_taken_off_the_forecast_but_never_below_nothing() -> None:
    committed = coming(0.0)
    committed.leaving[:] = 0.3
    shape = (1, len(SIGNALS))
    for value, expected in ((0.5, 0.2), (0.1, 0.0)):
        loads = combine(forecast_of(value), committed, np.ones(shape), 0.1, FreshnessPolicy(), WEIGHTS)
        assert loads.forecast[0] == pytest.approx(expected)


def test_a_stale_band_widens_with_age() -> None:
    assert combined(forecast_of(0.5, age=180)).band[0] == pytest.approx(2 * 0.1 * 0.34**0.5)


@pytest.mark.parametrize("age", [300.1, float("nan")])
def test_a_missing_signal_is_replaced_by_the_allocated_share(age: float) -> None:
    loads = combined(forecast_of(0.1, age=age), hidden=0.3, allocated=0.9)
    assert (loads.current[0], loads.plain_feedback[0], loads.forecast[0]) == pytest.approx((0.9, 0.9, 0.9))
    assert loads.band[0] == 0.0
    assert not loads.measured[0]


def test_one_measured_signal_makes_a_node_measured() -> None:
    forecast = forecast_of(0.1, age=float("nan"))
    forecast.age[0, GPU] = 0.0
    loads = combined(forecast, allocated=0.9)
    assert loads.measured[0]
    assert loads.current[0] == pytest.approx(0.5 * 0.1 + 0.5 * 0.9)


def test_a_signal_without_weight_does_not_make_a_node_measured() -> None:
    forecast = forecast_of(0.1)
    forecast.age[0, GPU] = float("nan")
    shape = (1, len(SIGNALS))
    loads = combine(forecast, coming(0.0), np.ones(shape), 0.1, FreshnessPolicy(), GPU_ONLY)
    assert not loads.measured[0]


def test_expected_excess_without_a_band_is_the_excess() -> None:
    assert expected_excess(np.array([0.7, 0.9]), np.zeros(2), 0.8) == pytest.approx([0.0, 0.1])


def test_expected_excess_at_the_threshold_is_the_half_normal_mean() -> None:
    # σ·φ(0) = 0.1·0.39894
    assert expected_excess(np.array([0.8]), np.array([0.1]), 0.8)[0] == pytest.approx(0.039894, abs=1e-6)


@pytest.mark.parametrize(("mean", "expected"), [(0.7, 0.0083315), (0.9, 0.1083315)])
def test_expected_excess_one_sigma_off(mean: float, expected: float) -> None:
    # σ·(φ(1) - 1·(1 - Φ(1))) = 0.1·(0.2419707 - 0.1586553); above the threshold 0.1 more
    assert expected_excess(np.array([mean]), np.array([0.1]), 0.8)[0] == pytest.approx(expected, abs=1e-6)


def test_a_predictive_score_is_the_sum_of_its_three_terms() -> None:
    scores = predictive(make_node_loads([0.9]), USE[:1], np.array([0.025]), GPU_ONLY)
    # L = 0.9 + 0.1, all of the rank's 0.1 beyond 0.8; 0.001·L; fragmentation as given
    found = {name: float(values[0]) for name, values in scores.terms.items()}
    assert found == pytest.approx({"overload": -0.1, "load": -0.001, "fragmentation": -0.025}, abs=1e-5)
    assert scores.total[0] == pytest.approx(sum(found.values()))


def test_a_node_that_is_hot_anyway_costs_only_what_the_rank_adds() -> None:
    scores = predictive(make_node_loads([0.9, 1.0]), USE, np.zeros(2), GPU_ONLY)
    assert scores.terms["overload"] == pytest.approx([-0.1, -0.1], abs=1e-5)
    assert scores.total[0] > scores.total[1], "of two hot nodes the calmer one"


def test_what_a_rank_adds_itself_counts_as_load_and_is_as_doubtful_as_all_that_is_not_seen() -> None:
    own_use = np.full((1, len(SIGNALS)), 0.2)
    scores = predictive(make_node_loads([0.6]), own_use, np.zeros(1), GPU_ONLY)
    # at the threshold with σ = 0.3·0.2: σ·φ(0) = 0.06·0.39894, and before that 3.3 σ below it
    assert scores.terms["overload"][0] == pytest.approx(-0.0239365, abs=1e-5)
    assert scores.terms["load"][0] == pytest.approx(-0.0008)


def test_each_signals_overload_counts_by_its_weight_beside_the_weightiest() -> None:
    loads = make_node_loads([0.0])
    loads.expected[0] = [0.9, 0.9, 0.9, 0.6]
    scores = predictive(loads, USE[:1], np.zeros(1), WEIGHTS)
    # GPU, GPU memory and CPU get 0.1 hotter, with weights 0.5, 0.2, 0.2 of which the largest counts in full
    assert scores.terms["overload"][0] == pytest.approx(-0.1 * (1 + 0.4 + 0.4), abs=1e-4)


def test_a_signal_that_nobody_measured_is_expected_to_be_what_jobs_use_of_what_is_allocated() -> None:
    loads = combined(forecast_of(0.1, age=float("nan")), allocated=1.0)
    assert loads.expected[0] == pytest.approx(np.full(len(SIGNALS), 0.8))
    assert not loads.sigma.any()


def test_a_kind_of_term_may_be_added_and_counts() -> None:
    scores = predictive(
        make_node_loads([0.0]), NO_USE[:1], np.zeros(1), GPU_ONLY, {"health": np.array([-0.3])}
    )
    assert (scores.terms["health"][0], scores.total[0]) == (-0.3, pytest.approx(-0.3))


def test_of_two_calm_nodes_the_calmer_one_scores_better() -> None:
    scores = predictive(make_node_loads([0.3, 0.1]), NO_USE, np.zeros(2), WEIGHTS)
    assert scores.total[1] > scores.total[0]


def test_an_uncertain_node_near_the_threshold_scores_worse() -> None:
    loads = make_node_loads([0.65, 0.65], band=[0.2, 0.0])
    scores = predictive(loads, USE, np.zeros(2), WEIGHTS)
    assert scores.total[0] < scores.total[1]


def test_the_simple_policies_score_by_their_own_load() -> None:
    loads = make_node_loads([0.9], current=[0.6], plain_feedback=[0.55])
    assert plain_feedback(loads).total[0] == pytest.approx(-0.55)
    assert least_loaded(loads).total[0] == pytest.approx(-0.6)


@pytest.mark.parametrize(("last", "order"), [(None, [0, 1, 2]), (0, [1, 2, 0]), (2, [0, 1, 2])])
def test_round_robin_goes_on_after_the_last_node(last: int | None, order: list[int]) -> None:
    assert np.argsort(-round_robin(3, last).total).tolist() == order
