"""Where reconciler and cycle meet: who waits, what counts as taken, and who is told."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from loadstar.controller import capacity
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.cycle import Cycle
from loadstar.controller.gangs import GangWatch
from loadstar.controller.queueing import QueueWatch
from loadstar.controller.workqueue import WorkQueue
from loadstar.core.jobs import Job, Phase, Placement, Policy, RankPlacement
from loadstar.core.placement import Unplaceable
from loadstar.core.plan import Offer
from loadstar.core.snapshot import GPUS
from loadstar.core.volumes import Volume
from tests.builders import NOW, make_loads, make_offer, make_state
from tests.contract.jobs import UID
from tests.unit import raw
from tests.unit.raw import KEY

pytestmark = pytest.mark.looptime


def on(*nodes: str, policy: Policy = Policy.PREDICTIVE) -> Placement:
    """A gang's placement, rank by rank."""
    ranks = (RankPlacement(rank, node, None, 0.0, None, 0.0, {}) for rank, node in enumerate(nodes))
    return Placement(policy, NOW, 300.0, tuple(ranks))


@dataclass
class Stage:
    """A cycle over two nodes of 8 GPUs, and one job of KEY."""

    caches: Caches = field(default_factory=Caches)
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    board: Board = field(default_factory=Board)
    known: tuple[Volume, ...] | None = None
    """What is known of the claims of any job that names some."""

    def __post_init__(self) -> None:
        for name in ("node-a", "node-b"):
            self.caches.put_node(raw.node(name))
        self.cycle = Cycle(
            self.caches,
            self.queue,
            self.board,
            make_loads,
            GangWatch(self.caches, self.board, lambda: NOW).commitments,
            lambda _: self.known,
            QueueWatch(self.caches, self.board, lambda: NOW),
            lambda: NOW,
            lambda *_: None,
        )

    def job(self, **spec: Any) -> Job:
        self.caches.put_job(raw.job(**spec))
        job = self.caches.jobs[KEY].job
        assert job is not None
        return job

    def free_gpus(self) -> list[int]:
        assumed = self.board.assumed(self.caches)
        return [int(free) for free in capacity.snapshot(self.caches, assumed).free[:, GPUS]]

    def hold(self, placement: Placement | None, **changes: Any) -> None:
        """The job's state holds a placement of attempt 1."""
        tracked = self.caches.jobs[KEY]
        tracked.state = replace(make_state(), placement=placement, **changes)


def gpus(number: int) -> dict[str, Any]:
    return {"trainer": {"resourcesPerNode": {"nvidia.com/gpu": number}}}


# --- board -------------------------------------------------------------------------------------------------------


def test_a_job_new_to_the_board_wakes_the_cycle_once() -> None:
    board = Board()
    board.want(KEY, UID)
    assert board.wake.is_set()
    board.wake.clear()
    board.want(KEY, UID)
    assert not board.wake.is_set()
    board.want(KEY, "a new job of that name")
    assert board.wake.is_set()


def test_an_offer_that_is_left_may_help_those_who_wait() -> None:
    board = Board()
    for name, uid in (("one", "1"), ("two", "2")):
        board.want(("research", name), uid)
    board.offers["1"] = make_offer()
    board.wake.clear()
    board.leave(("research", "one"))
    assert board.wake.is_set()
    assert board.offers == {}


def test_an_offer_that_was_taken_is_given_back_by_nobody() -> None:
    board = Board()
    board.want(KEY, UID)
    board.offers[UID] = make_offer()
    board.take(UID)
    board.wake.clear()
    board.leave(KEY)
    assert not board.wake.is_set()


def test_a_job_that_took_over_the_name_of_one_that_waited_inherits_no_offer() -> None:
    stage = Stage()
    stage.job(**gpus(2))
    stage.board.want(KEY, UID)
    stage.board.offers[UID] = make_offer(on("node-a"))
    stage.caches.put_job(raw.job(30, uid="new", **gpus(8)))
    assert stage.free_gpus() == [8, 8]
    stage.board.want(KEY, "new")
    assert stage.board.offers == {}


def test_nobody_is_woken_where_nobody_waits() -> None:
    board = Board()
    board.capacity_changed()
    assert not board.wake.is_set()


# --- capacity ----------------------------------------------------------------------------------------------------


def test_a_gang_counts_from_the_moment_it_was_decided() -> None:
    stage = Stage()
    stage.job(**gpus(2))
    stage.hold(on("node-a", "node-b"))
    assert stage.free_gpus() == [6, 6]


def test_a_gang_counts_once_its_pods_are_seen_or_not() -> None:
    stage = Stage()
    stage.job(**gpus(2))
    stage.hold(on("node-a"))
    stage.caches.put_pod(raw.pod(gpus=2))
    assert stage.free_gpus() == [6, 8]


def test_a_rank_that_ended_takes_nothing_any_more() -> None:
    stage = Stage()
    stage.job(**gpus(2))
    stage.hold(on("node-a", "node-b"))
    stage.caches.put_pod(raw.pod(1, gpus=2, node="node-b", phase="Succeeded"))
    assert stage.free_gpus() == [6, 8]


