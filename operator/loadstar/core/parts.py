"""How large the parts of GPUs are that a cluster offers: jobs are charged for them before they have a node."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import fsum

from loadstar.core.devices import gpu_part
from loadstar.core.fleet import Node


def offered_parts(nodes: Iterable[Node]) -> Mapping[str, float]:
    """How much of a whole GPU one device of each kind is: the mean over all that these nodes offer.

    A MIG instance tells by its name; into how many replicas a GPU is shared, only the labels of its node do.
    """
    counts: dict[str, int] = defaultdict(int)
    gpus: dict[str, list[float]] = defaultdict(list)
    for node in nodes:
        for kind, count in node.allocatable.devices:
            counts[kind] += count
            gpus[kind].append(count * gpu_part(kind, node.labels))
    return {kind: fsum(gpus[kind]) / count for kind, count in counts.items()}
