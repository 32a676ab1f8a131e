"""What the queue goes by: who runs and until when, what groups have used, how long jobs last, priorities and quotas."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from loadstar.api.convert import InvalidTrainingJob
from loadstar.controller import capacity
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Tracked
from loadstar.core.backfill import Promises
from loadstar.core.durations import Durations
from loadstar.core.fairshare import Usage
from loadstar.core.jobs import Job, JobState, Phase
from loadstar.core.parts import offered_parts
from loadstar.core.plan import Queues
from loadstar.core.priority import ranked
from loadstar.core.queue import Order
from loadstar.core.running import Running, gang_of, gpus_of

PARTS_SECONDS = 60.0
"""Between two looks at how large the parts of GPUs are that nodes offer."""


@dataclass(slots=True)
class QueueWatch:
    """Keeps the queue's books. `clock` gives Unix seconds, `protected_seconds` what nobody is preempted before."""

    caches: Caches
    board: Board
    clock: Callable[[], float]
    order: Order = Order.FIRST_COME
    protected_seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    _durations: Durations = field(default_factory=Durations)
    _promises: Promises = field(default_factory=Promises)
    _ran: dict[str, float] = field(default_factory=dict)
    """Seconds that jobs which are not over held nodes in attempts that are, by uid."""
    _parts: tuple[float, Mapping[str, float]] | None = None

    def remember(self) -> None:
        """Begin with what the statuses of the jobs tell, after a restart: of earlier attempts as if they were one.

        Those who waited wait from the first cycle on: else whoever is looked at first would go before them.
        """
        self._ran.clear()
        for key, tracked in self.caches.jobs.items():
            job, state = tracked.job, tracked.state
            if job is not None and state.queue_position is not None:
                self.board.want(key, tracked.uid)
            if job is None or state.start_time is None:
                continue
            if state.finished and state.completion_time is not None:
                self._settle(job, state.attempt, (state.start_time, state.completion_time))
                if state.phase is Phase.SUCCEEDED:
                    since = _first_held(state, state.start_time)
                    self._durations.learn(job.family, state.completion_time - since)
                    if since < state.start_time:
                        self._durations.learn_start(job.family, state.start_time - since)
            elif state.last_failure is not None and state.last_failure.at > state.start_time:
                span = (state.start_time, state.last_failure.at)
                self._settle(job, state.last_failure.attempt, span)
                self._ran[job.uid] = span[1] - span[0]

    def changed(self, job: Job, before: JobState, after: JobState) -> None:
        """A job's state was written: by it its pods run, or an attempt that ran is over, or the job done."""
        began, now = before.running_since, self.clock()
        if began is None and after.running_since is not None and after.placement is not None:
            self._durations.learn_start(job.family, max(0.0, now - after.placement.decided_at))
        if began is not None and before.placement is not None and after.running_since is None:
            self._settle(job, before.attempt, (began, now))
            held = max(0.0, now - before.placement.decided_at)
            self._ran[job.uid] = self._ran.get(job.uid, 0.0) + held
        if after.finished:
            ran = self._ran.pop(job.uid, None)
            if after.phase is Phase.SUCCEEDED and before.phase is not Phase.SUCCEEDED and ran is not None:
                self._durations.learn(job.family, ran)

    def job_of(self, tracked: Tracked) -> Job | None:
        """The job with its priority, and with the size of what it asks for."""
        if isinstance(tracked.asked, InvalidTrainingJob):
            return None
        parsed, job = tracked.asked
        return ranked(
            self._sized(job),
            parsed.spec.scheduling.priority_class_name,
            self.caches.priorities,
            self.protected_seconds,
        )

    def queues(self) -> Queues:
        """All of it, as a cycle wants it."""
        now = self.clock()
        running = tuple(self._running(now))
        uids = {gang.job.uid for gang in running}
        self.board.evictions = {uid: it for uid, it in self.board.evictions.items() if uid in uids}
        return Queues(
            running=running,
            usage=self.usage,
            durations=self._durations,
            promises=self._promises,
            quotas=tuple(self.caches.quotas.values()),
            unseen=tuple(self._unseen()) if self.caches.quotas else (),
            order=self.order,
            ran=self._ran,
        )

    def _settle(self, job: Job, attempt: int, span: tuple[float, float]) -> None:
        self.usage.settle((job.uid, attempt), job.group, gpus_of(self._sized(job)), span)

    def _sized(self, job: Job) -> Job:
        """The job with the size of its parts of GPUs, where nodes offer such."""
        size = next((self._offered().get(kind) for kind, _ in job.request.devices), None)
        return job if size is None else replace(job, part=size)

    def _offered(self) -> Mapping[str, float]:
        """The sizes of parts, worked out anew now and then."""
        now = self.clock()
        if self._parts is None or now - self._parts[0] >= PARTS_SECONDS:
            self._parts = now, offered_parts(seen.node for seen in self.caches.nodes.values())
        return self._parts[1]

    def _running(self, now: float) -> Iterator[Running]:
        for tracked in self.caches.jobs.values():
            pods = self.caches.pods_of(tracked.uid, now)
            if tracked.state.placement is None and not pods:
                continue
            job = self.job_of(tracked)
            if job is None:
                continue
            ran_before = self._ran.get(job.uid, 0.0)
            gang = gang_of(job, tracked.state, pods, now, _ends_at(tracked))
            if gang is not None:
                yield replace(gang, ran_before=ran_before)
        yield from self._assumed(now)

    def _assumed(self, now: float) -> Iterable[Running]:
        """Gangs with an offer that no state holds yet: their nodes are taken, and they can still be told to end."""
        for job, placement in self.board.assumed(self.caches):
            nodes = tuple(rank.node for rank in placement.ranks)
            yield Running(job, 0, nodes, now, ran_before=self._ran.get(job.uid, 0.0))

    def _unseen(self) -> Iterator[tuple[Job, int]]:
        """Jobs with as many of their pods as are decided and not made yet: no quota counts those as used."""
        for tracked, job, placement in capacity.placed(self.caches):
            made = {
                seen.pod.rank
                for seen in self.caches.owned_by(tracked.uid)
                if seen.pod is not None and seen.pod.attempt == tracked.state.attempt
            }
            if len(made) < len(placement.ranks):
                yield job, len(placement.ranks) - len(made)
        for job, placement in self.board.assumed(self.caches):
            yield job, len(placement.ranks)


def _first_held(state: JobState, started_at: float) -> float:
    """When a job began to hold nodes, before all its pods ran; after several attempts that is not known any more."""
    decided_at = state.placement.decided_at if state.placement and state.attempt == 1 else started_at
    return min(decided_at, started_at)


def _ends_at(tracked: Tracked) -> float | None:
    """When the job's own newest report says that it will be done."""
    told = tracked.reported.get("trainerStatus") or {}
    rest, at = told.get("estimatedRemainingSeconds"), told.get("lastUpdatedTime")
    if not isinstance(rest, int) or not isinstance(at, str):
        return None
    return datetime.fromisoformat(at).timestamp() + rest
