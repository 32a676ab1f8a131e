"""What each rival would do, by numbers worked out by hand from its formula."""

import numpy as np
import pytest

from loadstar.core.load import Signal
from loadstar.simulator.baselines import (
    Allocated,
    Feedback,
    Fgd,
    FirstFit,
    KaiPack,
    LeastLoaded,
    Random,
    RoundRobin,
)
from loadstar.simulator.loadaware import Crane, Koordinator, Lvrb, Tlp, VolcanoUsage
from loadstar.simulator.policy import Question, View
from tests.unit.replays import ask_for, bind, chosen, seen, small_fleet, steady, view_of

LOTS = np.random.default_rng(0)


def scores_of(
    policy: Tlp | Lvrb | Crane | Koordinator | VolcanoUsage, view: View, cores: float = 10
) -> list[float]:
    question = Question(ask_for(cores=cores), view, np.ones(len(view.free), dtype=np.bool_))
    return [float(score) for score in policy.scores(question)]


def test_random_comes_to_all_nodes_and_only_to_those_that_fit() -> None:
    view = view_of(seen([0.1, 0.1, 0.1]), free_gpus=[4, 0, 4])
    policy = Random(np.random.default_rng(1))
    assert {tuple(chosen(policy, view) or ()) for _ in range(30)} == {(0,), (2,)}


def test_first_fit_takes_the_first_name() -> None:
    assert chosen(FirstFit(), view_of(seen([0.9, 0.1, 0.1]), free_gpus=[0, 1, 4])) == [1]


def test_most_allocated_takes_the_fullest_and_least_allocated_the_emptiest() -> None:
    view = view_of(seen([0.1, 0.1, 0.1]), free_gpus=[2, 1, 4])
    assert chosen(Allocated(LOTS, most=True, columns=[2]), view) == [1]
    assert chosen(Allocated(LOTS, most=False, columns=[0, 1]), view) == [2]


def test_least_loaded_takes_the_least_newest_sample() -> None:
    assert chosen(LeastLoaded(), view_of(seen([0.1, 0.9, 0.9], [0.5, 0.4, 0.6]))) == [1]


def test_feedback_adds_its_part_of_the_change() -> None:
    # .5 + .5·.4 = .7; .4 + .5·.5 = .65; .6 - .5·.3 = .45
    assert chosen(Feedback(0.5), view_of(seen([0.1, -0.1, 0.9], [0.5, 0.4, 0.6]))) == [2]


def test_round_robin_goes_on_with_the_next_that_fits() -> None:
    view = view_of(seen([0.1, 0.1, 0.1]), free_gpus=[4, 0, 4])
    policy = RoundRobin()
    bind(policy, view, ask_for(), 0)
    assert chosen(policy, view) == [2]
    bind(policy, view, ask_for(), 2)
    assert chosen(policy, view) == [0]


def test_kai_packs_on_the_node_with_the_fewest_free_gpus() -> None:
    assert chosen(KaiPack(), view_of(seen([0.1, 0.1, 0.1]), free_gpus=[4, 1, 2])) == [1]


def test_fgd_keeps_the_node_whole_that_the_usual_large_jobs_need() -> None:
    # Half of the jobs want four GPUs: a single one breaks up the empty node, or uses what only single ones can use.
    policy = Fgd(small_fleet(), steady([0.0, 1.0], [60.0, 60.0], gpus=[1, 4], cores=[10, 40]))
    assert chosen(policy, view_of(seen([0.1, 0.1, 0.1]), free_gpus=[4, 2, 4])) == [1]


def test_a_gang_gets_as_many_nodes_as_it_has_ranks_or_none() -> None:
    view = view_of(seen([0.3, 0.2, 0.1]), free_gpus=[4, 4, 0])
    assert chosen(LeastLoaded(), view, ask_for(ranks=2)) == [1, 0]
    refusing = VolcanoUsage(LOTS)
    assert chosen(refusing, view_of(seen([0.9, 0.2, 0.9])), ask_for(ranks=2)) is None


