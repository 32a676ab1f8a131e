"""Gangs that hold devices now: since when, until when, and what would be lost if they were ended."""

from dataclasses import dataclass

from loadstar.core.jobs import Job

GRACE_SECONDS = 60.0
"""What a pod gets between SIGTERM and its end, to write a checkpoint (terminationGracePeriodSeconds)."""


@dataclass(frozen=True, slots=True)
class Running:
    """One gang inside an attempt; `nodes` are those of its ranks that are not over. All times are Unix seconds.

    `started_at` is None until all of its ranks run. `ends_at` is when it says that it will be done, None where it says
    nothing; `saved_at` when its newest checkpoint was written. `ending`: it was told to end, and is gone by `ends_at`.
    """

    job: Job
    attempt: int
    nodes: tuple[str, ...]
    placed_at: float
    started_at: float | None = None
    ends_at: float | None = None
    saved_at: float | None = None
    ending: bool = False

    @property
    def gpus(self) -> int:
        """The GPUs that it holds."""
        return len(self.nodes) * self.job.request.gpus

    def ran(self, now: float) -> float:
        """Seconds since all of its ranks run."""
        return 0.0 if self.started_at is None else max(0.0, now - self.started_at)

    def lost(self, now: float) -> float:
        """GPU-seconds of work that an end without a word would throw away: all since its last checkpoint."""
        if self.started_at is None:
            return 0.0
        return max(0.0, now - max(self.started_at, self.saved_at or 0.0)) * max(self.gpus, 1)


def gpus_of(job: Job) -> int:
    """The GPUs that the whole gang asks for."""
    return job.ranks * job.request.gpus
