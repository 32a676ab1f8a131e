"""What jobs to come are expected to bring to GPUs that are free, and what a placement makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from loadstar.core.commitments import expected_use
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement
from loadstar.core.load import Signal
from loadstar.core.newcomers import Newcomers, newcomers
from loadstar.core.placement import Given, Placer
from loadstar.core.resources import Resources, devices_of
from loadstar.core.score import MOST_WELCOME, Filled, Weights, predictive
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Snapshot
from tests.builders import (
    GIB,
    GPU,
    GPU_ONLY,
    NOW,
    make_job,
    make_node,
    make_node_loads,
    make_nodes,
    make_request,
    make_snapshot,
)
from tests.queueing import make_running

CPU = SIGNALS.index(Signal.CPU)
SLICE = "nvidia.com/mig-1g.5gb"
CPU_ONLY = Weights({Signal.CPU: 1.0})


def test_before_anything_runs_newcomers_use_four_fifths_of_a_node() -> None:
    found = newcomers([], make_snapshot(make_nodes(2)), Families())
    assert found.use == pytest.approx(np.full((2, len(SIGNALS)), 0.8))


def test_newcomers_use_per_gpu_what_running_gangs_use() -> None:
    # 3 GPUs' worth of guesses with 8 cores each, and 20 + 10 GPUs with 2 and 11 cores; 0.8 of all of them is used
    gangs = [
        make_running("light", ["node-0"], job_request=make_request(20, cpu=40_000)),
        make_running("heavy", ["node-0", "node-1"], job_request=make_request(5, cpu=55_000)),
    ]
    found = newcomers(gangs, make_snapshot(make_nodes(2)), Families())
    cores = 0.8 * (3 * 8 + 40 + 2 * 55) / 33
    assert found.use[:, CPU] == pytest.approx([8 * cores / 64] * 2)
    assert found.use[:, GPU] == pytest.approx([0.8, 0.8])


def test_newcomers_use_what_the_families_of_running_gangs_have_shown() -> None:
    families = Families()
    for _ in range(97):
        families.learn_use("idle", np.zeros(len(SIGNALS)))
    gang = make_running("a", ["node-0"], job_request=make_request(8, cpu=64_000), job_family="idle")
    found = newcomers([gang], make_snapshot(make_nodes(1)), families)
    left = families.use("idle")[CPU]
    assert left < 0.05
    assert found.use[0, CPU] == pytest.approx((3 * 0.8 + 8 * left) / 11)


def test_gangs_without_gpus_tell_nothing_of_those_who_will_take_the_gpus() -> None:
    gang = make_running("web", ["node-0"], gpus=0, job_request=make_request(0, cpu=64_000))
    found = newcomers([gang], make_snapshot(make_nodes(1)), Families())
    assert found.use[0, CPU] == pytest.approx(0.8)


def test_a_node_without_gpus_gets_no_newcomers() -> None:
    found = newcomers([], make_snapshot([make_node("cpu", gpus=0), make_node("gpu")]), Families())
    assert found.use[0].tolist() == [0.0] * len(SIGNALS)


def test_a_cluster_without_gpus_gets_none_either() -> None:
    found = newcomers([], make_snapshot([make_node("cpu", gpus=0)]), Families())
    assert found.use[0].tolist() == [0.0] * len(SIGNALS)


def test_newcomers_fill_what_is_free_and_each_is_another_job() -> None:
    some = Newcomers(np.full((1, len(SIGNALS)), 0.8), np.array([8.0]))
    filled = some.filled(np.array([0]), free=np.array([0.5]), asked=np.array([0.125]))
    assert (filled.without[0, GPU], filled.beside[0, GPU]) == (pytest.approx(0.4), pytest.approx(0.3))
    assert filled.variance[0, GPU] == pytest.approx(4 * (0.4 * 0.1) ** 2)


def test_nothing_is_left_for_newcomers_beside_a_rank_that_asks_for_more_than_is_free() -> None:
    some = Newcomers(np.full((1, len(SIGNALS)), 0.8), np.array([8.0]))
    assert some.filled(np.array([0]), np.array([0.25]), np.array([0.5])).beside[0, GPU] == 0.0


# --- the score -----------------------------------------------------------------------------------------------------


def headroom(use: float, load: float = 0.5) -> float:
    """The term of a rank that uses so much of a node half of which is free for newcomers who would use all of that;
    the rank takes half of what is free."""
    shape = (1, len(SIGNALS))
    filled = Filled(np.full(shape, 0.5), np.full(shape, 0.25), np.zeros(shape))
    scores = predictive(make_node_loads([load]), np.full(shape, use), np.zeros(1), GPU_ONLY, {}, filled)
    assert scores.total[0] == pytest.approx(sum(float(term[0]) for term in scores.terms.values()))
    return float(scores.terms["headroom"][0])


def test_a_rank_like_the_newcomers_changes_nothing_of_what_they_will_make_of_a_node() -> None:
    assert headroom(0.25) == pytest.approx(0.0, abs=1e-6)


def test_a_rank_that_uses_more_costs_what_it_adds_beyond_the_threshold_when_the_node_is_full() -> None:
    # 0.5 + 0.5 without it, 0.5 + 0.35 + 0.25 with it
    assert headroom(0.35) == pytest.approx(-0.1, abs=2e-3)


def test_a_rank_that_uses_less_is_worth_what_it_keeps_away_but_never_much() -> None:
    assert headroom(0.22) == pytest.approx(0.03, abs=2e-3)
    assert headroom(0.0) == MOST_WELCOME


def test_a_node_that_newcomers_leave_calm_has_headroom_for_anybody() -> None:
    assert headroom(0.35, load=0.0) == pytest.approx(0.0, abs=2e-3)


def test_a_rank_that_uses_half_of_its_gpus_leaves_newcomers_the_headroom_that_is_documented() -> None:
    """Forecast 0.7, 2 of 8 GPUs asked of an empty node; newcomers would use 0.8 of all 8: more than counts."""
    snapshot = make_snapshot(make_nodes(1))
    families = Families()
    half = np.full(len(SIGNALS), 0.5)
    for _ in range(1000):
        families.learn_use("half", half)
    own = expected_use(make_request(2), snapshot, families.use("half"))
    found = newcomers([], snapshot, Families())
    filled = found.filled(np.array([0]), np.array([1.0]), np.array([0.25]))
    scores = predictive(make_node_loads([0.7]), own, np.zeros(1), GPU_ONLY, {}, filled)
    assert own[0, GPU] == pytest.approx(0.125, abs=1e-3)
    assert scores.terms["headroom"][0] == MOST_WELCOME


# --- the choice ----------------------------------------------------------------------------------------------------


def chosen(job: Job, loads: list[float]) -> str:
    """Among nodes of which half is taken by jobs that use as much of the CPU, besides these loads of others."""
    nodes = make_nodes(len(loads))
    snapshot = Snapshot(nodes, {node.name: Resources(gpus=4, cpu=32_000) for node in nodes})
    gangs = [make_running(node.name, [node.name], job_request=make_request(4, cpu=32_000)) for node in nodes]
    criteria = Criteria(CPU_ONLY, newcomers=newcomers(gangs, snapshot, Families()))
    outcome = Placer(snapshot, Given(make_node_loads(loads), snapshot), criteria, NOW).place(job)
    assert isinstance(outcome, Placement)
    return outcome.ranks[0].node


def test_a_heavy_job_goes_where_newcomers_leave_room_for_it_and_a_light_one_where_they_do_not() -> None:
    """Neither node is hot with the job alone; one will be when all of its GPUs are taken."""
    loads = [0.5, 0.3]
    light, heavy = make_job(request=make_request(1, cpu=500)), make_job(request=make_request(1, cpu=16_000))
    assert expected_use(heavy.request, make_snapshot(make_nodes(1)))[0, CPU] == pytest.approx(0.2)
    assert chosen(light, loads) == "node-0"
    assert chosen(heavy, loads) == "node-1"


def test_parts_of_gpus_count_as_parts_of_what_is_free() -> None:
    offered = Resources(64_000, 512 * GIB, 2, 110, devices_of({SLICE: 7}))
    snapshot = make_snapshot(
        [replace(make_node("a"), allocatable=offered), make_node("b", gpus=0)],
        {"a": Resources(gpus=1, devices=devices_of({SLICE: 7}))},
    )
    assert snapshot.free_share(np.array([0, 1])).tolist() == [pytest.approx(1 / 3), 0.0]
