"""The queue of keys: each once, never by two workers, urgent ones first, delayed ones in virtual time."""

import asyncio

import pytest

from loadstar.controller.workqueue import WorkQueue

pytestmark = pytest.mark.looptime


async def taken(queue: WorkQueue[str]) -> list[str]:
    """Everything that waits, in order, each key finished at once."""
    found = []
    while len(queue):
        key = await queue.get()
        found.append(key)
        queue.done(key)
    return found


async def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue = WorkQueue[str]()
    for key in "abc":
        queue.add(key)
    assert await taken(queue) == ["a", "b", "c"]


async def test_a_key_that_waits_already_is_not_added_again() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    queue.add("a")
    assert await taken(queue) == ["a"]


async def test_urgent_keys_go_first_also_when_they_become_urgent_while_they_wait() -> None:
    queue = WorkQueue[str]()
    for key in "abc":
        queue.add(key)
    queue.add("d", urgent=True)
    queue.add("c", urgent=True)
    assert await taken(queue) == ["d", "c", "a", "b"]


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards_and_only_then() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await taken(queue) == ["a"]


async def test_what_became_urgent_during_work_is_urgent_afterwards() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    key = await queue.get()
    queue.add("b")
    queue.add("a", urgent=True)
    queue.add("a")
    queue.done(key)
    assert await taken(queue) == ["a", "b"]


async def test_a_worker_waits_until_there_is_a_key() -> None:
    queue = WorkQueue[str]()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(5)
    assert not worker.done()
    queue.add("a")
    assert await worker == "a"


async def test_a_delayed_key_comes_when_its_time_has_come() -> None:
    queue, loop = WorkQueue[str](), asyncio.get_running_loop()
    begun = loop.time()
    queue.add_after("a", 30.0)
    assert len(queue) == 0
    assert await queue.get() == "a"
    assert loop.time() - begun == 30.0


@pytest.mark.parametrize("delays", [(30.0, 10.0), (10.0, 30.0)])
async def test_of_several_delays_the_earliest_counts(delays: tuple[float, float]) -> None:
    queue, loop = WorkQueue[str](), asyncio.get_running_loop()
    begun = loop.time()
    for delay in delays:
        queue.add_after("a", delay)
    queue.done(await queue.get())
    assert loop.time() - begun == 10.0
    await asyncio.sleep(100)
    assert len(queue) == 0


async def test_a_delay_that_is_over_already_means_now() -> None:
    queue, loop = WorkQueue[str](), asyncio.get_running_loop()
    begun = loop.time()
    queue.add_after("a", -5.0)
    assert await queue.get() == "a"
    assert loop.time() == begun
