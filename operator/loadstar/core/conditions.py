"""Status conditions in metav1's shape, as an immutable map that keeps transition times honest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

ACCEPTED = "Accepted"
PLACED = "Placed"
RUNNING = "Running"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
SUSPENDED = "Suspended"
METRICS_AVAILABLE = "MetricsAvailable"


class Status(StrEnum):
    """A condition's value."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `since` is when `status` last changed (Unix seconds)."""

    type: str
    status: Status
    reason: str
    message: str
    since: float
    generation: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """All conditions of a job by type; `with_` returns a changed copy, or itself when nothing changed."""

    by_type: Mapping[str, Condition] = field(default_factory=lambda: MappingProxyType({}))

    def __iter__(self) -> Iterator[Condition]:
        return iter(sorted(self.by_type.values(), key=lambda condition: condition.type))

    def get(self, type_: str) -> Condition | None:
        """The condition of that type, if it was ever set."""
        return self.by_type.get(type_)

    def is_true(self, type_: str) -> bool:
        """Whether the condition is there and True."""
        condition = self.by_type.get(type_)
        return condition is not None and condition.status is Status.TRUE

    def with_(self, changed: Condition) -> "Conditions":
        """Set one condition; `since` moves only when the status does."""
        before = self.by_type.get(changed.type)
        if before is not None and before.status is changed.status:
            changed = Condition(
                changed.type,
                changed.status,
                changed.reason,
                changed.message,
                before.since,
                changed.generation,
            )
        if before == changed:
            return self
        return Conditions(MappingProxyType({**self.by_type, changed.type: changed}))
