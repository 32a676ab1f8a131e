"""A live cluster as input of a simulation: its nodes, and the TrainingJobs that have finished."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadstar.api.convert import InvalidTrainingJob, job_of, parse, parse_status
from loadstar.api.observe import observe_node
from loadstar.api.state import state_of
from loadstar.clients.kube import Kube, Object
from loadstar.clients.resources import NODES, TRAINING_JOBS
from loadstar.core.fragmentation import Ask
from loadstar.core.snapshot import Node
from loadstar.simulator.traces import TraceJob


@dataclass(frozen=True, slots=True)
class Found:
    """What was found."""

    nodes: list[Node]
    jobs: list[TraceJob]


async def snapshot(kube: Kube) -> Found:
    """Ask the cluster. Left out are nodes without GPUs, nodes that take no pods now, and jobs that are not over."""
    nodes, jobs = await kube.list(NODES), await kube.list(TRAINING_JOBS)
    observed = [observe_node(raw).node for raw in nodes]
    usable = [node for node in observed if node.allocatable.gpus and node.ready and not node.cordoned]
    return Found(usable, list(finished(jobs)))


def finished(jobs: Iterable[Object]) -> Iterable[TraceJob]:
    """Jobs that ran to an end: when each came and how long it ran, from its first start on.

    Left out are those of parts of GPUs, which simulated nodes don't have.
    """
    for raw in jobs:
        state = state_of(parse_status(raw))
        if state.start_time is None or state.completion_time is None:
            continue
        try:
            job = job_of(parse(raw))
        except InvalidTrainingJob:
            continue  # written when the API was another
        asked = job.request
        if asked.devices:
            continue
        yield TraceJob(
            f"{job.namespace}/{job.name}",
            Ask(asked.cpu, asked.memory, asked.gpus, products=job.scheduling.gpu_products),
            job.created_at,
            max(state.completion_time - state.start_time, 0.0),
            job.ranks,
            job.family,
            job.group,
            job.scheduling.priority,
        )
