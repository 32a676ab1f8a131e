"""What surrounds the operator fails: the API server, the watches, or the promise that it is alone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException

import pytest

from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.faults.keeper import Keeper
from tests.faults.life import Life
from tests.waiting import at_rest, until

pytestmark = pytest.mark.controlplane

QUICK_LEASE = {"lease_duration_seconds": "3", "lease_renew_seconds": "2", "lease_retry_seconds": "0.5"}
"""The usual Lease, in a hurry; its length decides for how long a fault has to last to be felt. On a busy machine an
operator may be late to renew it and end, so it is kept alive wherever something is waited for."""
OUTAGE_SECONDS = 6.0
"""Twice as long as that Lease lasts: the leader has ended by itself before the API server is back."""


@contextmanager
def kept(*keepers: Keeper) -> Iterator[None]:
    """Operators at work, stopped at the end."""
    try:
        for keeper in keepers:
            keeper.start()
        yield
    finally:
        for keeper in keepers:
            keeper.stop()


def begun(cluster: ControlPlane, prefix: str, count: int, *, disturb: bool) -> list[Life]:
    lives = [Life(cluster.api, f"{prefix}-{number}", disturb=disturb) for number in range(count)]
    for life in lives:
        life.begin()
    return lives


def lived(lives: list[Life], *keepers: Keeper) -> None:
    """Push all lives to their ends, while the operators are kept alive."""

    def over() -> bool:
        for keeper in keepers:
            keeper.keep()
        ended = [life.push() for life in lives]
        return all(ended)

    until(over, "the end of all lives")


def versions(lives: list[Life]) -> list[str]:
    return [life.job()["metadata"]["resourceVersion"] for life in lives]


def test_while_the_api_server_is_away_nothing_is_lost(cluster: ControlPlane) -> None:
    keeper = Keeper(cluster, **QUICK_LEASE)
    with kept(keeper):
        before = begun(cluster, "outage", 3, disturb=True)

        def one_runs() -> bool:
            keeper.keep()
            return any(life.push() or "Running" in life.phases for life in before)

        until(one_runs, "one gang to run")
        cluster.apiserver.kill()
        time.sleep(OUTAGE_SECONDS)  # the fault itself
        until(lambda: keeper.process.identity is None, "the leader to end")
        cluster.apiserver.start()
        until(lambda: _answers(cluster), "the API to answer")
        lived(before, keeper)
        for life in before:
            life.check_end()


def test_an_operator_whose_watches_are_deaf_learns_all_from_full_lists(cluster: ControlPlane) -> None:
    deaf = Keeper(cluster, "deaf", resync_seconds="0.5", relist_seconds="0.5")
    try:
        deaf.start(deaf="yes")
        lives = begun(cluster, "deaf", 2, disturb=True)
        lived(lives)
        for life in lives:
            life.check_end()
    finally:
        deaf.stop()


def test_a_paused_leader_that_wakes_up_late_does_no_harm(cluster: ControlPlane) -> None:
    first, second = Keeper(cluster, "first", **QUICK_LEASE), Keeper(cluster, "second", **QUICK_LEASE)
    with kept(first):
        lives = begun(cluster, "paused", 2, disturb=True)
        for life in lives:
            life.train_on = True

        def launched() -> bool:
            first.keep()
            return all(len(life.pods()) == life.ranks for life in lives)

        until(launched, "pods")
        first.process.pause()
        paused = first.process.identity
        with kept(second):
            for life in lives:
                until(partial(_runs_again, life, second), "its second attempt to run")
            first.process.resume()
            until(lambda: paused is not None and not paused.alive(), "the old leader to end")
            for life in lives:
                life.train_on = False
            lived(lives, second)
            for life in lives:
                life.check_end()


def _runs_again(life: Life, keeper: Keeper) -> bool:
    """Push a life, with the operator kept alive; whether its second attempt runs."""
    keeper.keep()
    life.push()
    status = life.status()
    return bool(status.get("attempt") == 2 and status["phase"] == "Running")


def test_two_operators_that_both_believe_to_lead_do_no_harm(cluster: ControlPlane) -> None:
    both = [Keeper(cluster, name, lease_name=name) for name in ("one", "other")]
    with kept(*both):
        until(lambda: all(b"watching" in keeper.process.log.read_bytes() for keeper in both), "both to lead")
        lives = begun(cluster, "twins", 4, disturb=True)
        lived(lives, *both)
        ended = at_rest(lambda: versions(lives))
        assert at_rest(lambda: versions(lives)) == ended
        for life in lives:
            life.check_end()


def _answers(cluster: ControlPlane) -> bool:
    try:
        cluster.api.get("/readyz")
    except (ApiError, OSError, HTTPException):
        return False
    return True
