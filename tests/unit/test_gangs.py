"""What becomes of placed gangs, from the caches' point of view."""

from dataclasses import dataclass, field, replace
from math import isnan
from typing import Any

import pytest

from loadstar.controller.board import Board
from loadstar.controller.caches import Caches
from loadstar.controller.gangs import GHOST_SECONDS, GangWatch
from loadstar.core.jobs import Alternative, Hindsight, Job, Phase, Placement, Policy, RankPlacement
from tests.builders import GPU, NOW, make_forecaster, make_loads, make_offer, make_samples, make_state
from tests.contract.jobs import UID
from tests.unit import raw
from tests.unit.raw import KEY

HORIZON = 300.0


def placed(*nodes: str, decided_at: float = NOW) -> Placement:
    """At a load of 0.2, forecast to become 0.3 ± 0.1; node-b would have been the other choice."""
    ranks = (RankPlacement(rank, node, 0.2, 0.3, 0.1, -0.1, {}) for rank, node in enumerate(nodes))
    other = Alternative("node-b", 0.2, 0.3, 0.1, -0.2, {})
    return Placement(Policy.PREDICTIVE, decided_at, HORIZON, tuple(ranks), alternatives=(other,))


@dataclass
class Stage:
    """Two nodes of 8 GPUs, and one job of KEY that asks for two of them."""

    now: float = NOW
    caches: Caches = field(default_factory=Caches)
    board: Board = field(default_factory=Board)

    def __post_init__(self) -> None:
        for name in ("node-a", "node-b"):
            self.caches.put_node(raw.node(name))
        self.gangs = GangWatch(self.caches, self.board, lambda: self.now)
        self.caches.put_job(raw.job(trainer={"resourcesPerNode": {"nvidia.com/gpu": 2}}))
        self.forecaster = make_forecaster({"node-a": [0.2] * 5, "node-b": [0.2] * 5})
        self.loads = make_loads(self.forecaster)

    @property
    def job(self) -> Job:
        job = self.caches.jobs[KEY].job
        assert job is not None
        return job

    def hold(self, placement: Placement | None, phase: Phase = Phase.RUNNING, **changes: Any) -> None:
        self.caches.jobs[KEY].state = replace(make_state(), placement=placement, phase=phase, **changes)

    def measure(self, node_a: float, node_b: float = 0.2) -> list[tuple[str, str]]:
        """The samples of this moment arrive."""
        self.forecaster.observe(make_samples({"node-a": node_a, "node-b": node_b}, self.now))
        return self.gangs.sampled(self.loads)


def test_every_decided_rank_is_a_commitment_of_its_own() -> None:
    stage = Stage()
    stage.hold(placed("node-a", "node-b"))
    found = stage.gangs.commitments()
    assert [(one.node, one.request, one.decided_at) for one in found] == [
        (name, stage.job.request, NOW) for name in ("node-a", "node-b")
    ]
    assert {one.family for one in found} == {"mlp/research"}


def test_what_was_offered_counts_before_any_status_says_so_and_once() -> None:
    stage = Stage()
    stage.board.want(KEY, UID)
    stage.board.offers[UID] = make_offer(placed("node-a"))
    assert len(stage.gangs.commitments()) == 1
    stage.hold(placed("node-a"))
    stage.board.take(UID)
    stage.board.leave(KEY)
    assert [one.ended_at for one in stage.gangs.commitments()] == [None]


def test_a_finished_job_is_a_ghost_also_for_an_operator_that_just_started() -> None:
    stage = Stage(now=NOW + 1000)
    stage.hold(placed("node-a"), Phase.SUCCEEDED, completion_time=NOW + 990)
    assert [one.ended_at for one in stage.gangs.commitments()] == [NOW + 990]


def test_a_job_that_finished_long_ago_is_none() -> None:
    stage = Stage(now=NOW + 990 + GHOST_SECONDS + 1)
    stage.hold(placed("node-a"), Phase.SUCCEEDED, completion_time=NOW + 990)
    assert stage.gangs.commitments() == []


def test_a_deleted_job_is_a_ghost_since_it_was_missed() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.gangs.commitments()
    stage.caches.drop_job(KEY, UID)
    stage.now = NOW + 600
    assert [one.ended_at for one in stage.gangs.commitments()] == [NOW + 600]


