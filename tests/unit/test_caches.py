"""What the operator has seen of the cluster, whatever the order in which it was told."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from loadstar.api.state import status_of
from loadstar.controller.board import Board
from loadstar.controller.caches import NODE_LOST_SECONDS, Caches, Key
from loadstar.controller.handlers import look_if_outdated, note_job, note_pod
from loadstar.controller.workqueue import WorkQueue
from loadstar.core.jobs import JobState, Phase
from tests.builders import NOW, make_job, make_state
from tests.contract.jobs import UID
from tests.unit import raw
from tests.unit.raw import KEY

NOT_READY_AT = 1795323600.0
"""2026-11-22T05:00:00Z"""


@dataclass
class Seen:
    """Caches with the queue and board that hear of changes."""

    caches: Caches = field(default_factory=Caches)
    queue: WorkQueue[Key] = field(default_factory=WorkQueue)
    board: Board = field(default_factory=Board)

    def pod(self, body: dict[str, Any], *, deleted: bool = False) -> None:
        note_pod(deleted, body, self.caches, self.queue, self.board)

    def names(self) -> list[str]:
        return sorted(pod.name for pod in self.caches.pods_of(UID, NOW))


def status(state: JobState) -> dict[str, Any]:
    return status_of(make_job(), state).wire()


# --- jobs --------------------------------------------------------------------------------------------------------


async def test_a_job_is_remembered_with_the_state_that_its_status_holds() -> None:
    caches, state = Caches(), make_state(attempt=3, phase=Phase.RUNNING)
    caches.put_job(raw.job(status=status(state)))
    assert caches.jobs[KEY].state == state


def wrote(caches: Caches, version: int, state: JobState) -> None:
    """This operator's write of a state was answered."""
    caches.wrote(caches.jobs[KEY], state, raw.job(version, status=status(state)))


def at_version(version: int, attempt: int) -> dict[str, Any]:
    return raw.job(version, status=status(make_state(attempt=attempt)))


async def test_the_echo_of_our_own_write_changes_nothing() -> None:
    caches = Caches()
    caches.put_job(raw.job(17))
    wrote(caches, 18, make_state(attempt=1))
    caches.put_job(at_version(18, attempt=1))
    caches.put_job(at_version(19, attempt=1) | {"metadata": raw.job(19)["metadata"] | {"labels": {"a": "b"}}})
    tracked = caches.jobs[KEY]
    assert (tracked.version, tracked.outdated, tracked.state.attempt) == (19, False, 1)


async def test_an_echo_that_comes_before_the_answer_to_the_write_is_our_own() -> None:
    caches = Caches()
    caches.put_job(raw.job(17))
    caches.put_job(at_version(18, attempt=1))
    assert caches.jobs[KEY].outdated
    wrote(caches, 18, make_state(attempt=1))
    assert not caches.jobs[KEY].outdated


async def test_a_status_of_somebody_else_is_noticed_also_before_our_own_write_is_answered() -> None:
    caches = Caches()
    caches.put_job(raw.job(17))
    caches.put_job(at_version(19, attempt=2))
    wrote(caches, 18, make_state(attempt=1))
    tracked = caches.jobs[KEY]
    assert (tracked.version, tracked.outdated) == (19, True)


async def test_what_is_read_again_is_what_is_decided_from() -> None:
    caches = Caches()
    caches.put_job(at_version(17, attempt=1))
    caches.put_pod(raw.pod())
    caches.put_job(at_version(18, attempt=2))
    later = raw.pod(attempt=2)
    caches.adopt(at_version(19, attempt=2), [later])
    tracked = caches.jobs[KEY]
    assert (tracked.version, tracked.outdated, tracked.state.attempt) == (19, False, 2)
    assert [pod.name for pod in caches.pods_of(UID, NOW)] == ["iris-2-0"]


async def test_a_status_that_stays_somebody_elses_has_its_job_looked_at() -> None:
    seen = Seen()
    seen.caches.put_job(raw.job(17))
    look_if_outdated(seen.caches, seen.queue, KEY)
    assert len(seen.queue) == 0
    seen.caches.put_job(at_version(18, attempt=1))
    look_if_outdated(seen.caches, seen.queue, KEY)
    assert await seen.queue.get() == KEY


