"""The queue in the operator: priorities, quotas and evictions as the cycle sees them, and the books it keeps."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from loadstar.api.cluster import observe_priority_class, observe_quota
from loadstar.api.resources import SHARED_GPU
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key, Tracked
from loadstar.controller.cycle import Cycle
from loadstar.controller.gangs import GangWatch
from loadstar.controller.queueing import QueueWatch
from loadstar.controller.workqueue import WorkQueue
from loadstar.core import conditions as c
from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.devices import GPU
from loadstar.core.jobs import Failure, JobState, Phase, Placement, Policy, RankPlacement
from loadstar.core.plan import Offer
from loadstar.core.priority import PriorityClass
from tests.builders import NOW, make_loads, make_state
from tests.unit import raw

pytestmark = pytest.mark.looptime

Json = dict[str, Any]


def placement(*nodes: str, decided_at: float = NOW - 1000) -> Placement:
    ranks = (RankPlacement(rank, node, None, 0.0, None, 0.0, {}) for rank, node in enumerate(nodes))
    return Placement(Policy.PREDICTIVE, decided_at, 300.0, tuple(ranks))


START_UP = 20.0
"""Seconds in which the pods of a gang start."""


def running(*nodes: str, since: float = NOW - 1000, attempt: int = 1) -> JobState:
    """The state of a job whose ranks run on these nodes."""
    condition = Condition(c.RUNNING, Status.TRUE, "Running", "", since, 1)
    state = replace(make_state(), phase=Phase.RUNNING, attempt=attempt, start_time=since)
    placed = placement(*nodes, decided_at=since - START_UP)
    return replace(state, placement=placed, conditions=Conditions().with_(condition))


@dataclass
class Stage:
    """A cycle over one node of 8 GPUs at the moment `now`."""

    now: float = NOW
    caches: Caches = field(default_factory=Caches)
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    board: Board = field(default_factory=Board)

    def __post_init__(self) -> None:
        self.caches.put_node(raw.node("node-a"))
        self.books = QueueWatch(self.caches, self.board, lambda: self.now, protected_seconds=300.0)
        gangs = GangWatch(self.caches, self.board, lambda: self.now)
        self.cycle = Cycle(
            self.caches,
            self.queue,
            self.board,
            make_loads,
            gangs.commitments,
            lambda _: (),
            self.books,
            lambda: self.now,
            lambda *_: None,
        )

    def put(
        self, name: str, gpus: int, state: JobState | None = None, kind: str = GPU, **scheduling: Any
    ) -> Tracked:
        """A job of that name, in a state; without one it is new."""
        spec: Json = {"trainer": {"resourcesPerNode": {kind: gpus}}}
        if scheduling:
            spec["scheduling"] = scheduling
        body = raw.job(uid=f"uid-{name}", **spec)
        body["metadata"] |= {"name": name}
        tracked = self.caches.jobs[self.caches.put_job(body)]
        tracked.state = state or tracked.state
        return tracked

    def share(self, name: str, replicas: int) -> None:
        """A node of one GPU that so many pods share."""
        node = raw.node(name, gpus=0)
        node["metadata"]["labels"] = {"nvidia.com/gpu.replicas": str(replicas)}
        node["status"]["allocatable"][SHARED_GPU] = str(replicas)
        self.caches.put_node(node)

    def wait(self, *names: str) -> dict[str, Offer]:
        """What a cycle offers these jobs, by their names."""
        for name in names:
            self.board.want(("research", name), f"uid-{name}")
        offers = self.cycle.plan_once()
        return {uid.removeprefix("uid-"): offer for uid, offer in offers.items()}

    def classes(self, **values: int) -> None:
        for name, value in values.items():
            self.caches.put_priority_class({"metadata": {"name": name}, "value": value})


def quota(hard: Json, used: Json | None = None, **spec: Any) -> Json:
    metadata = {"namespace": "research", "name": "limit"}
    return {
        "metadata": metadata,
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used or {}},
    }


# --- what administrators make ------------------------------------------------------------------------------------


def test_a_priority_class_is_read() -> None:
    body = {
        "metadata": {"name": "late"},
        "value": -5,
        "preemptionPolicy": "Never",
        "globalDefault": True,
    }
    assert observe_priority_class(body) == PriorityClass("late", -5, preempts=False, is_default=True)
    assert observe_priority_class({"metadata": {"name": "zero"}}) == PriorityClass("zero", 0)


def test_a_quota_is_read_in_the_units_that_requests_are_counted_in() -> None:
    seen = observe_quota(
        quota(
            {"requests.cpu": "2500m", "limits.cpu": 4, "memory": "1Gi", "requests.nvidia.com/gpu": "8"},
            {"requests.cpu": "1", "pods": "3"},
            scopes=["NotTerminating"],
            scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]},
        )
    )
    assert seen.hard == {
        "requests.cpu": 2500,
        "limits.cpu": 4000,
        "memory": 1 << 30,
        "requests.nvidia.com/gpu": 8,
    }
    assert seen.used == {"requests.cpu": 1000, "pods": 3}
    assert seen.scopes == {"NotTerminating", "PriorityClass"}


def test_an_amount_of_a_quota_that_can_not_be_read_is_left_to_the_api_server() -> None:
    assert observe_quota(quota({"pods": "many", "cpu": "1"})).hard == {"cpu": 1000}


# --- priorities --------------------------------------------------------------------------------------------------


def test_of_two_jobs_that_do_not_both_fit_the_one_of_higher_priority_gets_the_nodes() -> None:
    stage = Stage()
    stage.classes(urgent=1000)
    stage.put("first", 8)
    stage.put("second", 8, priorityClassName="urgent")
    offers = stage.wait("first", "second")
    assert isinstance(offers["second"].outcome, Placement)
    assert offers["first"].position == 1


def test_without_a_class_of_its_own_a_job_has_the_clusters_default() -> None:
    stage = Stage()
    stage.caches.put_priority_class({"metadata": {"name": "usual"}, "value": 7, "globalDefault": True})
    stage.classes(low=1)
    known = [stage.books.job_of(stage.put(name, 1, **wish)) for name, wish in WISHES.items()]
    assert [job.scheduling.priority for job in known if job] == [7, 1, 0]


WISHES: dict[str, Json] = {
    "none": {},
    "low": {"priorityClassName": "low"},
    "unknown": {"priorityClassName": "gone"},
}


def test_a_gang_of_lower_priority_is_ended_for_a_job_of_higher() -> None:
    stage = Stage()
    stage.classes(urgent=1000)
    stage.put("victim", 8, running("node-a"))
    stage.put("urgent", 8, priorityClassName="urgent")
    offers = stage.wait("urgent")
    assert not isinstance(offers["urgent"].outcome, Placement)
    eviction = stage.board.evictions["uid-victim"]
    assert (eviction.attempt, "urgent" in eviction.message) == (1, True)
    assert len(stage.queue) >= 1  # the victim is looked at


def test_who_runs_for_less_than_the_protected_time_is_not_ended() -> None:
    stage = Stage()
    stage.classes(urgent=1000)
    stage.put("victim", 8, running("node-a", since=NOW - 299))
    stage.put("urgent", 8, priorityClassName="urgent")
    stage.wait("urgent")
    assert stage.board.evictions == {}


def test_nobody_is_ended_for_a_job_of_the_same_priority() -> None:
    stage = Stage()
    stage.put("first", 8, running("node-a"))
    stage.put("second", 8)
    stage.wait("second")
    assert stage.board.evictions == {}


def test_an_eviction_is_forgotten_once_its_gang_is_gone() -> None:
    stage = Stage()
    stage.classes(urgent=1000)
    victim = stage.put("victim", 8, running("node-a"))
    stage.put("urgent", 8, priorityClassName="urgent")
    stage.wait("urgent")
    victim.state = replace(make_state(), phase=Phase.QUEUED, placement=None)
    offers = stage.wait("urgent")
    assert isinstance(offers["urgent"].outcome, Placement)
    assert stage.board.evictions == {}


# --- quotas ------------------------------------------------------------------------------------------------------


def test_a_job_waits_for_the_quota_of_its_namespace_in_words() -> None:
    stage = Stage()
    stage.caches.put_quota(quota({"requests.nvidia.com/gpu": "4"}, {"requests.nvidia.com/gpu": "2"}))
    stage.put("large", 4)
    outcome = stage.wait("large")["large"].outcome
    assert not isinstance(outcome, Placement)
    assert outcome.reason == "QuotaExceeded"
    assert "ResourceQuota limit" in outcome.message


def test_a_job_waits_for_the_quota_of_the_part_of_a_gpu_that_it_asks_for() -> None:
    stage = Stage()
    stage.share("shared", replicas=4)
    limit = f"requests.{SHARED_GPU}"
    stage.caches.put_quota(quota({limit: "2"}, {limit: "2"}))
    stage.put("one", 1, kind=SHARED_GPU)
    outcome = stage.wait("one")["one"].outcome
    assert not isinstance(outcome, Placement)
    assert f"the job needs 1 {limit}, and of the 2 that ResourceQuota limit allows" in outcome.message


def test_pods_that_are_decided_and_not_made_yet_count_against_the_quota() -> None:
    stage = Stage()
    stage.caches.put_quota(quota({"requests.nvidia.com/gpu": "4"}))
    stage.put("decided", 2, replace(running("node-a"), phase=Phase.STARTING))
    stage.put("next", 4)
    assert not isinstance(stage.wait("next")["next"].outcome, Placement)
    made = raw.pod(gpus=2, owner={**raw.OWNER, "name": "decided", "uid": "uid-decided"})
    stage.caches.put_pod(made)
    assert isinstance(stage.wait("next")["next"].outcome, Placement)


# --- the books ---------------------------------------------------------------------------------------------------


def test_what_an_attempt_used_is_charged_to_its_group_when_it_is_over() -> None:
    stage = Stage()
    job = stage.put("one", 2, queue="vision").job
    assert job is not None
    before = running("node-a", since=NOW - 100)
    stage.books.changed(job, before, replace(before, phase=Phase.RESTARTING, placement=None))
    assert stage.books.usage.of("vision", NOW) == pytest.approx(200, rel=0.01)
    assert stage.books.queues().ran == {"uid-one": pytest.approx(100 + START_UP)}


def test_a_part_of_a_gpu_is_charged_as_its_share() -> None:
    stage = Stage()
    stage.share("shared", replicas=4)
    job = stage.put("one", 1, kind=SHARED_GPU, queue="vision").job
    assert job is not None
    before = running("shared", since=NOW - 100)
    stage.books.changed(job, before, replace(before, phase=Phase.RESTARTING, placement=None))
    assert stage.books.usage.of("vision", NOW) == pytest.approx(100 / 4, rel=0.01)


def test_what_runs_on_a_part_of_a_gpu_holds_its_share() -> None:
    stage = Stage()
    stage.share("shared", replicas=4)
    stage.put("replica", 1, running("shared"), kind=SHARED_GPU)
    stage.put("slice", 1, running("node-a"), kind="nvidia.com/mig-2g.10gb")
    held = {gang.job.name: gang.gpus for gang in stage.books.queues().running}
    assert held == {"replica": 1 / 4, "slice": 2 / 7}


def test_how_long_a_job_took_is_learned_of_all_its_attempts_together() -> None:
    stage = Stage()
    tracked = stage.put("one", 2)
    job = tracked.job
    assert job is not None
    before = running("node-a", since=NOW - 100)
    for number in range(1, 4):
        stage.books.changed(job, before, replace(before, phase=Phase.RESTARTING, placement=None))
        after = replace(before, phase=Phase.SUCCEEDED, attempt=number + 1, completion_time=NOW)
        stage.books.changed(job, replace(before, attempt=number + 1), after)
    queues = stage.books.queues()
    assert queues.durations.expected(job.family) == pytest.approx(2 * (100 + START_UP))
    assert queues.ran == {}


def test_how_long_pods_take_to_start_is_learned_when_all_of_them_run() -> None:
    stage = Stage()
    job = stage.put("one", 2).job
    assert job is not None
    after = running("node-a", since=NOW)
    before = replace(after, phase=Phase.STARTING, conditions=Conditions())
    for _ in range(3):
        stage.books.changed(job, before, after)
        stage.books.changed(job, after, after)
        stage.now += 1.0
    assert stage.books.queues().durations.to_start(job.family) == START_UP + 1.0


def test_after_a_restart_the_books_begin_with_what_the_statuses_tell() -> None:
    stage = Stage()
    done = replace(
        make_state(), phase=Phase.SUCCEEDED, attempt=1, start_time=NOW - 500, completion_time=NOW - 100
    )
    done = replace(done, placement=placement("node-a", decided_at=NOW - 500 - START_UP))
    for number in range(3):
        stage.put(f"done-{number}", 2, done)
    failure = Failure(1, "Preempted", "", NOW - 50)
    waits = replace(
        make_state(), phase=Phase.QUEUED, placement=None, start_time=NOW - 80, last_failure=failure
    )
    job = stage.put("waits", 1, waits).job
    assert job is not None
    stage.books.remember()
    queues = stage.books.queues()
    assert queues.durations.expected(job.family) == pytest.approx(400 + START_UP)
    assert queues.durations.to_start(job.family) == START_UP
    assert queues.ran == {"uid-waits": pytest.approx(30)}
    assert stage.books.usage.of("research", NOW) == pytest.approx(3 * 800 + 30, rel=0.01)


def test_after_a_restart_the_first_cycle_is_for_all_who_waited() -> None:
    stage = Stage()
    for place, name in enumerate(("first", "second", "third"), 1):
        stage.put(name, 8, JobState(phase=Phase.QUEUED, queue_position=place))
    stage.put("new", 8)
    stage.books.remember()
    offers = stage.wait("third")
    assert isinstance(offers["first"].outcome, Placement)
    assert [offers[name].position for name in ("second", "third")] == [1, 2]
    assert "new" not in offers


def test_a_running_jobs_own_report_says_when_its_nodes_are_free() -> None:
    stage = Stage()
    runs = stage.put("runs", 8, running("node-a"))
    runs.reported = {
        "trainerStatus": {"estimatedRemainingSeconds": 120, "lastUpdatedTime": "2026-06-12T00:00:00Z"}
    }
    told = [gang.ends_at for gang in stage.books.queues().running]
    assert told == [1781222400.0 + 120]


# --- the estimated start -----------------------------------------------------------------------------------------


async def test_an_estimated_start_is_told_anew_only_when_it_moves() -> None:
    stage = Stage()
    runs = stage.put("runs", 8, running("node-a"))
    stage.put("waits", 8)

    def reported(remaining: int) -> float | None:
        at = "2026-06-12T00:00:00Z"
        runs.reported = {"trainerStatus": {"estimatedRemainingSeconds": remaining, "lastUpdatedTime": at}}
        stage.wait("waits")
        return stage.board.offers["uid-waits"].starts_at

    stage.now = 1781222400.0
    first = reported(1000)
    assert first is not None
    assert reported(1050) == first
    assert reported(1500) != first
