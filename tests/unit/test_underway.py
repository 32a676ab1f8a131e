"""When pods' progress is noted in the jobs' statuses: soon, and in a burst of launches after it. In virtual time."""

import asyncio
from typing import cast

import pytest

from loadstar.clients.kube import Kube
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.relist import Relist
from loadstar.controller.underway import (
    BURST_SECONDS,
    BURST_STEPS,
    PATIENCE_SECONDS,
    PROGRESS_SECONDS,
    Underway,
)
from loadstar.controller.workqueue import WorkQueue
from tests.unit import raw

pytestmark = pytest.mark.looptime

JOB: Key = ("research", "iris")


def now() -> float:
    """The loop's virtual time."""
    return asyncio.get_running_loop().time()


def burst(underway: Underway) -> None:
    """So many launches that progress has to wait."""
    for _ in range(BURST_STEPS):
        underway.launching()


async def test_steps_that_follow_each_other_closely_are_noted_as_one_after_the_first() -> None:
    underway = Underway(now)
    underway.made(JOB)
    await asyncio.sleep(PROGRESS_SECONDS * 0.9)
    underway.made(JOB)
    assert underway.due() == []
    await asyncio.sleep(PROGRESS_SECONDS * 0.2)
    assert underway.due() == [JOB]
    assert underway.due() == []


async def test_what_a_pass_has_told_already_is_not_noted_again() -> None:
    underway = Underway(now)
    underway.made(JOB)
    underway.noted(JOB)
    await asyncio.sleep(PROGRESS_SECONDS * 2)
    assert (underway.due(), len(underway)) == ([], 0)


async def test_a_few_launches_hold_nothing_back() -> None:
    underway = Underway(now)
    for _ in range(BURST_STEPS - 1):
        underway.launching()
    underway.made(JOB)
    await asyncio.sleep(PROGRESS_SECONDS * 1.1)
    assert underway.due() == [JOB]


async def test_progress_waits_until_a_burst_is_over() -> None:
    underway = Underway(now)
    underway.made(JOB)
    burst(underway)
    await asyncio.sleep(BURST_SECONDS * 0.9)
    assert underway.due() == []
    await asyncio.sleep(BURST_SECONDS * 0.2)
    assert underway.due() == [JOB]


async def test_no_burst_holds_progress_back_for_ever() -> None:
    underway = Underway(now)
    underway.made(JOB)
    for _ in range(int(PATIENCE_SECONDS)):
        burst(underway)
        assert underway.due() == []
        await asyncio.sleep(1.0)
    burst(underway)
    await asyncio.sleep(0.1)
    assert underway.due() == [JOB]


async def test_jobs_are_looked_at_when_their_progress_is_due() -> None:
    underway, looked = Underway(now), list[Key]()
    underway.made(JOB)
    running = asyncio.create_task(underway.run(looked.append))
    await asyncio.sleep(PROGRESS_SECONDS * 2)
    running.cancel()
    assert looked == [JOB]


async def test_a_sweep_leaves_out_those_whose_progress_waits() -> None:
    caches, queue, board = Caches(), WorkQueue[Key](), Board(underway=Underway(now))
    caches.put_job(raw.job())
    board.underway.made(raw.KEY)
    relist = Relist(cast(Kube, None), caches, queue, board, frozenset())
    relist.sweep()
    assert len(queue) == 1  # the sign of life
    board.underway.noted(raw.KEY)
    relist.sweep()
    assert len(queue) == 2
