"""Integer quantities of what a node offers and a pod asks for, so that sums are exact."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in millicores, memory in bytes, GPUs and pods as counts."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    pods: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu + other.cpu, self.memory + other.memory, self.gpus + other.gpus, self.pods + other.pods
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu - other.cpu, self.memory - other.memory, self.gpus - other.gpus, self.pods - other.pods
        )

    def fits(self, available: "Resources") -> bool:
        """Whether this much can be taken from `available` without any part going below zero."""
        return all(getattr(self, part.name) <= getattr(available, part.name) for part in fields(self))
