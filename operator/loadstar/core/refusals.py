"""What a job without a placement is told: which nodes refused it, whether waiting helps, and what to change."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loadstar.core import devices, filters, volumes
from loadstar.core.filters import REASONS, Codes
from loadstar.core.jobs import Job, Rejection
from loadstar.core.snapshot import Mask, Snapshot


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """No placement now.

    `infeasible` says that no amount of waiting helps on the nodes there are, `frees_up` that it fits as soon as what
    runs has ended; neither, where nodes are refused for something else than their use, such as a cordon.
    """

    reason: str
    message: str
    rejected: tuple[Rejection, ...]
    infeasible: bool = False
    frees_up: bool = False


def grouped(codes: Codes, snapshot: Snapshot) -> tuple[Rejection, ...]:
    """Refused nodes counted by reason, each with its first node as an example."""
    counts = np.bincount(codes + 1, minlength=len(REASONS) + 1)[1:]
    return tuple(
        Rejection(
            REASONS[code].value, int(counts[code]), snapshot.names[int(np.flatnonzero(codes == code)[0])]
        )
        for code in np.flatnonzero(counts).tolist()
    )


def unplaceable(job: Job, snapshot: Snapshot, codes: Codes) -> Unplaceable:
    """Why a gang has no placement, in words that say what to do, where these nodes refuse."""
    rejected = grouped(codes, snapshot)
    asked = filters.amounts(job.request, snapshot)
    large = filters.large_enough(asked, snapshot)
    problem = next(_problems(job, snapshot, asked, large), None)
    if problem is not None:
        return Unplaceable("Infeasible", problem, rejected, infeasible=True)
    in_use = np.isin(codes, filters.USE) | (codes < 0)
    frees_up = most_together(job, snapshot, in_use & large) >= job.ranks
    return Unplaceable(
        "InsufficientResources", _waiting(job, snapshot, codes, rejected), rejected, frees_up=frees_up
    )


def most_together(job: Job, snapshot: Snapshot, nodes: Mask) -> int:
    """How many of these nodes a gang could use at once: all, or those of the fullest domain where it must be one."""
    level = required_level(job)
    if level is None:
        return int(nodes.sum())
    domains = snapshot.domains(level)[nodes]
    return int(np.bincount(domains[domains >= 0], minlength=1).max())


def required_level(job: Job) -> str | None:
    """The level of the topology on which all ranks have to be in one domain; None where they need not."""
    topology = job.scheduling.topology
    return topology.level if topology is not None and topology.required and job.ranks > 1 else None


def _waiting(job: Job, snapshot: Snapshot, codes: Codes, rejected: tuple[Rejection, ...]) -> str:
    level, fitting = required_level(job), codes < 0
    wanted = f"{job.ranks} nodes" if job.ranks > 1 else "a node"
    within = f" in one {level}" if level else ""
    refused = ", ".join(f"{r.nodes} {r.reason} (such as {r.example})" for r in rejected)
    places = volumes.places(job.volumes)
    fit = f"{fitting.sum()} of {len(snapshot.nodes)} nodes fit"
    if level and fitting.any():
        fit += f", at most {most_together(job, snapshot, fitting)} of them in one {level}"
    return (
        f"waiting for {wanted}{within} with {_room(job)}{' each' if job.ranks > 1 else ''}: {fit}"
        f"{f'; refused: {refused}' if refused else ''}. {f'{places}. ' if places else ''}"
        "It starts by itself when enough is free."
    )


def _room(job: Job) -> str:
    """What a rank waits for on its node, in words."""
    gpus = ((devices.GPU, job.request.gpus),) if job.request.gpus else ()
    asked = [f"{count} free {kind}" for kind, count in gpus + job.request.devices]
    return " and ".join(asked) or "enough free CPU and memory"


def _problems(job: Job, snapshot: Snapshot, asked: tuple[filters.Amount, ...], large: Mask) -> Iterator[str]:
    """Why the gang can't run even with every node empty, each with what to change; the first one says enough."""
    wishes = job.scheduling
    if not snapshot.nodes:
        kinds = " and ".join(job.request.gpu_counts)
        yield f"the cluster has no nodes: add nodes{f' that offer {kinds}' if kinds else ''}"
    if wishes.gpu_products and not snapshot.offers(wishes.gpu_products).any():
        yield _no_such_product(wishes.gpu_products, snapshot)
    reached = snapshot.reaches(job.volumes)
    if not reached.any():
        yield f"{volumes.places(job.volumes)}, and no node fits that: add such a node or name another claim"
    for amount in asked:
        if amount.column is None:
            yield _no_such_device(amount.unit, snapshot)
        elif (largest := snapshot.allocatable[:, amount.column].max(initial=0)) < amount.asked:
            yield (
                f"each rank asks for {amount.asked} {amount.unit}, but the largest node has {largest}: "
                "lower spec.trainer.resourcesPerNode or add a larger node"
            )
    able = large & reached
    if wishes.gpu_products:
        able &= snapshot.offers(wishes.gpu_products)
    elif job.request.gpus > 1:
        able &= snapshot.fleet.parts(devices.GPU) >= 1.0
        if large.any() and not able.any():
            yield (
                f"each rank asks for {job.request.gpus} nvidia.com/gpu, but on every node that has so many they are "
                "parts of GPUs (shared in turns, or MIG), and one rank can't use two parts of one GPU: lower "
                "spec.trainer.resourcesPerNode to 1, or name such a node's nvidia.com/gpu.product in "
                "spec.scheduling.gpuProducts"
            )
    yield from _too_little_memory(job, snapshot, able)
    if wishes.gpu_memory:
        able &= ~_memory_short(job, snapshot)
    yield from _too_few(job, snapshot, able, reached)


