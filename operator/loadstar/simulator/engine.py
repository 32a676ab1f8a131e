"""Jobs arrive, are placed by a policy, run as fast as their nodes let them, and end: discrete events on a load grid.

Every STEP_SECONDS the true load and with it every job's speed are worked out anew, and one scrape is taken. Arrivals
and ends come at their exact times in between, and each asks the policy about who waits: the first in the queue only
(first come, first served, the head blocks the rest), or all of them in order (backfill). All policies have the same
filter (GPUs, CPU and memory by request, ranks of a gang on nodes of their own) and the same queue.
"""

from enum import StrEnum

import numpy as np

from loadstar.core.load import STEP_SECONDS
from loadstar.simulator.fleet import GPUS, Array, Fleet
from loadstar.simulator.outcome import Outcome, Recorder
from loadstar.simulator.policy import Ask, Bound, Mask, Over, Policy, Question, View
from loadstar.simulator.truth import History, Live, Truth
from loadstar.simulator.workload import Workload

HISTORY_STEPS = 240
"""Steps of history before the first arrival: two hours, as the operator reads them when it starts."""
PATIENCE_STEPS = 100_000
"""Steps after which a run is given up: a policy that never places a job would go on for ever."""


class Stuck(RuntimeError):
    """A policy left jobs waiting for ever."""


class Queueing(StrEnum):
    """Who of those that wait is tried."""

    FIRST = "fifo"
    ALL = "backfill"


class Engine:
    """One run of one policy. Everything random was drawn into the workload and the background before."""

    def __init__(
        self, fleet: Fleet, workload: Workload, background: Array, policy: Policy, queueing: Queueing
    ) -> None:
        self._workload, self._policy, self._queueing = workload, policy, queueing
        self._truth = Truth(fleet, workload, background)
        steps = HISTORY_STEPS + int(1.5 * workload.span / STEP_SECONDS) + HISTORY_STEPS
        self.view = View(fleet, fleet.capacity.copy(), History(len(fleet), steps), 0.0)
        self._asks = [
            Ask(number, job, workload.asked[number], int(workload.ranks[number]))
            for number, job in enumerate(workload.jobs)
        ]
        self._live: Live | None = None
        self._waiting: list[int] = []
        self._arrived = 0
        self._next_look = 0.0
        self._left = workload.work.copy()
        self._recorder = Recorder(fleet, workload)

    def run(self) -> Outcome:
        """Until the last job has ended. Raises Stuck where that never comes."""
        for step in range(-HISTORY_STEPS, 0):
            self._look(step)
        for step in range(PATIENCE_STEPS):
            self._advance(step)
            if self._arrived == len(self._workload) and not self._waiting and not self.view.bound:
                return self._recorder.outcome()
        raise Stuck(
            f"{len(self._waiting)} jobs still wait after {PATIENCE_STEPS} steps, the first of them asks for "
            f"{self._workload.asked[self._waiting[0]].tolist()} (millicores, bytes, GPUs)"
        )

    def _look(self, step: int) -> Array:
        """The step's load: scraped, shown to the policy, recorded. Returns every job's speed until the next one."""
        live = self._running()
        load = self._truth.load(step, live)
        self.view.history.scrape(load)
        self.view.now = step * STEP_SECONDS
        self.view.sampled_at = self.view.now - STEP_SECONDS
        self._policy.scraped(self.view)
        if step >= 0:
            waits = len(self._waiting)
            self._recorder.record(load, self._truth.watts(load), self.view.free[:, GPUS], waits)
        return self._truth.speeds(load, live)

    def _advance(self, step: int) -> None:
        """From one look at the load to the next, with all that happens in between."""
        now, then = step * STEP_SECONDS, (step + 1) * STEP_SECONDS
        speeds = self._look(step)
        running = list(self.view.bound)
        self._next_look = then
        self._try_waiting()
        ends = [(now + self._left[number] / speeds[number], number) for number in running]
        over = [end for end in ends if end[0] < then]
        self._left[running] -= speeds[running] * STEP_SECONDS
        for at, number, arrives in self._events(over, then):
            self.view.now = at
            if arrives:
                self._waiting.append(number)
                if self._queueing is Queueing.ALL or len(self._waiting) == 1:
                    self._try_waiting()
            else:
                self._end(number)
                self._try_waiting()

    def _events(self, over: list[tuple[float, int]], then: float) -> list[tuple[float, int, bool]]:
        """Ends and arrivals before `then`, by time; at the same time ends come first, then by number."""
        events = [(at, 0, number) for at, number in over]
        arrival = self._workload.arrival
        while self._arrived < len(arrival) and arrival[self._arrived] < then:
            events.append((float(arrival[self._arrived]), 1, self._arrived))
            self._arrived += 1
        return [(at, number, bool(kind)) for at, kind, number in sorted(events)]

    def _try_waiting(self) -> None:
        """Place who can be placed: from the head on until one can't, or every one that can."""
        refused: set[tuple[int, ...]] = set()
        still: list[int] = []
        for place, number in enumerate(self._waiting):
            ask = self._asks[number]
            shape = (*ask.asked.tolist(), ask.ranks)
            if shape not in refused and self._try(ask):
                continue
            still.append(number)
            refused.add(shape)
            if self._queueing is Queueing.FIRST:
                still.extend(self._waiting[place + 1 :])
                break
        self._waiting = still

    def _try(self, ask: Ask) -> bool:
        fits: Mask = np.asarray((self.view.free >= ask.asked).all(axis=1))
        if int(fits.sum()) < ask.ranks:
            return False
        rows = self._policy.choose(Question(ask, self.view, fits))
        if rows is None:
            return False
        self._begin(Bound(ask, tuple(int(row) for row in rows), self.view.now), fits)
        return True

    def _begin(self, bound: Bound, fits: Mask) -> None:
        ask, rows = bound.ask, list(bound.rows)
        if len(set(rows)) != ask.ranks or not fits[rows].all():
            raise ValueError(
                f"{type(self._policy).__name__} placed {ask.job.name} on rows {rows}: they don't fit"
            )
        self.view.free[rows] -= ask.asked
        self.view.bound[ask.number] = bound
        self._live = None
        # Nothing is loaded before the lag is over, so until the next look at the load it runs undisturbed.
        self._left[ask.number] -= self._next_look - self.view.now
        self._recorder.started(ask.number, self.view.now)
        self._policy.placed(bound)

    def _end(self, number: int) -> None:
        bound = self.view.bound.pop(number)
        self.view.free[list(bound.rows)] += bound.ask.asked
        self._live = None
        self._recorder.ended(number, self.view.now)
        self._policy.ended(Over(bound, self.view.now))

    def _running(self) -> Live:
        """Who runs where, as arrays; made anew only after somebody came or went."""
        if self._live is None:
            ranks = [(b.ask.number, row, b.at) for b in self.view.bound.values() for row in b.rows]
            job, node, begun = zip(*ranks, strict=True) if ranks else ((), (), ())
            self._live = Live(np.array(job, np.int64), np.array(node, np.int64), np.array(begun, np.float64))
        return self._live
