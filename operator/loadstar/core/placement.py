"""Filter → score → choose, for a whole gang at once: a placement of every rank, or the reasons why there is none."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from loadstar.core import score, volumes
from loadstar.core.commitments import expected_use
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement, Policy, RankPlacement, Rejection
from loadstar.core.score import NodeLoads, Scores, Weights
from loadstar.core.snapshot import CPU, GPUS, MEMORY, PODS, Snapshot

Mask = NDArray[np.bool_]
Codes = NDArray[np.int8]


class Refusal(StrEnum):
    """Why a node can't take a rank, in the order in which the reasons are looked at."""

    NOT_READY = "NotReady"
    CORDONED = "Cordoned"
    TAINTED = "Tainted"
    OTHER_PRODUCT = "OtherGPUProduct"
    VOLUME_ELSEWHERE = "VolumeElsewhere"
    INSUFFICIENT_GPUS = "InsufficientGPUs"
    INSUFFICIENT_CPU = "InsufficientCPU"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    TOO_MANY_PODS = "TooManyPods"
    TOO_LOADED = "TooLoaded"


REASONS = tuple(Refusal)


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


@dataclass(frozen=True, slots=True)
class Request:
    """What to place and by what: the job, its policy's loads, and where round robin stands (a row or None)."""

    job: Job
    loads: NodeLoads
    weights: Weights
    last_turn: int | None
    now: float


_RESOURCES = (
    (GPUS, "gpus", Refusal.INSUFFICIENT_GPUS, "nvidia.com/gpu"),
    (CPU, "cpu", Refusal.INSUFFICIENT_CPU, "millicores of CPU"),
    (MEMORY, "memory", Refusal.INSUFFICIENT_MEMORY, "bytes of memory"),
    (PODS, "pods", Refusal.TOO_MANY_PODS, "pod"),
)

_USE = [REASONS.index(reason) for _, _, reason, _ in _RESOURCES]
"""The codes of refusals that end when what runs on a node ends."""


def place(request: Request, snapshot: Snapshot) -> Placement | Unplaceable:
    """The best nodes for every rank of the gang, one rank to a node, or the reason why not all of them fit."""
    obstacle = volumes.obstacle(request.job.volumes, request.job.ranks, request.job.namespace)
    if obstacle is not None:
        return Unplaceable(*obstacle, rejected=(), infeasible=True)
    refusals = _refusals(request, snapshot)
    candidates = np.flatnonzero(refusals < 0)
    rejected = _grouped(refusals, snapshot)
    if len(candidates) < request.job.ranks:
        in_use = np.isin(refusals, _USE) | (refusals < 0)
        frees_up = int((in_use & _large_enough(request.job, snapshot)).sum()) >= request.job.ranks
        return _unplaceable(request.job, snapshot, rejected, len(candidates), frees_up)
    scores = _scores(request, snapshot)
    order = _best_first(candidates, scores, snapshot)[: request.job.ranks]
    ranks = tuple(
        _rank_placement(rank, int(row), request, snapshot, scores) for rank, row in enumerate(order)
    )
    scheduling = request.job.scheduling
    return Placement(scheduling.policy, request.now, scheduling.horizon, ranks, rejected)


def _refusals(request: Request, snapshot: Snapshot) -> Codes:
    """Per node the position in REASONS of the first reason that refuses it, -1 where none does."""
    job = request.job
    refusals = np.full(len(snapshot.nodes), -1, dtype=np.int8)

    def refuse(where: Mask, reason: Refusal) -> None:
        refusals[where & (refusals < 0)] = REASONS.index(reason)

    refuse(~snapshot.ready, Refusal.NOT_READY)
    refuse(snapshot.cordoned, Refusal.CORDONED)
    refuse(snapshot.tainted_for_gpu_pods if job.request.gpus else snapshot.tainted, Refusal.TAINTED)
    if job.scheduling.gpu_products:
        refuse(~snapshot.offers(job.scheduling.gpu_products), Refusal.OTHER_PRODUCT)
    if job.volumes:
        refuse(~snapshot.reaches(job.volumes), Refusal.VOLUME_ELSEWHERE)
    for column, part, reason, _ in _RESOURCES:
        refuse(snapshot.free[:, column] < getattr(job.request, part), reason)
    if job.scheduling.max_load is not None:
        too_high = request.loads.measured & (request.loads.forecast > job.scheduling.max_load)
        refuse(too_high, Refusal.TOO_LOADED)
    return refusals


def _scores(request: Request, snapshot: Snapshot) -> Scores:
    match request.job.scheduling.policy:
        case Policy.PREDICTIVE:
            return _predictive_scores(request, snapshot)
        case Policy.FEEDBACK:
            return score.plain_feedback(request.loads)
        case Policy.LEAST_LOADED:
            return score.least_loaded(request.loads)
        case Policy.ROUND_ROBIN:
            return score.round_robin(len(snapshot.nodes), request.last_turn)


def _predictive_scores(request: Request, snapshot: Snapshot) -> Scores:
    asked, weights = request.job.request, request.weights
    signal_weights = np.array([weights.signals.get(signal, 0.0) for signal in SIGNALS])
    own_use = expected_use(asked, snapshot) @ (signal_weights / signal_weights.sum())
    gpus = snapshot.allocatable[:, GPUS]
    after = (snapshot.free[:, GPUS] - asked.gpus).astype(float)
    free_share = np.divide(after, gpus, out=np.zeros(len(gpus)), where=gpus > 0)
    return score.predictive(request.loads, own_use, np.clip(free_share, 0.0, 1.0), weights)


