"""Which nodes keep a pod away: Kubernetes' rules of taints and tolerations."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a taint does to a pod that does not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's mark that keeps pods away, or makes them rather go elsewhere (PreferNoSchedule)."""

    key: str
    effect: Effect = Effect.NO_SCHEDULE
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """A pod's leave to go to nodes with a taint.

    `key` None stands for every key, `value` None for every value (operator Exists), `effect` None for every effect.
    """

    key: str | None = None
    value: str | None = None
    effect: Effect | None = None

    def tolerates(self, taint: Taint) -> bool:
        """Whether that taint is no obstacle to the pod."""
        return (
            (self.key is None or self.key == taint.key)
            and (self.value is None or self.value == taint.value)
            and (self.effect is None or self.effect is taint.effect)
        )


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> tuple[Taint, ...]:
    """The taints that none of these tolerates."""
    allowed = tuple(tolerations)
    return tuple(taint for taint in taints if not any(one.tolerates(taint) for one in allowed))
