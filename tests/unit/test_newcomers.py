"""What jobs to come are expected to bring to GPUs that are free, and what a placement makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from loadstar.core.background import Background
from loadstar.core.commitments import expected_use
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement
from loadstar.core.load import Signal
from loadstar.core.newcomers import Newcomers
from loadstar.core.newcomers import newcomers as expected_newcomers
from loadstar.core.placement import Given, Placer
from loadstar.core.plan import Turn, plan
from loadstar.core.resources import Resources, devices_of
from loadstar.core.running import Running
from loadstar.core.score import Weights
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Snapshot
from tests.builders import (
    GIB,
    GPU,
    GPU_ONLY,
    NOW,
    make_forecaster,
    make_job,
    make_loads,
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


def newcomers(running: list[Running], snapshot: Snapshot, families: Families) -> Newcomers:
    """Of nodes of which no sample has told."""
    return expected_newcomers(running, snapshot, families, Background().of(snapshot.names))


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


def test_what_runs_on_a_node_is_expected_to_use_what_its_families_have_shown() -> None:
    families = Families()
    for _ in range(1000):
        families.learn_use("half", np.full(len(SIGNALS), 0.5))
    gangs = [
        make_running("a", ["node-0", "node-1"], job_request=make_request(2, cpu=16_000), job_family="half"),
        make_running("b", ["node-1"], job_request=make_request(4, cpu=8_000)),
    ]
    taken = {"node-0": make_request(2, cpu=16_000), "node-1": make_request(6, cpu=24_000)}
    held = newcomers(gangs, make_snapshot(make_nodes(3), taken), families).held
    assert held[:, CPU] == pytest.approx([0.5 / 4, 0.5 / 4 + 0.8 / 8, 0.0], abs=1e-3)
    assert held[:, GPU] == pytest.approx([0.5 / 4, 0.5 / 4 + 0.8 / 2, 0.0], abs=1e-3)


def test_of_pods_that_are_no_gangs_the_first_guess_is_expected() -> None:
    held = newcomers(
        [], make_snapshot(make_nodes(1), {"node-0": make_request(4, cpu=16_000)}), Families()
    ).held
    assert held[0, GPU] == pytest.approx(0.4)
    assert held[0, CPU] == pytest.approx(0.2)


def test_where_samples_have_told_what_else_is_there_nothing_is_guessed_of_pods_that_are_no_gangs() -> None:
    snapshot = make_snapshot(make_nodes(2), {name: make_request(4) for name in ("node-0", "node-1")})
    background = np.full((2, len(SIGNALS)), np.nan)
    background[0] = 0.1
    assert expected_newcomers([], snapshot, Families(), background).held[:, GPU] == pytest.approx([0.1, 0.4])


def test_a_gang_that_was_placed_runs_there_for_the_next_one() -> None:
    snapshot, families = make_snapshot(make_nodes(2)), Families()
    some = newcomers([], snapshot, families)
    job = make_job(request=make_request(2))
    outcome = Placer(snapshot, Given(make_node_loads([0.0, 0.5]), snapshot), Criteria(GPU_ONLY), NOW).place(
        job
    )
    assert isinstance(outcome, Placement)
    some.occupy(job, outcome, snapshot, families)
    assert some.held[:, GPU] == pytest.approx([0.2, 0.0])


# --- the score -----------------------------------------------------------------------------------------------------


def headroom(
    use: float, held: float = 0.5, *, coming: float = 1.0, free: float = 0.5, asked: float = 0.25
) -> float:
    """The term of a rank that uses so much of a node, whose jobs use `held` and whose newcomers all of it."""
    shape = (1, len(SIGNALS))
    # On so many GPUs what each newcomer uses evens out.
    some = Newcomers(np.full(shape, coming), np.array([1e9]), np.full(shape, held))
    own = np.full(shape, use)
    return float(some.headroom(np.array([0]), np.array([free]), np.array([asked]), own, GPU_ONLY)[0])


def test_a_rank_like_the_newcomers_changes_nothing_of_what_they_will_make_of_a_node() -> None:
    assert headroom(0.25) == pytest.approx(0.0, abs=1e-6)


def test_a_rank_that_uses_more_costs_what_it_adds_beyond_the_threshold_when_the_node_is_full() -> None:
    # 1.5 + 0.5 without it, 1.5 + 0.35 + 0.25 with it, and both are far above the threshold
    assert headroom(0.35, held=1.5) == pytest.approx(-0.1, abs=1e-3)
    assert -0.1 < headroom(0.35) < -0.07


def test_a_rank_that_uses_less_is_worth_what_it_keeps_away() -> None:
    assert headroom(0.15, held=1.5) == pytest.approx(0.1, abs=1e-3)
    assert 0.07 < headroom(0.15) < 0.1


def test_a_node_that_newcomers_leave_calm_has_headroom_for_anybody() -> None:
    assert headroom(0.35, held=0.0, coming=0.2) == pytest.approx(0.0, abs=5e-3)


def test_nothing_is_left_for_newcomers_beside_a_rank_that_asks_for_more_than_is_free() -> None:
    assert headroom(0.0, free=0.25, asked=0.5) == pytest.approx(headroom(0.0, free=0.25, asked=0.25))


def test_a_rank_that_uses_half_of_its_gpus_leaves_newcomers_the_headroom_that_is_documented() -> None:
    """2 of 8 GPUs asked of an empty node; newcomers would use 0.8 of all 8."""
    snapshot = make_snapshot(make_nodes(1))
    families = Families()
    half = np.full(len(SIGNALS), 0.5)
    for _ in range(1000):
        families.learn_use("half", half)
    own = expected_use(make_request(2), snapshot, families.use("half"))
    found = newcomers([], snapshot, Families())
    term = found.headroom(np.array([0]), np.array([1.0]), np.array([0.25]), own, GPU_ONLY)
    assert own[0, GPU] == pytest.approx(0.125, abs=1e-3)
    assert term[0] == pytest.approx(0.0327, abs=1e-3)


# --- the choice ----------------------------------------------------------------------------------------------------


def chosen(job: Job, held: list[float]) -> str:
    """Among nodes of the same load, half of each taken by jobs that have shown to use so much of the CPU they have."""
    nodes, families = make_nodes(len(held)), Families()
    snapshot = Snapshot(nodes, {node.name: Resources(gpus=4, cpu=32_000) for node in nodes})
    gangs = []
    for node, use in zip(nodes, held, strict=True):
        for _ in range(50):
            families.learn_use(node.name, np.full(len(SIGNALS), use))
        request = make_request(4, cpu=32_000)
        gangs.append(make_running(node.name, [node.name], job_request=request, job_family=node.name))
    criteria = Criteria(CPU_ONLY, newcomers=newcomers(gangs, snapshot, families))
    loads = make_node_loads([0.3] * len(nodes))
    outcome = Placer(snapshot, Given(loads, snapshot), criteria, NOW).place(job)
    assert isinstance(outcome, Placement)
    return outcome.ranks[0].node


def test_a_heavy_job_goes_where_newcomers_leave_room_for_it_and_a_light_one_where_they_do_not() -> None:
    """Neither node is hot with the job alone; one will be when all of its GPUs are taken."""
    held = [1.0, 0.2]
    light, heavy = make_job(request=make_request(1, cpu=500)), make_job(request=make_request(1, cpu=16_000))
    assert expected_use(heavy.request, make_snapshot(make_nodes(1)))[0, CPU] == pytest.approx(0.2)
    assert chosen(light, held) == "node-0"
    assert chosen(heavy, held) == "node-1"


def test_within_a_cycle_a_light_job_goes_to_the_heavy_one_that_came_before_it() -> None:
    """What newcomers would make too hot together with the heavy job, a light one keeps from it."""
    heavy = make_job("heavy", request=make_request(2, cpu=48_000), created_at=NOW - 1.0)
    light = make_job("light", request=make_request(1, cpu=500))
    steady = make_forecaster({"node-0": [0.2] * 4, "node-1": [0.2] * 4})
    loads = make_loads(steady, CPU_ONLY)
    offers = plan([heavy, light], make_snapshot(make_nodes(2)), [], loads, Turn(), NOW)
    nodes = []
    for job in (heavy, light):
        outcome = offers[job.uid].outcome
        assert isinstance(outcome, Placement)
        nodes.append(outcome.ranks[0].node)
    assert nodes == ["node-0", "node-0"]


def test_parts_of_gpus_count_as_parts_of_what_is_free() -> None:
    offered = Resources(64_000, 512 * GIB, 2, 110, devices_of({SLICE: 7}))
    snapshot = make_snapshot(
        [replace(make_node("a"), allocatable=offered), make_node("b", gpus=0)],
        {"a": Resources(gpus=1, devices=devices_of({SLICE: 7}))},
    )
    assert snapshot.free_share(np.array([0, 1])).tolist() == [pytest.approx(1 / 3), 0.0]
