"""The order in which waiting jobs are tried."""

from collections.abc import Iterable

from loadstar.core.jobs import Job

STARVATION_SECONDS = 600.0
"""A job that has waited this long closes the queue behind it, so that small jobs can't pass a large one for ever."""


def in_order(waiting: Iterable[Job]) -> list[Job]:
    """First come, first served; ties end on the uid."""
    return sorted(waiting, key=lambda job: job.order)


def closes_the_queue(job: Job, now: float) -> bool:
    """Whether nobody behind this job, which waits for what others use, may pass it any more."""
    return now - job.created_at >= STARVATION_SECONDS