def test_an_offered_placement_counts_until_it_is_taken() -> None:
    stage = Stage()
    stage.job(**gpus(3))
    stage.board.want(KEY, UID)
    stage.board.offers[UID] = make_offer(on("node-a"))
    assert stage.free_gpus() == [5, 8]
    stage.hold(on("node-a"))
    stage.board.take(UID)
    assert stage.free_gpus() == [5, 8]


def test_living_pods_of_an_older_attempt_count_by_themselves() -> None:
    stage = Stage()
    stage.job(**gpus(2))
    stage.hold(None)
    stage.caches.put_pod(raw.pod(gpus=2))
    assert stage.free_gpus() == [6, 8]


@pytest.mark.parametrize(("phase", "free"), [("Running", 5), ("Succeeded", 8)])
def test_pods_of_others_count_while_they_live(phase: str, free: int) -> None:
    stage = Stage()
    stage.caches.put_pod(raw.pod(owner=None, gpus=3, phase=phase))
    assert stage.free_gpus() == [free, 8]


def test_a_pod_that_is_not_bound_takes_nothing() -> None:
    stage = Stage()
    stage.caches.put_pod(raw.pod(owner=None, gpus=3, node=None, phase="Pending"))
    assert stage.free_gpus() == [8, 8]


def test_the_placement_of_a_finished_job_is_only_a_memory_but_its_living_pods_are_not() -> None:
    stage = Stage()
    stage.job(**gpus(2))
    stage.hold(on("node-a"), phase=Phase.FAILED)
    assert stage.free_gpus() == [8, 8]
    stage.caches.put_pod(raw.pod(gpus=2))
    assert stage.free_gpus() == [6, 8]


# --- cycle -------------------------------------------------------------------------------------------------------


def waiting(stage: Stage, **spec: Any) -> None:
    stage.job(**spec)
    stage.board.want(KEY, UID)


async def test_who_is_placed_is_told_at_once() -> None:
    stage = Stage()
    waiting(stage)
    offers = stage.cycle.plan_once()
    assert isinstance(offers[UID].outcome, Placement)
    assert stage.board.offers == offers
    assert await stage.queue.get() == KEY


async def test_a_placement_that_was_offered_is_not_decided_again() -> None:
    stage = Stage()
    waiting(stage)
    first = stage.cycle.plan_once()
    assert stage.cycle.plan_once() == {}
    assert stage.board.offers == first


async def test_who_fits_nowhere_is_told_at_once_and_then_only_of_changes_and_later() -> None:
    stage = Stage()
    waiting(stage, **gpus(9))
    stage.cycle.plan_once()
    stage.queue.done(await stage.queue.get())
    stage.cycle.plan_once()
    assert len(stage.queue) == 0
    stage.caches.put_node(raw.node("node-c", gpus=4))
    stage.cycle.plan_once()
    assert len(stage.queue) == 0
    assert await stage.queue.get() == KEY  # after the echo's delay, in virtual time


async def test_a_job_that_is_gone_or_replaced_is_not_planned_for() -> None:
    stage = Stage()
    stage.board.want(KEY, UID)
    assert stage.cycle.plan_once() == {}
    stage.job()
    stage.board.want(KEY, "an older job of that name")
    assert stage.cycle.plan_once() == {}


async def test_a_refused_job_is_planned_for_in_every_cycle() -> None:
    stage = Stage()
    waiting(stage)
    refusal = Unplaceable("InsufficientResources", "waiting", ())
    stage.board.offers[UID] = Offer(refusal, make_loads().health, 1)
    assert isinstance(stage.cycle.plan_once()[UID].outcome, Placement)


async def test_after_a_restart_round_robin_goes_on_from_the_last_status() -> None:
    stage = Stage()
    waiting(stage, scheduling={"policy": "roundRobin"})
    other = raw.job(uid="other")
    other["metadata"]["name"] = "other"
    stage.caches.put_job(other)
    tracked = stage.caches.jobs["research", "other"]
    tracked.state = replace(make_state(), placement=on("node-a", policy=Policy.ROUND_ROBIN))
    outcome = stage.cycle.plan_once()[UID].outcome
    assert isinstance(outcome, Placement)
    assert [rank.node for rank in outcome.ranks] == ["node-b"]


# --- claims ------------------------------------------------------------------------------------------------------

MOUNTS = {"volumes": [{"claim": "data", "mountPath": "/data"}]}


def test_a_job_is_planned_once_its_claims_are_known() -> None:
    stage = Stage()
    stage.job(trainer=MOUNTS)
    stage.board.want(KEY, UID)
    assert stage.cycle.plan_once() == {}
    stage.known = (Volume("data", node="node-b"),)
    offer = stage.cycle.plan_once()[UID]
    assert isinstance(offer.outcome, Placement)
    assert [rank.node for rank in offer.outcome.ranks] == ["node-b"]
