"""Replays: the same seed gives the same run, every policy the same truth, and the load asked for is the load drawn."""

import re

import numpy as np
import pytest

from loadstar.core.load import Signal
from loadstar.simulator.background import SCALE, Series, background
from loadstar.simulator.engine import Queueing
from loadstar.simulator.fleet import CPU, GIB, GPUS, MEMORY, Fleet
from loadstar.simulator.replay import OURS, POLICIES, Scenario, draw, run
from loadstar.simulator.truth import Live, Truth
from loadstar.simulator.workload import Trace, as_recorded, sample
from tests.unit.replays import background_of, small_fleet, steady

FLEET = Fleet.alike(4, gpus=8, cores=96, memory_gib=512)


def made_up(jobs: int = 30) -> Trace:
    """Jobs of one to eight GPUs that run some minutes, a few of them gangs."""
    rng = np.random.default_rng(5)
    gpus = rng.choice([1, 1, 1, 2, 4, 8], jobs)
    asked = np.stack([gpus * 10_000, gpus * 20 * GIB, gpus], axis=1).astype(np.int64)
    ranks = np.where(gpus == 4, 2, 1)
    return Trace(np.cumsum(rng.exponential(60.0, jobs)), rng.uniform(70.0, 2000.0, jobs), asked, ranks)


def scenario(queueing: Queueing = Queueing.FIRST) -> Scenario:
    return Scenario(FLEET, made_up(), occupancy=0.7, jobs=30, queueing=queueing)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_runs_all_jobs_and_runs_them_alike_each_time(policy: str) -> None:
    first, second = (run(scenario(), policy, seed=3) for _ in range(2))
    assert np.isfinite(first.completion).all()
    assert (first.wait >= 0).all()
    assert first.completion.tolist() == second.completion.tolist()
    assert first.figures() == second.figures()


def test_with_backfill_nobody_is_lost_either() -> None:
    outcome = run(scenario(Queueing.ALL), OURS, seed=3)
    assert np.isfinite(outcome.completion).all()


def test_another_seed_is_another_run() -> None:
    assert run(scenario(), OURS, seed=1).figures() != run(scenario(), OURS, seed=2).figures()


def test_a_policy_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ValueError, match=re.escape("no policy 'best': choose among loadstar, random, first-fit")
    ):
        run(scenario(), "best", seed=0)


def test_every_policy_has_the_same_jobs_and_the_same_background() -> None:
    one, other = draw(scenario(), 4), draw(scenario(), 4)
    assert (one.workload.used == other.workload.used).all()
    assert (one.workload.arrival == other.workload.arrival).all()
    assert (one.background == other.background).all()


@pytest.mark.parametrize("occupancy", [0.3, 0.9])
def test_jobs_ask_for_the_occupancy_that_was_wished(occupancy: float) -> None:
    drawn = sample(made_up(), FLEET, occupancy, 200, np.random.default_rng(0))
    asked = (drawn.work * drawn.gpus).sum() / (FLEET.gpus * drawn.arrival[-1])
    assert asked == pytest.approx(occupancy)


def test_requests_beyond_the_largest_node_are_cut_to_it() -> None:
    trace = made_up()
    trace.asked[0] = (200_000, 2048 * GIB, 16)
    drawn = sample(trace, FLEET, 0.5, 60, np.random.default_rng(0))
    assert drawn.asked.max(axis=0).tolist() == FLEET.capacity.max(axis=0).tolist()


def test_recorded_times_are_kept_from_the_first_job_on() -> None:
    trace = made_up()
    replayed = as_recorded(trace, FLEET, np.random.default_rng(0))
    assert replayed.arrival == pytest.approx(trace.arrival - trace.arrival[0])
    assert replayed.work == pytest.approx(trace.seconds)


def test_a_trace_without_jobs_is_refused() -> None:
    nothing = Trace(np.zeros(0), np.zeros(0), np.zeros((0, 3), np.int64), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="a trace to replay needs jobs that ran, asked for a GPU"):
        sample(nothing, FLEET, 0.5, 10, np.random.default_rng(0))


def test_a_fleet_without_gpus_is_refused() -> None:
    with pytest.raises(ValueError, match="no node with a GPU"):
        Fleet.alike(2, gpus=0, cores=8, memory_gib=16)


def test_a_recorded_background_is_scaled_and_follows_its_series_in_time() -> None:
    ramp = Series(60.0, np.linspace(0.0, 1.0, 101)[:, None])
    shares = background([ramp], 1, 400, np.random.default_rng(1))[:, 0]
    steps = np.diff(shares)
    assert np.median(steps) == pytest.approx(SCALE * 0.01 / 2)  # 1 % a minute, in steps of half a minute
    assert shares.max() <= SCALE


def test_load_comes_after_the_lag_and_over_the_ramp() -> None:
    jobs = steady([0.0], [600.0], cores=50, lag=60.0)
    truth = Truth(small_fleet(1), jobs, background_of(1, 0.1))
    live = Live(np.array([0]), np.array([0]), np.array([0.0]))
    cpu = [float(truth.load(step, live).by_signal[Signal.CPU][0]) for step in (2, 3, 4, 5)]
    assert cpu == pytest.approx([0.1, 0.35, 0.6, 0.6])  # at 60, 90, 120, 150 s


def test_what_a_family_uses_is_alike_and_memory_stays_within_its_request() -> None:
    drawn = sample(made_up(), FLEET, 0.7, 600, np.random.default_rng(2))
    ratio = np.log(drawn.used[:, CPU] / drawn.asked[:, CPU])
    within = np.mean([ratio[drawn.family == family].std() for family in range(20)])
    assert within == pytest.approx(0.2, abs=0.03)
    assert ratio.std() > 0.35
    assert (drawn.used[:, MEMORY] <= drawn.asked[:, MEMORY]).all()
    assert (drawn.used[:, GPUS] <= drawn.asked[:, GPUS]).all()