def test_tlp_rises_to_its_target_and_falls_behind_it() -> None:
    policy, view = Tlp(LOTS), view_of(seen([0.05, 0.25, 0.45, 0.9]))
    policy.scraped(view)
    # A request of 10 cores counts as 15: U = 20, 40, 60, 105 with T = 40.
    assert scores_of(policy, view) == [60 * 20 / 40 + 40, 100, round(40 * 40 / 60), 0]


def test_tlp_counts_a_bound_pod_for_one_minute_and_then_forgets_it() -> None:
    policy, view = Tlp(LOTS), view_of(seen([0.05, 0.05]))
    policy.scraped(view)
    bind(policy, view, ask_for(cores=10), 0)
    assert scores_of(policy, view) == [92, 70]  # U = 35: 60·35/40 + 40 = 92.5, rounded to even
    view.now = 60.0
    policy.scraped(view)
    assert scores_of(policy, view) == [70, 70]


def test_lvrb_adds_deviation_to_the_mean_and_takes_the_worse_resource() -> None:
    policy, view = Lvrb(LOTS), view_of(seen([0.2, 0.4], [0.6, 0.4], memory=0.1))
    policy.scraped(view)
    # CPU: ((.4 + .1) + .2)/2 = .35 and ((.4 + .1) + 0)/2 = .25; memory: (.1 + .1)/2 = .1
    assert scores_of(policy, view) == [65, 75]


def test_crane_refuses_what_was_hot_and_keeps_off_after_many_binds() -> None:
    policy, view = Crane(LOTS), view_of(seen([0.7, 0.2, 0.2]))
    for number in range(4):
        bind(policy, view, ask_for(number), 1)
    policy.scraped(view)
    # (1 - .2 + 1 - 0)/2 = 90; hot value of node 1 = 4 // 2 + 4 // 5 = 2
    assert scores_of(policy, view) == [-np.inf, 70, 90]


def test_cranes_hot_value_overlooks_the_first_bind() -> None:
    policy, view = Crane(LOTS), view_of(seen([0.2, 0.2, 0.2]))
    bind(policy, view, ask_for(), 1)
    policy.scraped(view)
    assert scores_of(policy, view) == [90, 90, 90]


def test_koordinator_counts_a_pod_by_its_estimate_until_a_report_a_minute_later() -> None:
    policy, view = Koordinator(LOTS), view_of(seen([0.2, 0.2, 0.7], memory=0.1))
    policy.scraped(view)
    bind(policy, view, ask_for(cores=20), 0)
    # Of 10 cores and 10 GiB: e = 8.5 % and 7 %. Node 0 has 17 % and 7 % coming besides.
    free = [(0.545 + 0.76) / 2, (0.715 + 0.83) / 2]
    assert scores_of(policy, view) == [int(100 * free[0]), int(100 * free[1]), -np.inf]
    view.now = 60.0
    policy.scraped(view)
    assert scores_of(policy, view)[0] == int(100 * free[1])


def test_volcano_looks_at_ten_minutes_and_at_nothing_that_was_just_placed() -> None:
    policy, view = VolcanoUsage(LOTS), view_of(seen([0.2, 0.4, 0.85], memory=0.1))
    bind(policy, view, ask_for(), 0)
    assert scores_of(policy, view) == pytest.approx([500 * 0.85, 500 * 0.75, -np.inf])


def test_a_window_holds_no_more_than_its_time() -> None:
    rows = [[1.0]] * 20 + [[0.5]] * 10
    history = seen(*rows)
    assert history.mean(Signal.CPU, 300.0) == pytest.approx([0.5])
    assert history.mean(Signal.CPU, 600.0) == pytest.approx([0.75])
    assert history.highest_mean(Signal.CPU, 300.0, 600.0) == pytest.approx([1.0])
