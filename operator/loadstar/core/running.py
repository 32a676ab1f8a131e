"""Gangs that hold devices now: since when, until when, and what would be lost if they were ended."""

from collections.abc import Collection
from dataclasses import dataclass

from loadstar.core.jobs import Job, JobState
from loadstar.core.pods import Pod

GRACE_SECONDS = 60.0
"""What a pod gets between SIGTERM and its end, to write a checkpoint (terminationGracePeriodSeconds)."""


@dataclass(frozen=True, slots=True)
class Running:
    """One gang inside an attempt; `nodes` are those of its ranks that are not over. All times are Unix seconds.

    `started_at` is None until all of its ranks run. `ends_at` is when it says that it will be done, None where it says
    nothing; `saved_at` when its newest checkpoint was written. `ending`: it was told to end, and is gone by `ends_at`.
    `ran_before` are the seconds that the job held nodes in earlier attempts.
    """

    job: Job
    attempt: int
    nodes: tuple[str, ...]
    placed_at: float
    started_at: float | None = None
    ends_at: float | None = None
    saved_at: float | None = None
    ending: bool = False
    ran_before: float = 0.0

    @property
    def gpus(self) -> float:
        """The GPUs that it holds; a part of one counts as its share."""
        return len(self.nodes) * self.job.gpus_per_rank

    def runs_for(self, now: float) -> float:
        """Seconds since all of its ranks run."""
        return 0.0 if self.started_at is None else max(0.0, now - self.started_at)

    def ran(self, now: float) -> float:
        """Seconds that the job has held nodes so far, in all of its attempts: others wait while its pods start, too."""
        return self.ran_before + max(0.0, now - self.placed_at)

    def lost(self, now: float) -> float:
        """GPU-seconds of work that an end without a word would throw away: all since its last checkpoint.

        One without GPUs counts as if it had one.
        """
        if self.started_at is None:
            return 0.0
        return max(0.0, now - max(self.started_at, self.saved_at or 0.0)) * (self.gpus or 1.0)


def gang_of(
    job: Job, state: JobState, pods: Collection[Pod], now: float, ends_at: float | None = None
) -> Running | None:
    """What a job holds: its attempt's ranks that are not over, or what is left of one that was ended; None if nothing.

    `ends_at` is when its own report says that it will be done.
    """
    placement = state.placement
    if state.finished or placement is None:
        return _ending(job, state, pods, now)
    over = {pod.rank for pod in pods if pod.attempt == state.attempt and pod.terminal}
    nodes = tuple(rank.node for rank in placement.ranks if rank.rank not in over)
    if not nodes:
        return None
    return Running(job, state.attempt, nodes, placement.decided_at, state.running_since, ends_at)


def _ending(job: Job, state: JobState, pods: Collection[Pod], now: float) -> Running | None:
    """Pods that outlive their attempt: they were told to end when it did."""
    nodes = tuple(pod.node for pod in pods if pod.node is not None and not pod.terminal)
    if not nodes:
        return None
    told_at = state.last_failure.at if state.last_failure else now
    gone_by = max(now, told_at + GRACE_SECONDS)
    return Running(job, state.attempt, nodes, told_at, ends_at=gone_by, ending=True)


def gpus_of(job: Job) -> float:
    """The GPUs that the whole gang asks for; a part of one counts as its share."""
    return job.ranks * job.gpus_per_rank