def _best_first(candidates: NDArray[np.intp], scores: Scores, snapshot: Snapshot) -> NDArray[np.intp]:
    """Candidates by score, ties by best fit (fewest free GPUs), then by name: a total order."""
    total = np.round(scores.total[candidates], 9)
    order = np.lexsort((candidates, snapshot.free[candidates, GPUS], -total))
    return candidates[order]


def _rank_placement(
    rank: int, row: int, request: Request, snapshot: Snapshot, scores: Scores
) -> RankPlacement:
    loads = request.loads
    measured = bool(loads.measured[row])
    return RankPlacement(
        rank=rank,
        node=snapshot.names[row],
        load=float(loads.current[row]) if measured else None,
        forecast=float(loads.forecast[row]),
        band=float(loads.band[row]) if measured else None,
        score=float(scores.total[row]),
        terms={name: float(values[row]) for name, values in scores.terms.items()},
    )


def _grouped(refusals: Codes, snapshot: Snapshot) -> tuple[Rejection, ...]:
    """Refused nodes counted by reason, each with its first node as an example."""
    counts = np.bincount(refusals[refusals >= 0], minlength=len(REASONS))
    return tuple(
        Rejection(reason.value, int(counts[code]), snapshot.names[int(np.argmax(refusals == code))])
        for code, reason in enumerate(REASONS)
        if counts[code]
    )


def _unplaceable(
    job: Job, snapshot: Snapshot, rejected: tuple[Rejection, ...], fitting: int, frees_up: bool
) -> Unplaceable:
    infeasible = _infeasible(job, snapshot)
    if infeasible is not None:
        return Unplaceable("Infeasible", infeasible, rejected, infeasible=True)
    wanted = f"{job.ranks} nodes" if job.ranks > 1 else "a node"
    refused = ", ".join(f"{r.nodes} {r.reason} (such as {r.example})" for r in rejected)
    gpus = job.request.gpus
    what = f"{gpus} free nvidia.com/gpu" if gpus else "enough free CPU and memory"
    places = volumes.places(job.volumes)
    message = (
        f"waiting for {wanted} with {what}{' each' if job.ranks > 1 else ''}: "
        f"{fitting} of {len(snapshot.nodes)} nodes fit; refused: {refused}. {f'{places}. ' if places else ''}"
        "It starts by itself when enough is free."
    )
    return Unplaceable("InsufficientResources", message, rejected, frees_up=frees_up)


def _large_enough(job: Job, snapshot: Snapshot) -> Mask:
    """Which nodes could take a rank if nothing else ran on them."""
    asked = [getattr(job.request, part) for _, part, _, _ in _RESOURCES]
    columns = [column for column, _, _, _ in _RESOURCES]
    return np.asarray((snapshot.allocatable[:, columns] >= asked).all(axis=1))


def _infeasible(job: Job, snapshot: Snapshot) -> str | None:
    """Why the gang can't run even with every node empty, with what to change; None when it could."""
    if not snapshot.nodes:
        return (
            f"the cluster has no nodes: add nodes{' that offer nvidia.com/gpu' if job.request.gpus else ''}"
        )
    if job.scheduling.gpu_products and not snapshot.offers(job.scheduling.gpu_products).any():
        return _no_such_product(job.scheduling.gpu_products, snapshot)
    reached = snapshot.reaches(job.volumes)
    if not reached.any():
        return f"{volumes.places(job.volumes)}, and no node fits that: add such a node or name another claim"
    for column, part, _, unit in _RESOURCES:
        asked, offered = getattr(job.request, part), snapshot.allocatable[:, column]
        if (offered >= asked).sum() == 0:
            return (
                f"each rank asks for {asked} {unit}, but the largest node has {offered.max()}: "
                "lower spec.trainer.resourcesPerNode or add a larger node"
            )
    large_enough, products = _large_enough(job, snapshot) & reached, job.scheduling.gpu_products
    if products:
        large_enough &= snapshot.offers(products)
    if large_enough.sum() < job.ranks:
        asked = f"spec.trainer.numNodes is {job.ranks}" if job.ranks > 1 else "the job needs a node"
        of_these = f" of {', '.join(sorted(products))}" if products else ""
        return (
            f"{asked}, but only {large_enough.sum()} nodes{of_these} are large enough for one rank"
            f"{'' if reached.all() else f' and can mount what it needs ({volumes.places(job.volumes)})'}: "
            f"lower spec.trainer.numNodes or resourcesPerNode, {'name more gpuProducts, ' if products else ''}"
            "or add nodes"
        )
    return None


def _no_such_product(asked: frozenset[str], snapshot: Snapshot) -> str:
    wish = f"spec.scheduling.gpuProducts is {', '.join(sorted(asked))}"
    present = sorted({node.gpu_product for node in snapshot.nodes if node.gpu_product})
    if not present:
        return (
            f"{wish}, but no node has the label nvidia.com/gpu.product: "
            "run GPU feature discovery, or leave gpuProducts out"
        )
    return (
        f"{wish}, but the nodes have {', '.join(present)}: name one of these or add nodes with that product"
    )
