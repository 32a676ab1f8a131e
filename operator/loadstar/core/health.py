"""Whether a node's GPUs are fit to train on, by what the driver reports of them."""

from dataclasses import dataclass
from enum import StrEnum

XID_WINDOW_SECONDS = 600.0
"""How long an XID error tells of a node's health."""
BLOCKING_XIDS = frozenset({48, 63, 64, 74, 79, 94, 95})
"""Uncorrected memory errors, row remapping, NVLink errors, a GPU off the bus: the device's own faults."""
PROGRAM_XIDS = frozenset({13, 31, 43, 45})
"""Faults of the program that ran, which say nothing of the device."""
HOTTEST = 85.0
"""°C above which GPUs throttle or are about to."""
WARM = 75.0
"""°C from which on a node is worse than a cool one."""


class Illness(StrEnum):
    """Why a node's GPUs take no job."""

    XID_ERROR = "XidError"
    TOO_HOT = "TooHot"
    ROW_REMAP_FAILED = "RowRemapFailed"


@dataclass(frozen=True, slots=True)
class Health:
    """The freshest readings of a node's GPUs; a reading too old to be believed is left out by whoever makes this.

    `xids` are the XID codes that came up in the last XID_WINDOW_SECONDS, `temperature` that of the hottest GPU (°C),
    `free_memory` the bytes free on the fullest GPU. `idle_watts` and `full_watts` are what one of its GPUs draws at
    rest and at work.
    """

    xids: frozenset[int] = frozenset()
    temperature: float | None = None
    row_remap_failed: bool = False
    free_memory: int | None = None
    idle_watts: float | None = None
    full_watts: float | None = None

    @property
    def illness(self) -> Illness | None:
        """Why no job may go there, the gravest first; None where nothing is against it."""
        if self.xids & BLOCKING_XIDS:
            return Illness.XID_ERROR
        if self.row_remap_failed:
            return Illness.ROW_REMAP_FAILED
        if self.temperature is not None and self.temperature > HOTTEST:
            return Illness.TOO_HOT
        return None

    @property
    def unease(self) -> float:
        """0 (well) to 1 (nearly refused): how warm its GPUs are, or that an XID came that nobody can place."""
        if self.xids - PROGRAM_XIDS:
            return 1.0
        warmth = 0.0 if self.temperature is None else (self.temperature - WARM) / (HOTTEST - WARM)
        return min(max(warmth, 0.0), 1.0)

    @property
    def working_watts(self) -> float | None:
        """What a GPU draws more at work than at rest; None where that is not known."""
        if self.idle_watts is None or self.full_watts is None:
            return None
        return max(self.full_watts - self.idle_watts, 0.0)
