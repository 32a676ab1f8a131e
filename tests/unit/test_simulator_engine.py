"""Runs small enough to be followed by hand: when jobs start and end, who waits for whom, what slows whom."""

import numpy as np
import pytest

from loadstar.simulator.baselines import FirstFit
from loadstar.simulator.engine import Engine, Queueing, Stuck
from loadstar.simulator.fleet import Array
from loadstar.simulator.outcome import Outcome
from loadstar.simulator.policy import Question
from loadstar.simulator.workload import Workload
from tests.unit.replays import background_of, small_fleet, steady


def run(
    workload: Workload,
    *,
    nodes: int = 1,
    queueing: Queueing = Queueing.FIRST,
    background: Array | None = None,
) -> Outcome:
    there = background_of(nodes) if background is None else background
    return Engine(small_fleet(nodes), workload, there, FirstFit(), queueing).run()


def test_a_job_alone_starts_at_once_and_runs_as_long_as_it_says() -> None:
    outcome = run(steady([7.0, 8.0], [100.0, 200.0], cores=1))
    assert outcome.wait == pytest.approx([0, 0])
    assert outcome.completion == pytest.approx([100, 200])
    assert outcome.stretch == pytest.approx([1, 1])


def test_who_does_not_fit_waits_until_somebody_ends() -> None:
    outcome = run(steady([0.0, 10.0], [100.0, 60.0], gpus=4))
    assert outcome.wait == pytest.approx([0, 90])
    assert outcome.completion == pytest.approx([100, 150])


def test_in_first_come_first_served_the_head_blocks_those_who_would_fit() -> None:
    outcome = run(steady([0.0, 10.0, 20.0], [100.0, 60.0, 60.0], gpus=[3, 4, 1]))
    assert outcome.wait == pytest.approx([0, 90, 140])


def test_in_backfill_they_pass_the_head() -> None:
    jobs = steady([0.0, 10.0, 20.0], [100.0, 60.0, 60.0], gpus=[3, 4, 1])
    assert run(jobs, queueing=Queueing.ALL).wait == pytest.approx([0, 90, 0])


def test_jobs_that_wait_for_their_data_from_the_cpu_share_it() -> None:
    # At the look at 30 s both want 80 of 100 cores: 160 %. From then on each runs at 1/1.6.
    outcome = run(steady([0.0, 0.0], [90.0, 90.0], cores=[50, 50], lag=-60.0))
    assert outcome.completion == pytest.approx([90, 90])
    crowded = steady([0.0, 0.0], [90.0, 90.0], cores=[50, 50], lag=-60.0)
    crowded.used[:, 0] = 80_000
    assert run(crowded).completion == pytest.approx([30 + 60 * 1.6] * 2)


def test_other_jobs_lose_little() -> None:
    crowded = steady([0.0, 0.0], [90.0, 90.0], cores=[50, 50], lag=-60.0, sensitive=False)
    crowded.used[:, 0] = 80_000
    speed = 1 - 0.15 * (1 - 1 / 1.6)
    assert run(crowded).completion == pytest.approx([30 + 60 / speed] * 2)


def test_a_gang_goes_as_fast_as_its_slowest_rank() -> None:
    jobs = steady([0.0, 0.0], [90.0, 90.0], cores=50, ranks=[2, 1], lag=-60.0)
    jobs.used[:, 0] = 80_000
    # First fit: the gang on nodes 0 and 1, the single job beside its first rank.
    outcome = run(jobs, nodes=2)
    assert outcome.completion == pytest.approx([30 + 60 * 1.6] * 2)


def test_two_distributed_jobs_on_one_node_share_its_network() -> None:
    jobs = steady([0.0, 0.0], [90.0, 90.0], ranks=2)
    assert run(jobs, nodes=2).completion == pytest.approx([30 + 60 * 1.25] * 2)


def test_heat_counts_node_time_above_80_percent_until_the_last_arrival() -> None:
    jobs = steady([0.0, 300.0], [300.0, 50.0], cores=10)
    hot = np.full((10, 2), [0.85, 0.5])
    outcome = run(jobs, nodes=2, background=hot)
    # The run has 12 looks (0 s … 330 s); node 0 is hot at each; 300 s are 10 steps.
    assert outcome.hot == pytest.approx(12 / 2 / 10)
    assert outcome.overload == 0


def test_gpus_are_stranded_while_they_are_free_and_somebody_waits() -> None:
    # From 30 s (the first look after the arrival at 10 s) to 90 s one GPU of four is free while a job wants four.
    outcome = run(steady([0.0, 10.0, 300.0], [100.0, 60.0, 60.0], gpus=[3, 4, 1]))
    assert outcome.stranded == pytest.approx(3 * 0.25 / 10)


def test_idle_nodes_draw_their_base_and_busy_gpus_their_limit() -> None:
    outcome = run(steady([0.0, 3600.0], [3600.0, 3600.0], gpus=4, lag=-60.0))
    # 700 W + 4 · 400 W for two hours in which 8 GPU-hours of work are done, after a first look at an idle node.
    idle = (700 + 4 * 65) * 30 / 3600
    assert outcome.energy == pytest.approx((2 * (700 + 4 * 400) + idle) / 8 / 1000)


def test_every_job_that_comes_ends_once_and_gives_back_what_it_took() -> None:
    rng = np.random.default_rng(0)
    jobs = steady(
        np.sort(rng.uniform(0, 3000, 60)).tolist(), rng.uniform(60, 900, 60).tolist(), gpus=[1, 2, 4] * 20
    )
    engine = Engine(small_fleet(3), jobs, background_of(3), FirstFit(), Queueing.FIRST)
    outcome = engine.run()
    assert np.isfinite(outcome.completion).all()
    assert (outcome.completion >= jobs.work - 1e-6).all()
    assert (engine.view.free == engine.view.fleet.capacity).all()


class Greedy(FirstFit):
    """Puts everything on the first node, and looks whether the engine lets it."""

    def choose(self, question: Question) -> list[int]:
        return [0] * question.ask.ranks


def test_a_policy_that_takes_more_than_there_is_is_stopped() -> None:
    jobs = steady([0.0, 1.0], [600.0, 600.0], gpus=4)
    engine = Engine(small_fleet(2), jobs, background_of(2), Greedy(), Queueing.FIRST)
    with pytest.raises(ValueError, match=r"Greedy placed job-1 on rows \[0\]: they don't fit"):
        engine.run()


class Refuses(FirstFit):
    """Never places anything."""

    def choose(self, question: Question) -> None:
        assert question.fits.any()


def test_a_policy_that_never_places_a_job_ends_with_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadstar.simulator.engine.PATIENCE_STEPS", 20)
    engine = Engine(
        small_fleet(), steady([0.0, 1.0], [60.0, 60.0]), background_of(), Refuses(), Queueing.FIRST
    )
    with pytest.raises(
        Stuck, match=r"2 jobs still wait after 20 steps, the first of them asks for \[10000, "
    ):
        engine.run()