def test_once_the_horizon_has_passed_the_job_is_told_what_became_of_its_forecast() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.now = NOW + HORIZON - 1
    assert stage.measure(0.4) == []
    stage.now = NOW + HORIZON + 10
    assert stage.measure(0.45, node_b=0.2) == [KEY]
    own = 0.8 * 2 / 8
    seen = stage.caches.jobs[KEY].hindsight
    assert seen is not None
    assert (seen.reached_at, seen.within_band) == (NOW + HORIZON, 1.0)
    assert (seen.load, seen.error) == pytest.approx((0.45, 0.3 + own - 0.45))
    assert (seen.persistence_error, seen.regret) == pytest.approx((0.2 + own - 0.45, 0.45 - (0.2 + own)))


def test_it_is_told_once() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.now = NOW + HORIZON + 10
    assert stage.measure(0.45) == [KEY]
    stage.now += 30
    assert stage.measure(0.9) == []
    assert stage.gangs.accuracy().placements == 1


def test_a_sample_from_before_the_horizon_does_not_judge() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.now = NOW + HORIZON - 20
    stage.measure(0.4)
    stage.now = NOW + HORIZON + 10
    assert stage.gangs.sampled(stage.loads) == []


def test_where_no_sample_comes_in_time_the_forecast_is_never_judged() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.now = NOW + HORIZON + 301
    assert stage.gangs.sampled(stage.loads) == []
    stage.now += 10
    assert stage.measure(0.45) == []


def test_a_job_that_was_over_by_then_was_expected_to_add_nothing() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.gangs.commitments()
    stage.now = NOW + 100
    stage.hold(placed("node-a"), Phase.SUCCEEDED, completion_time=NOW + 100)
    stage.gangs.commitments()
    stage.now = NOW + HORIZON + 10
    assert stage.measure(0.28) == [KEY]
    assert stage.gangs.accuracy().mae == pytest.approx(0.02)


def test_a_deleted_jobs_forecast_counts_too() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.gangs.commitments()
    stage.caches.drop_job(KEY, UID)
    stage.now = NOW + HORIZON + 10
    assert stage.measure(0.3) == []
    assert stage.gangs.accuracy().placements == 1


def test_after_a_restart_the_figures_begin_with_what_statuses_say() -> None:
    stage = Stage()
    assert isnan(stage.gangs.accuracy().mae)
    stage.hold(replace(placed("node-a"), hindsight=Hindsight(NOW, 0.5, -0.1, 0.2, 1.0, 0.0)))
    stage.gangs.remember()
    found = stage.gangs.accuracy()
    assert (found.mae, found.skill) == pytest.approx((0.1, 0.5))
    stage.now = NOW + HORIZON + 10
    assert stage.measure(0.9) == []


def test_after_a_restart_families_are_known_by_what_statuses_say_and_taught_once() -> None:
    stage = Stage(now=NOW + 4000)
    seen = Hindsight(NOW + HORIZON, 0.5, -0.1, 0.2, 1.0, 0.0, use={"gpu": 0.0}, lag=25.0)
    stage.hold(replace(placed("node-a"), hindsight=seen))
    stage.gangs.remember()
    assert stage.gangs.families.use("mlp/research")[GPU] == pytest.approx(0.6)
    assert stage.gangs.families.lag("mlp/research") == pytest.approx(85.0)
    for step in range(1, 40):
        stage.now = NOW + 4000 + 30 * step
        stage.measure(0.9)
    assert stage.gangs.families.use("mlp/research")[GPU] == pytest.approx(0.6)


def test_what_jobs_use_is_learned_for_those_that_plan() -> None:
    stage = Stage()
    stage.hold(placed("node-a"))
    stage.now = NOW
    stage.measure(0.0)
    for step in range(1, 40):
        stage.now = NOW + 30 * step
        stage.measure(0.05)  # 0.2 of two GPUs
    seen = stage.caches.jobs[KEY].hindsight
    assert seen is not None
    assert seen.use["gpu"] == pytest.approx(0.2, abs=0.05)
    assert seen.lag == 30.0
    assert stage.gangs.families.use("mlp/research")[GPU] == pytest.approx(0.65, abs=0.02)
