"""What is known of the nodes' GPUs beside their load: how they are, and what they draw at rest and at work."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

from loadstar.clients.vitals import Vitals
from loadstar.core.health import Health

WORK_WATTS = 20.0
"""A node whose GPUs never differed by more than this has not been seen both at rest and at work."""


@dataclass(slots=True)
class VitalSigns:
    """The last round's health, for as long as it may be believed, and the least and most watts ever seen of a GPU."""

    believed_seconds: float
    _health: Mapping[str, Health] = field(default_factory=dict)
    _at: float = 0.0
    _watts: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, vitals: Vitals, now: float, nodes: Container[str]) -> None:
        """A round's answer; one that failed changes nothing. Of nodes that are gone the watts are forgotten."""
        if vitals.problem is not None:
            return
        self._health, self._at = vitals.health, now
        for node, (least, most) in vitals.watts.items():
            low, high = self._watts.get(node, (least, most))
            self._watts[node] = min(low, least), max(high, most)
        self._watts = {node: watts for node, watts in self._watts.items() if node in nodes}

    def now(self, now: float) -> Mapping[str, Health]:
        """The nodes' health; of none where the last answer is too old."""
        if now - self._at > self.believed_seconds:
            return {}
        return {node: self._with_watts(node, health) for node, health in self._health.items()}

    def _with_watts(self, node: str, health: Health) -> Health:
        low, high = self._watts.get(node, (0.0, 0.0))
        return replace(health, idle_watts=low, full_watts=high) if high - low > WORK_WATTS else health