async def test_what_is_seen_while_the_job_is_read_again_is_not_lost() -> None:
    caches = Caches()
    caches.put_job(at_version(17, attempt=1))
    caches.put_job(at_version(20, attempt=3))
    caches.adopt(at_version(19, attempt=2), [])
    assert caches.jobs[KEY].outdated


async def test_a_status_of_another_version_is_read_as_far_as_it_is_understood() -> None:
    caches, state = Caches(), make_state(attempt=3, phase=Phase.RUNNING)
    newer = status(state) | {"trainerStatus": {"progressPercentage": 40}, "restarts": {"counted": "many"}}
    newer["placement"] |= {"policy": "clairvoyant", "reviewedBy": "a newer operator"}
    caches.put_job(raw.job(status=newer))
    found = caches.jobs[KEY]
    assert found.job is not None
    assert (found.state.phase, found.state.attempt) == (Phase.RUNNING, 3)
    assert found.state.placement == state.placement


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [{"name": "node-a", "ranks": [1], "gpus": 1}],
        [{"name": "node-a", "ranks": [0], "gpus": 1}, {"name": "node-b", "ranks": [0], "gpus": 1}],
    ],
    ids=["none", "rank 0 missing", "rank 0 twice"],
)
async def test_a_placement_that_does_not_name_a_node_for_each_rank_is_none(nodes: list[Any]) -> None:
    caches, written = Caches(), status(make_state(attempt=3, phase=Phase.RUNNING))
    written["placement"]["nodes"] = nodes
    caches.put_job(raw.job(status=written))
    state = caches.jobs[KEY].state
    assert (state.attempt, state.placement) == (3, None)


async def test_a_finished_job_whose_status_holds_what_is_not_understood_stays_finished() -> None:
    caches = Caches()
    written = status(JobState(phase=Phase.SUCCEEDED, attempt=1)) | {"result": "splendid", "unknown": 1}
    caches.put_job(raw.job(status=written, model={"type": "unknown"}))
    assert caches.jobs[KEY].state.phase is Phase.SUCCEEDED


async def test_a_list_that_is_older_than_the_last_event_does_not_undo_a_cordon() -> None:
    caches = Caches()
    cordoned = raw.node(version=11)
    cordoned["spec"] = {"unschedulable": True}
    caches.put_node(cordoned)
    assert not caches.put_node(raw.node(version=10))
    assert caches.nodes["node-a"].node.cordoned


@pytest.mark.parametrize("uid", [UID, "an-older-job"])
async def test_an_older_view_of_a_name_changes_nothing(uid: str) -> None:
    caches = Caches()
    caches.put_job(raw.job(17, suspend=True))
    caches.put_job(raw.job(16, uid=uid))
    job = caches.jobs[KEY].job
    assert job is not None
    assert (job.suspend, job.uid) == (True, UID)


async def test_a_new_job_of_the_same_name_starts_from_its_own_status() -> None:
    caches = Caches()
    caches.put_job(raw.job(17, status=status(make_state(attempt=5))))
    caches.put_job(raw.job(30, uid="new"))
    assert (caches.jobs[KEY].uid, caches.jobs[KEY].state.attempt) == ("new", 0)


async def test_the_end_of_an_older_job_does_not_take_its_namesake_away() -> None:
    caches = Caches()
    caches.put_job(raw.job(30, uid="new"))
    caches.drop_job(KEY, UID)
    assert KEY in caches.jobs
    caches.drop_job(KEY, "new")
    assert KEY not in caches.jobs


async def test_a_job_that_cannot_be_read_says_why_and_keeps_its_state() -> None:
    caches, ended = Caches(), replace(make_state(), phase=Phase.SUCCEEDED)
    caches.put_job(raw.job(status=status(ended), model={"type": "perceptron"}))
    tracked = caches.jobs[KEY]
    assert tracked.job is None
    assert "spec.model.type" in str(tracked.asked)
    assert tracked.state == ended


async def test_a_job_is_looked_at_when_something_new_is_asked_of_it_and_not_for_our_own_writes() -> None:
    caches = Caches()
    assert note_job(caches, raw.job(17))
    assert not note_job(caches, raw.job(18, status=status(make_state())))
    assert note_job(caches, raw.job(19, generation=2, suspend=True))
    dying = raw.job(20, generation=2)
    dying["metadata"]["deletionTimestamp"] = "2026-11-22T05:00:00Z"
    assert note_job(caches, dying)


# --- pods --------------------------------------------------------------------------------------------------------