def _too_few(job: Job, snapshot: Snapshot, able: Mask, reached: Mask) -> Iterator[str]:
    products, level = job.scheduling.gpu_products, required_level(job)
    of_these = f" of {', '.join(sorted(products))}" if products else ""
    if able.sum() < job.ranks:
        asked = f"spec.trainer.numNodes is {job.ranks}" if job.ranks > 1 else "the job needs a node"
        yield (
            f"{asked}, but only {able.sum()} nodes{of_these} are large enough for one rank"
            f"{'' if reached.all() else f' and can mount what it needs ({volumes.places(job.volumes)})'}: "
            f"lower spec.trainer.numNodes or resourcesPerNode, {'name more gpuProducts, ' if products else ''}"
            "or add nodes"
        )
    elif level is not None and (snapshot.domains(level) < 0).all():
        yield (
            f"spec.scheduling.topology requires one {level}, but no node has that label: "
            "label the nodes, name another level, or leave required out"
        )
    elif (most := most_together(job, snapshot, able)) < job.ranks:
        yield (
            f"spec.trainer.numNodes is {job.ranks} in one {level}, but the largest has only {most} nodes{of_these} "
            "that are large enough for one rank: lower spec.trainer.numNodes, or leave "
            "spec.scheduling.topology.required out"
        )


def _too_little_memory(job: Job, snapshot: Snapshot, able: Mask) -> Iterator[str]:
    needed = job.scheduling.gpu_memory
    if not needed or not able.any():
        return
    offered = max(
        (int(snapshot.fleet.gpu_memory(kind)[able].max()) for kind in filters.asked_gpus(job.request)),
        default=0,
    )
    if offered == 0:
        yield (
            "spec.scheduling.gpuMemory is given, but no node tells the memory of its GPUs "
            "(label nvidia.com/gpu.memory): run GPU feature discovery, or leave gpuMemory out"
        )
    elif offered < needed:
        yield (
            f"spec.scheduling.gpuMemory is {_gibibytes(needed)}, but the GPUs that the job could use have at most "
            f"{_gibibytes(offered)} each: lower gpuMemory or add nodes with larger GPUs"
        )


def _memory_short(job: Job, snapshot: Snapshot) -> Mask:
    """Nodes whose GPUs are too small, whatever is free on them."""
    kinds = filters.asked_gpus(job.request)
    sizes = [snapshot.fleet.gpu_memory(kind) < job.scheduling.gpu_memory for kind in kinds]
    return np.asarray(np.any(sizes, axis=0)) if sizes else np.zeros(len(snapshot.nodes), dtype=np.bool_)


def _gibibytes(amount: int) -> str:
    return f"{amount / (1 << 30):.4g}Gi"


def _no_such_device(kind: str, snapshot: Snapshot) -> str:
    columns = snapshot.fleet.columns
    offered = sorted(
        one for one in columns if devices.is_gpu(one) and snapshot.allocatable[:, columns[one]].any()
    )
    others = f"the nodes offer {', '.join(offered)}" if offered else "no node offers any GPU"
    return (
        f"each rank asks for {kind}, but no node offers that; {others}: correct spec.trainer.resourcesPerNode, or have "
        "a node's GPUs split or shared so"
    )


def _no_such_product(asked: frozenset[str], snapshot: Snapshot) -> str:
    wish = f"spec.scheduling.gpuProducts is {', '.join(sorted(asked))}"
    present = sorted(product for product in snapshot.fleet.products.values if product)
    if not present:
        return (
            f"{wish}, but no node has the label nvidia.com/gpu.product: "
            "run GPU feature discovery, or leave gpuProducts out"
        )
    return (
        f"{wish}, but the nodes have {', '.join(present)}: name one of these or add nodes with that product"
    )
