"""The operator killed at every write of a job's life: what it leaves half done, the next one finishes."""

import itertools

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.faults.keeper import Keeper
from tests.faults.life import Life
from tests.waiting import at_rest, until

pytestmark = pytest.mark.controlplane

MOST_WRITES = 40
"""Far more than a life has: a life that writes for ever must not keep the test going."""


def test_killed_after_any_write_a_job_still_lives_as_if_nothing_had_happened(
    cluster: ControlPlane, keeper: Keeper
) -> None:
    lives: list[Life] = []
    keeper.start(**_crash(0))
    for after in itertools.count():
        assert after < MOST_WRITES, "a job's life has no end of writes"
        life = Life(cluster.api, _namespace(after))
        life.begin()
        crashed = _live(life, keeper, _crash(after + 1))
        life.check_end()
        lives.append(life)
        if not crashed:  # the whole life has fewer writes than that
            break
    assert len(lives) > 8, "a gang that restarts once needs more writes than that"
    _check_rest(cluster, keeper, lives)


def _namespace(after: int) -> str:
    return f"crash-{after}"


def _crash(after: int) -> dict[str, str]:
    """The fault of one life; the operator that finishes it is to die in the next one."""
    return {"crash_namespace": _namespace(after), "crash_after": str(after)}


def _live(life: Life, keeper: Keeper, next_faults: dict[str, str]) -> bool:
    """Push a life to its end; whether the operator died on the way."""
    starts = keeper.starts

    def over() -> bool:
        keeper.keep(**next_faults)
        return life.push()

    until(over, f"the end of {life.namespace}")
    return keeper.starts > starts


def _check_rest(cluster: ControlPlane, keeper: Keeper, lives: list[Life]) -> None:
    """At rest nothing is written; not by an operator that starts afresh either, nor when ended pods are deleted."""

    def versions() -> list[str]:
        return [life.job()["metadata"]["resourceVersion"] for life in lives]

    ended = at_rest(versions)
    keeper.stop()
    keeper.start()
    keeper.process.wait_ready()
    for life in lives:
        cluster.api.delete(f"/api/v1/namespaces/{life.namespace}/pods")
    until(lambda: not any(life.pods() for life in lives), "all pods to go")
    assert at_rest(versions) == ended
    for life in lives:
        assert life.pods() == []
        cluster.api.delete(life.path)
    until(lambda: not any(_services(cluster, life) for life in lives), "Services to go with their jobs")


def _services(cluster: ControlPlane, life: Life) -> list[object]:
    return list(cluster.api.get(f"/api/v1/namespaces/{life.namespace}/services")["items"])
