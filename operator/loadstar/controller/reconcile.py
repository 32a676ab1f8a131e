"""One level-triggered pass over one job: look at everything, decide, write, act."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from loadstar.api.observe import result_of
from loadstar.clients.errors import ClientError, Conflict, NotFound
from loadstar.controller.apply import Applier, LaunchRefused
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key, Tracked
from loadstar.controller.printouts import read_printed
from loadstar.controller.workqueue import WorkQueue
from loadstar.core import lifecycle
from loadstar.core.decisions import Decision, Event
from loadstar.core.jobs import Job, JobState
from loadstar.core.lifecycle import Situation
from loadstar.core.results import Result

log = logging.getLogger(__name__)

WORKERS = 32
"""Jobs looked at side by side: nearly all of a pass is waiting for the API server."""
RETRY_SECONDS = 0.5
RETRY_CAP_SECONDS = 60.0
"""Wait before the first repetition of a failed pass, doubled each time up to the cap, with jitter."""

LOG_TRIES = 6
"""Failed passes after which a job ends without its log: some 15 s, in which a node may come back."""

Tell = Callable[[Key, str, Event], None]
"""(job's key, its uid, event): publishes an Event on the job."""


@dataclass(slots=True)
class Reconciler:
    """Workers over the queue. A pass that fails is repeated; nothing that it had written is lost."""

    caches: Caches
    queue: WorkQueue[Key]
    board: Board
    applier: Applier
    tell: Tell
    clock: Callable[[], float]
    pin_timeout: float
    observe: Callable[[float, bool], None]
    """(seconds, whether it succeeded), told of each pass."""
    changed: Callable[[Job, JobState, JobState], None] = lambda _job, _before, _after: None
    """(job, state before, state after), told of each state that was written."""
    last_pass: float = 0.0
    _failures: dict[Key, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            started = self.clock()
            try:
                await self._pass(key)
                self._failures.pop(key, None)
                self.observe(self.clock() - started, True)
            except Exception as error:  # a pass must never end its worker
                self._retry(key, error)
                self.observe(self.clock() - started, False)
            finally:
                self.last_pass = self.clock()
                self.queue.done(key)

    def _retry(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        wait = min(RETRY_SECONDS * 2.0 ** (failures - 1), RETRY_CAP_SECONDS) * random.uniform(0.75, 1.25)
        known = isinstance(error, ClientError)
        log.warning(
            "%s/%s: pass failed, again in %.1f s: %s", *key, wait, error, exc_info=None if known else error
        )
        self.queue.add_after(key, wait)

    async def _pass(self, key: Key) -> None:
        self.board.underway.noted(key)
        tracked = self.caches.jobs.get(key)
        if tracked is not None and tracked.outdated:
            await self._read_again(key)
            tracked = self.caches.jobs.get(key)
        if tracked is None or tracked.deleting:  # owner references take care of what is left
            self.board.leave(key)
            return
        now = self.clock()
        decision = self._decide(tracked, now)
        if decision.wants_log:
            decision = await self._decide_with_log(key, tracked, now)
        try:
            await self._carry_out(key, tracked, decision)
        except (NotFound, Conflict) as changed:
            log.info("%s/%s: not as it was last seen: %s", *key, changed)
            await self._read_again(key)
            self.queue.add(key)
            return
        if decision.wake_at is not None:
            self.queue.add_after(key, decision.wake_at - self.clock())

    async def _read_again(self, key: Key) -> None:
        log.info("%s/%s: the status is not what was written last, it is read again", *key)
        await self.applier.read_again(key)
        self.board.capacity_changed()

    def _decide(self, tracked: Tracked, now: float) -> Decision:
        if tracked.job is None:
            pods = self.caches.pods_of(tracked.uid, now)
            return lifecycle.refuse(tracked.state, tracked.generation, str(tracked.asked), pods, now)
        return lifecycle.decide(self._situation(tracked, now))

    async def _decide_with_log(self, key: Key, tracked: Tracked, now: float) -> Decision:
        last_try = self._failures.get(key, 0) + 1 >= LOG_TRIES
        printed = await read_printed(self.applier.kube, key, tracked, last_try=last_try)
        return lifecycle.decide(replace(self._situation(tracked, now), printed=printed))

    def _situation(self, tracked: Tracked, now: float) -> Situation:
        assert tracked.job is not None
        return Situation(
            job=tracked.job,
            state=tracked.state,
            pods=self.caches.pods_of(tracked.uid, now),
            offer=self.board.offers.get(tracked.uid),
            now=now,
            pin_timeout=self.pin_timeout,
            sent=self._sent(tracked),
            hindsight=tracked.hindsight,
            eviction=self.board.evictions.get(tracked.uid),
        )

    def _sent(self, tracked: Tracked) -> Result | None:
        posted = self.caches.records.get(tracked.uid)
        return result_of(posted.record) if posted and posted.attempt == tracked.state.attempt else None

    async def _carry_out(self, key: Key, tracked: Tracked, decision: Decision) -> None:
        before = tracked.state
        unanswered = decision.wants_placement and tracked.uid not in self.board.offers
        if not unanswered:  # the cycle answers in a moment, and that is what is written
            await self._write(key, tracked, decision)
        if decision.actions and tracked.state is before:
            await self.applier.confirm(key, tracked)
        if decision.wants_placement:
            self.board.want(key, tracked.uid)
        else:
            self.board.leave(key)
        try:
            await self.applier.act(key, tracked, decision.actions)
        except LaunchRefused as refused:
            situation = self._situation(tracked, self.clock())
            undo = lifecycle.launch_failed(situation, str(refused))
            await self._carry_out(key, tracked, undo)
            if undo.wake_at is not None:
                self.queue.add_after(key, undo.wake_at - self.clock())

    async def _write(self, key: Key, tracked: Tracked, decision: Decision) -> None:
        before, state = tracked.state, decision.state
        if state != before:
            await self.applier.write(key, tracked, state)
            if tracked.job is not None:
                self.changed(tracked.job, before, state)
        if state.placement is not None and state.attempt != before.attempt:
            self.board.take(tracked.uid)
        elif before.placement is not None and state.placement is None:
            self.board.capacity_changed()
        for event in decision.events:
            self.tell(key, tracked.uid, event)