async def test_a_pods_end_has_its_owner_looked_at_at_once() -> None:
    seen = Seen()
    seen.pod(raw.pod(phase="Failed"))
    assert await seen.queue.get() == KEY


async def test_what_is_known_already_has_nobody_looked_at() -> None:
    seen = Seen()
    seen.caches.put_pod(raw.pod())
    seen.pod(raw.pod())
    assert len(seen.queue) == 0


async def test_an_older_view_of_a_pod_changes_nothing() -> None:
    seen = Seen()
    seen.pod(raw.pod(version=21, phase="Succeeded"))
    seen.pod(raw.pod(version=20))
    [pod] = seen.caches.pods_of(UID, NOW)
    assert pod.terminal


async def test_a_deleted_pod_is_forgotten_and_its_owner_looked_at() -> None:
    seen = Seen()
    seen.pod(raw.pod(0))
    seen.pod(raw.pod(1))
    seen.pod(raw.pod(0), deleted=True)
    assert seen.names() == ["iris-1-1"]
    assert len(seen.queue) == 1


async def test_a_pod_that_went_does_not_come_back_by_a_list_that_began_before() -> None:
    seen = Seen()
    seen.pod(raw.pod(), deleted=True)
    seen.pod(raw.pod())
    assert seen.names() == []


async def test_the_end_of_an_older_pod_does_not_take_its_namesake_away() -> None:
    seen = Seen()
    seen.pod(raw.pod(uid="new", version=30))
    seen.pod(raw.pod(uid="old", version=29), deleted=True)
    assert seen.names() == ["iris-1-0"]


async def test_a_pod_of_the_same_name_for_another_owner_changes_hands() -> None:
    seen = Seen()
    seen.pod(raw.pod())
    seen.pod(raw.pod(uid="new", version=30, owner={**raw.OWNER, "uid": "another"}))
    assert seen.names() == []
    assert len(seen.caches.owned_by("another")) == 1


@pytest.mark.parametrize(("phase", "woken"), [("Running", False), ("Succeeded", True)])
async def test_the_end_of_anybodys_pod_wakes_the_cycle_for_those_who_wait(phase: str, woken: bool) -> None:
    seen = Seen()
    seen.board.waiting[KEY] = UID
    seen.pod(raw.pod(owner=None, phase=phase))
    assert seen.board.wake.is_set() is woken
    assert len(seen.queue) == 0


# --- nodes -------------------------------------------------------------------------------------------------------


async def test_a_nodes_heartbeat_matters_to_nobody_and_its_cordon_does() -> None:
    caches, cordoned = Caches(), raw.node(version=12)
    cordoned["spec"] = {"unschedulable": True}
    assert caches.put_node(raw.node(version=10))
    assert not caches.put_node(raw.node(version=11))
    assert caches.put_node(cordoned)


def lost(caches: Caches, now: float) -> bool:
    [pod] = caches.pods_of(UID, now)
    return pod.node_lost


async def test_a_node_that_does_not_answer_for_a_minute_is_lost_to_its_pods() -> None:
    caches = Caches()
    caches.put_pod(raw.pod())
    caches.put_node(raw.node(ready="Unknown"))
    assert not lost(caches, NOT_READY_AT + NODE_LOST_SECONDS - 0.1)
    assert lost(caches, NOT_READY_AT + NODE_LOST_SECONDS)


async def test_a_node_that_is_gone_is_lost_at_once() -> None:
    caches = Caches()
    caches.put_pod(raw.pod())
    caches.put_node(raw.node())
    caches.put_node(raw.node("node-b"))
    assert not lost(caches, NOW)
    caches.drop_node("node-a")
    assert lost(caches, NOW)


async def test_before_any_node_was_seen_none_is_lost() -> None:
    caches = Caches()
    caches.put_pod(raw.pod())
    assert not lost(caches, NOW)


async def test_a_pod_without_a_node_has_none_to_lose() -> None:
    caches = Caches()
    caches.put_node(raw.node())
    caches.put_pod(raw.pod(node=None, phase="Pending"))
    assert not lost(caches, NOW)


async def test_the_steps_of_a_starting_pod_are_looked_at_once_and_its_end_at_once() -> None:
    seen = Seen()
    for version in range(3):
        seen.pod(raw.pod(version=10 + version))
    assert (len(seen.board.underway), len(seen.queue)) == (1, 0)
    seen.pod(raw.pod(version=20), deleted=True)
    assert len(seen.queue) == 1
