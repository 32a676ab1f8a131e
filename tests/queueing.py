"""A cluster in virtual time whose queue is worked off by the operator's own cycle."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from loadstar.core.jobs import Job, Placement, RunPolicy, Scheduling
from loadstar.core.plan import Offer, Queues, Turn, plan
from loadstar.core.resources import Resources
from loadstar.core.running import GRACE_SECONDS, Running
from loadstar.core.snapshot import Node, Snapshot
from tests.builders import NOW, make_job, make_loads, make_snapshot


def make_running(
    name: str = "running",
    nodes: Iterable[str] = ("node-0",),
    *,
    gpus: int = 1,
    ran: float = 600.0,
    priority: int = 0,
    protected: float = 0.0,
    **changes: Any,
) -> Running:
    """A gang with a rank on each node, which runs since `ran` seconds before NOW; job-only changes are `job_…`."""
    nodes = tuple(nodes)
    scheduling = Scheduling(priority=priority, protected_seconds=protected)
    of_job = {key.removeprefix("job_"): value for key, value in changes.items() if key.startswith("job_")}
    job = make_job(name, ranks=len(nodes), gpus=gpus, **{"scheduling": scheduling, **of_job})
    rest = {key: value for key, value in changes.items() if not key.startswith("job_")}
    times = {"placed_at": NOW - ran, "started_at": NOW - ran}
    return Running(**{"job": job, "attempt": 1, "nodes": nodes, **times, **rest})


def taken_by(gangs: Iterable[Running]) -> dict[str, Resources]:
    """What these hold on each node."""
    taken: dict[str, Resources] = defaultdict(Resources)
    for gang in gangs:
        for node in gang.nodes:
            taken[node] += gang.job.request
    return taken


def cycle(
    jobs: Iterable[Job],
    nodes: list[Node],
    running: Iterable[Running] = (),
    *,
    now: float = NOW,
    queues: Queues | None = None,
) -> dict[str, Offer]:
    """One cycle on a cluster where nothing but `running` runs."""
    running = tuple(running)
    snapshot: Snapshot = make_snapshot(nodes, taken_by(running))
    return plan(jobs, snapshot, [], make_loads(), Turn(), now, replace(queues or Queues(), running=running))


def lasting(seconds: float) -> RunPolicy:
    """A job that is ended after this long at the latest, its pods' grace included."""
    return RunPolicy(active_deadline=seconds - GRACE_SECONDS)


@dataclass
class VirtualCluster:
    """Jobs come, run for as long as `lengths` says (by uid, in seconds), and go; `now` only moves from event to event.

    A gang that is ended for another takes its grace to write a checkpoint, and then goes on from there.
    """

    nodes: list[Node]
    lengths: dict[str, float]
    queues: Queues = field(default_factory=Queues)
    now: float = NOW
    coming: list[Job] = field(default_factory=list)
    waiting: dict[str, Job] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    """When each running gang really ends."""
    offers: dict[str, Offer] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    used: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """GPU-seconds by group, of attempts that are over."""

    def submit(self, *jobs: Job) -> None:
        """They come at their time of creation."""
        self.coming = sorted([*self.coming, *jobs], key=lambda job: job.order)

    def step(self) -> bool:
        """Go on to the next event, then run cycles until nothing more is placed. False: nothing will ever happen."""
        times = [*self.ends.values(), *(job.created_at for job in self.coming[:1])]
        if not times:
            return False
        self.now = max(self.now, min(times))
        while self.coming and self.coming[0].created_at <= self.now:
            job = self.coming.pop(0)
            self.waiting[job.uid] = job
        for uid in [uid for uid, end in self.ends.items() if end <= self.now]:
            self._end(uid)
        while self._cycle():
            pass
        return True

    def run(self, until: float = float("inf"), most: int = 10_000) -> None:
        """Step until there is nothing left, or the time is over."""
        for _ in range(most):
            if self.now >= until or not self.step():
                return
        raise AssertionError(f"after {most} events there is no end")

    def check(self) -> None:
        """No node gives more than it has."""
        taken = taken_by(self.running.values())
        for node in self.nodes:
            assert taken[node.name].fits(node.allocatable), node.name

    def _cycle(self) -> bool:
        self.offers = cycle(
            self.waiting.values(), self.nodes, self.running.values(), now=self.now, queues=self.queues
        )
        assert self.offers.keys() == self.waiting.keys()
        placed = [uid for uid, offer in self.offers.items() if isinstance(offer.outcome, Placement)]
        for uid in placed:
            self._start(uid)
        evictions = [one for offer in self.offers.values() for one in offer.evictions]
        for eviction in evictions:
            gang = self.running[eviction.uid]
            assert gang.attempt == eviction.attempt
            assert not gang.ending, "nobody is ended twice"
            left = self.ends[eviction.uid] - self.now
            self.lengths[eviction.uid] = max(left, 1.0)
            self.ends[eviction.uid] = self.now + GRACE_SECONDS
            self.running[eviction.uid] = replace(gang, ending=True, ends_at=self.now + GRACE_SECONDS)
        self.check()
        return bool(placed or evictions)

    def _start(self, uid: str) -> None:
        outcome, job = self.offers[uid].outcome, self.waiting.pop(uid)
        assert isinstance(outcome, Placement)
        self.attempts[uid] += 1
        nodes = tuple(rank.node for rank in outcome.ranks)
        self.running[uid] = Running(job, self.attempts[uid], nodes, self.now, self.now)
        self.ends[uid] = self.now + self.lengths[uid]
        self.started.setdefault(uid, self.now)

    def _end(self, uid: str) -> None:
        gang = self.running.pop(uid)
        del self.ends[uid]
        assert gang.started_at is not None
        self.used[gang.job.group] += gang.gpus * (self.now - gang.started_at)
        span = (gang.started_at, self.now)
        self.queues.usage.settle((uid, gang.attempt), gang.job.group, gang.gpus, span)
        if gang.ending:
            self.waiting[uid] = gang.job
        else:
            self.finished[uid] = self.now
            self.queues.durations.learn(gang.job.family, self.now - gang.started_at)
