"""Integer quantities of what a node offers and a pod asks for, so that sums are exact."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields

from loadstar.core.devices import GPU, is_gpu

Devices = tuple[tuple[str, int], ...]
"""Counts by resource name, sorted by name and without zeros, so that equal amounts are equal values."""


def devices_of(counts: Mapping[str, int]) -> Devices:
    """The canonical form of these counts."""
    return tuple(sorted((name, count) for name, count in counts.items() if count))


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in millicores, memory in bytes, GPUs and pods as counts.

    `gpus` are whole devices (nvidia.com/gpu); parts of them are `devices` under their own names, such as
    nvidia.com/mig-1g.5gb or nvidia.com/gpu.shared.
    """

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    pods: int = 0
    devices: Devices = ()

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu + other.cpu,
            self.memory + other.memory,
            self.gpus + other.gpus,
            self.pods + other.pods,
            _sum(self.devices, other.devices, 1),
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu - other.cpu,
            self.memory - other.memory,
            self.gpus - other.gpus,
            self.pods - other.pods,
            _sum(self.devices, other.devices, -1),
        )

    @property
    def gpu_counts(self) -> dict[str, int]:
        """GPUs and parts of GPUs by the names of their kinds."""
        whole = {GPU: self.gpus} if self.gpus else {}
        return whole | {kind: count for kind, count in self.devices if is_gpu(kind)}

    def fits(self, available: "Resources") -> bool:
        """Whether this much can be taken from `available` without any part going below zero."""
        counts = dict(available.devices)
        return all(getattr(self, part) <= getattr(available, part) for part in _PARTS) and all(
            count <= counts.get(name, 0) for name, count in self.devices
        )


_PARTS = tuple(part.name for part in fields(Resources) if part.name != "devices")


def _sum(left: Devices, right: Devices, sign: int) -> Devices:
    if not right:
        return left
    total = Counter(dict(left))
    for name, count in right:
        total[name] += sign * count
    return devices_of(total)
