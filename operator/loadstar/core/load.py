"""What is known of a node's load: samples with their own time, and one written policy for how old they may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

STEP_SECONDS = 30.0
"""Δ: the step in which the load formula counts time."""


class Signal(StrEnum):
    """One measured share of a node, 0 (idle) to 1 (saturated)."""

    GPU = "gpu"
    GPU_MEMORY = "gpuMemory"
    CPU = "cpu"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: `value` in 0..1, taken `at` (Unix seconds, the sample's own time, not the query's)."""

    value: float
    at: float


Samples = Mapping[Signal, Mapping[str, Sample]]
"""Per signal, the newest sample of each node by name."""


class Freshness(StrEnum):
    """How far a sample may be trusted: fresh as it is, stale with a wider band, missing not at all."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class FreshnessPolicy:
    """Up to `fresh_seconds` old is fresh, up to `missing_seconds` stale, older is missing."""

    fresh_seconds: float = 90.0
    missing_seconds: float = 300.0

    def judge(self, age: float) -> Freshness:
        """The state of a sample of this age in seconds; NaN stands for a sample never seen."""
        if age <= self.fresh_seconds:
            return Freshness.FRESH
        return Freshness.STALE if age <= self.missing_seconds else Freshness.MISSING
