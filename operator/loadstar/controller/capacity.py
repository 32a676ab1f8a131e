"""What is taken from every node: by gangs from the moment they are decided, by other pods as they are seen."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from loadstar.api.observe import ObservedPod
from loadstar.controller.caches import Caches, Tracked
from loadstar.core.health import Health
from loadstar.core.jobs import Job, Placement
from loadstar.core.pods import Pod
from loadstar.core.resources import Resources
from loadstar.core.snapshot import Snapshot

Assumed = Iterable[tuple[Job, Placement]]
"""Placements that the cycle has offered and that no job's state holds yet."""


def snapshot(caches: Caches, assumed: Assumed, health: Mapping[str, Health] | None = None) -> Snapshot:
    """Nodes with what is free, and how they are.

    A gang's rank counts by its placement until its pod is over, whether the pod is seen yet or not; every other pod
    that is bound to a node counts by its own request until it is over.
    """
    requested: dict[str, Resources] = defaultdict(Resources)
    for tracked, job, placement in placed(caches):
        over = {pod.rank for pod in _attempt_pods(caches, tracked) if pod.terminal}
        for rank in placement.ranks:
            if rank.rank not in over:
                requested[rank.node] += job.request
    for job, placement in assumed:
        for rank in placement.ranks:
            requested[rank.node] += job.request
    for seen in caches.pods.values():
        if seen.node is not None and not seen.terminal and not _in_current_gang(caches, seen):
            requested[seen.node] += seen.request
    return Snapshot((seen.node for seen in caches.nodes.values()), requested, health)


def placed(caches: Caches) -> Iterator[tuple[Tracked, Job, Placement]]:
    """Jobs inside an attempt; the placement of a finished job is only a memory."""
    for tracked in caches.jobs.values():
        job, state = tracked.job, tracked.state
        if job is not None and state.placement is not None and not state.finished:
            yield tracked, job, state.placement


def _attempt_pods(caches: Caches, tracked: Tracked) -> Iterator[Pod]:
    """The pods of a job's current attempt."""
    for seen in caches.owned_by(tracked.uid):
        if seen.pod is not None and seen.pod.attempt == tracked.state.attempt:
            yield seen.pod


def _in_current_gang(caches: Caches, seen: ObservedPod) -> bool:
    """Whether a pod is of a job's current attempt, which counts by its placement already."""
    if seen.pod is None or seen.owner_name is None:
        return False
    tracked = caches.jobs.get((seen.namespace, seen.owner_name))
    if tracked is None or tracked.uid != seen.owner or tracked.job is None:
        return False
    state = tracked.state
    return state.placement is not None and state.attempt == seen.pod.attempt and not state.finished
