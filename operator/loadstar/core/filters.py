"""Which nodes can't take a rank, and why: first by what nodes are, then by what is free on them."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from loadstar.core import devices
from loadstar.core.fleet import GPU_TOLERATION
from loadstar.core.jobs import Job
from loadstar.core.resources import Resources
from loadstar.core.score import NodeLoads
from loadstar.core.snapshot import CPU, GPUS, MEMORY, PODS, Mask, Rows, Snapshot
from loadstar.core.taints import Toleration

Codes = NDArray[np.int8]
"""Per node the position in REASONS of the first reason that refuses it, -1 where none does."""


class Refusal(StrEnum):
    """Why a node can't take a rank, in the order in which the reasons are looked at."""

    NOT_READY = "NotReady"
    CORDONED = "Cordoned"
    TAINTED = "Tainted"
    XID_ERROR = "XidError"
    ROW_REMAP_FAILED = "RowRemapFailed"
    TOO_HOT = "TooHot"
    OTHER_PRODUCT = "OtherGPUProduct"
    SHARED_GPUS = "SharedGPUs"
    INSUFFICIENT_GPU_MEMORY = "InsufficientGPUMemory"
    VOLUME_ELSEWHERE = "VolumeElsewhere"
    NO_DOMAIN = "NoTopologyLabel"
    INSUFFICIENT_GPUS = "InsufficientGPUs"
    INSUFFICIENT_DEVICES = "InsufficientDevices"
    INSUFFICIENT_CPU = "InsufficientCPU"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    TOO_MANY_PODS = "TooManyPods"
    RESERVED = "Reserved"
    TOO_LOADED = "TooLoaded"


REASONS = tuple(Refusal)
CODE = {reason: code for code, reason in enumerate(REASONS)}

USE = [
    CODE[reason]
    for reason in (
        Refusal.INSUFFICIENT_GPUS,
        Refusal.INSUFFICIENT_DEVICES,
        Refusal.INSUFFICIENT_CPU,
        Refusal.INSUFFICIENT_MEMORY,
        Refusal.TOO_MANY_PODS,
        Refusal.RESERVED,
    )
]
"""The codes of refusals that end when what runs on a node ends."""


@dataclass(frozen=True, slots=True)
class Amount:
    """One thing that a rank asks for: so much of a snapshot's column. `unit` is what to call it."""

    column: int | None
    """None where no node offers any."""
    asked: int
    refusal: Refusal
    unit: str


def amounts(request: Resources, snapshot: Snapshot) -> tuple[Amount, ...]:
    """All that is asked for, in the order in which it is looked at."""
    parts = (
        Amount(GPUS, request.gpus, Refusal.INSUFFICIENT_GPUS, devices.GPU),
        *(
            Amount(snapshot.fleet.columns.get(kind), count, Refusal.INSUFFICIENT_DEVICES, kind)
            for kind, count in request.devices
        ),
        Amount(CPU, request.cpu, Refusal.INSUFFICIENT_CPU, "millicores of CPU"),
        Amount(MEMORY, request.memory, Refusal.INSUFFICIENT_MEMORY, "bytes of memory"),
        Amount(PODS, request.pods, Refusal.TOO_MANY_PODS, "pod"),
    )
    return tuple(part for part in parts if part.asked)


def by_nature(job: Job, snapshot: Snapshot) -> Codes:
    """Refusals by what nodes are and how they are: whatever ends or starts on them, these stay."""
    codes = np.full(len(snapshot.nodes), -1, dtype=np.int8)
    fleet, wishes = snapshot.fleet, job.scheduling

    def refuse(where: Mask, reason: Refusal) -> None:
        codes[where & (codes < 0)] = CODE[reason]

    refuse(~snapshot.ready, Refusal.NOT_READY)
    refuse(snapshot.cordoned, Refusal.CORDONED)
    refuse(fleet.repels(tolerations(job)), Refusal.TAINTED)
    if asked_gpus(job.request):
        for row, health in snapshot.health.items():
            illness = health.illness
            if illness is not None and codes[row] < 0:
                codes[row] = CODE[Refusal(illness.value)]
    if wishes.gpu_products:
        refuse(~snapshot.offers(wishes.gpu_products), Refusal.OTHER_PRODUCT)
    if job.request.gpus > 1 and not wishes.gpu_products:
        refuse(fleet.parts(devices.GPU) < 1.0, Refusal.SHARED_GPUS)
    if wishes.gpu_memory:
        refuse(too_little_memory(job, snapshot), Refusal.INSUFFICIENT_GPU_MEMORY)
    if job.volumes:
        refuse(~snapshot.reaches(job.volumes), Refusal.VOLUME_ELSEWHERE)
    if wishes.topology is not None and wishes.topology.required and job.ranks > 1:
        refuse(snapshot.domains(wishes.topology.level) < 0, Refusal.NO_DOMAIN)
    return codes


def by_use(
    asked: tuple[Amount, ...],
    max_load: float | None,
    loads: NodeLoads,
    snapshot: Snapshot,
    rows: Rows | slice,
) -> Codes:
    """Refusals of these rows by what is free on them, and by how loaded they will be."""
    codes = np.full(len(loads.forecast[rows]), -1, dtype=np.int8)
    if max_load is not None:
        codes[loads.measured[rows] & (loads.forecast[rows] > max_load)] = CODE[Refusal.TOO_LOADED]
    for amount in reversed(asked):  # the first reason is written last
        if amount.column is None:
            codes[:] = CODE[amount.refusal]
        else:
            codes[snapshot.free[rows, amount.column] < amount.asked] = CODE[amount.refusal]
    return codes


def large_enough(asked: tuple[Amount, ...], snapshot: Snapshot) -> Mask:
    """Which nodes could take a rank if nothing else ran on them."""
    enough = np.ones(len(snapshot.nodes), dtype=np.bool_)
    for amount in asked:
        if amount.column is None:
            enough[:] = False
        else:
            enough &= snapshot.allocatable[:, amount.column] >= amount.asked
    return enough


def too_little_memory(job: Job, snapshot: Snapshot) -> Mask:
    """Which nodes' GPUs have less memory, or less of it free where they are shared, than each of the job's needs.

    A whole GPU that is free has all of its memory free, whatever the others of its node hold.
    """
    fleet, needed = snapshot.fleet, job.scheduling.gpu_memory
    short = np.zeros(len(snapshot.nodes), dtype=np.bool_)
    for kind in asked_gpus(job.request):
        short |= fleet.gpu_memory(kind) < needed
        shared = fleet.replicas(kind) > 1
        for row, health in snapshot.health.items():
            if shared[row] and health.free_memory is not None:
                short[row] |= health.free_memory < needed
    return short


def asked_gpus(request: Resources) -> tuple[str, ...]:
    """The kinds of GPUs, or of parts of GPUs, that are asked for."""
    return tuple(request.gpu_counts)


def tolerations(job: Job) -> tuple[Toleration, ...]:
    """The job's own, and that of all pods that ask for GPUs."""
    return (
        (*job.scheduling.tolerations, GPU_TOLERATION)
        if asked_gpus(job.request)
        else job.scheduling.tolerations
    )
