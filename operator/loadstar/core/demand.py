"""What jobs of this cluster usually ask for: the ground on which a placement's fragments are judged."""

from collections import Counter
from collections.abc import Iterable

from loadstar.core.fragmentation import Fragmentation
from loadstar.core.jobs import Job
from loadstar.core.mix import Ask, Mix
from loadstar.core.snapshot import Node

GUESSES = tuple(Ask(gpus=gpus) for gpus in (1, 2, 4, 8))
"""What is asked for before anybody did; each counts as one rank."""


def fragmentation(jobs: Iterable[Job], nodes: Iterable[Node]) -> Fragmentation:
    """The tables of the requests of these jobs' ranks, for these nodes."""
    counts = Counter(dict.fromkeys(GUESSES, 1))
    for job in jobs:
        request = job.request
        if request.gpus:
            products = job.scheduling.gpu_products
            counts[Ask(request.cpu, request.memory, request.gpus, products=products)] += job.ranks
    gpus: Counter[str] = Counter()
    for node in nodes:
        gpus[node.gpu_product or ""] += node.allocatable.gpus
    return Fragmentation(Mix.typical(counts).by_scarcity(gpus), gpus)
