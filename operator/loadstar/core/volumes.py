"""Where a job's claims can be mounted: the rules of kube-scheduler, looked at before a rank is pinned to a node."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_INTEGER = re.compile("[+-]?[0-9]+")
_THEN = "the job starts by itself then"


class Operator(StrEnum):
    """How a label has to stand to a requirement's values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


class Presence(StrEnum):
    """Whether there is anything to mount."""

    PRESENT = "present"
    """Bound to a volume, or bound to one as soon as a pod needs it."""
    MISSING = "missing"
    DELETING = "deleting"
    LOST = "lost"
    """Bound to a volume that does not exist any more."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One demand on a node's label. The values of Gt and Lt are one integer."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        values = " or ".join(self.values)
        match self.operator:
            case Operator.IN:
                return f"{self.key} is {values}"
            case Operator.NOT_IN:
                return f"{self.key} is not {values}"
            case Operator.EXISTS:
                return f"{self.key} is set"
            case Operator.DOES_NOT_EXIST:
                return f"{self.key} is not set"
            case Operator.GT:
                return f"{self.key} is above {values}"
            case Operator.LT:
                return f"{self.key} is below {values}"

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels meets it. A label that is not there is in no list and no number."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.GT:
                return _compared(value, self.values, above=True)
            case Operator.LT:
                return _compared(value, self.values, above=False)


Term = tuple[Requirement, ...]
"""All of them have to hold. An empty term holds nowhere."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What was last seen of a claim that a job names, in the job's namespace.

    `places` are the terms of which a node has to meet one, None for any node; `node` the one node for which a volume
    is being made; `shared` says that pods on several nodes can mount it at once.
    """

    claim: str
    presence: Presence = Presence.PRESENT
    shared: bool = True
    places: tuple[Term, ...] | None = None
    node: str | None = None

    @property
    def everywhere(self) -> bool:
        """Whether any node can mount it."""
        return self.places is None and self.node is None

    @property
    def where(self) -> str:
        """The nodes that can mount it, in words."""
        if self.node is not None:
            return f"on node {self.node}"
        terms = " or ".join(" and ".join(map(str, term)) for term in self.places or () if term)
        return (
            f"where {terms}"
            if terms
            else "nowhere: its volume's nodeAffinity has no term that a node can meet"
        )

    def reaches(self, node: str, labels: Mapping[str, str]) -> bool:
        """Whether the node of this name, with these labels, can mount it."""
        if self.node is not None:
            return node == self.node
        if self.places is None:
            return True
        return any(term and all(part.holds(labels) for part in term) for term in self.places)


def obstacle(volumes: Iterable[Volume], ranks: int, namespace: str) -> tuple[str, str] | None:
    """Why no node can take a gang that mounts these, as (reason, what to do); None when nothing is in the way."""
    for volume in volumes:
        claim = f"PersistentVolumeClaim {volume.claim}"
        match volume.presence:
            case Presence.MISSING:
                return (
                    "ClaimNotFound",
                    f"create {claim} in namespace {namespace}; {_THEN}",
                )
            case Presence.DELETING:
                gone = f"{claim} in namespace {namespace} is being deleted: create it anew when it is gone; {_THEN}"
                return "ClaimNotFound", gone
            case Presence.LOST:
                lost = (
                    f"the volume of {claim} in namespace {namespace} does not exist: "
                    f"create the claim anew; {_THEN}"
                )
                return "ClaimLost", lost
        if ranks > 1 and not volume.shared:
            return "ClaimNotShared", (
                f"{claim} can be mounted on one node at a time, and the job's {ranks} ranks run on a node each: "
                "use a claim with access mode ReadWriteMany, or set spec.trainer.numNodes to 1"
            )
    return None


def places(volumes: Iterable[Volume]) -> str:
    """In words, which nodes can mount those volumes that not every node can; empty where there are none."""
    return "; ".join(
        f"PersistentVolumeClaim {volume.claim} can be mounted {volume.where}"
        for volume in volumes
        if not volume.everywhere
    )


def _compared(label: str | None, values: tuple[str, ...], *, above: bool) -> bool:
    if not values or not all(_INTEGER.fullmatch(number) for number in (label or "", values[0])):
        return False
    number, limit = int(label or ""), int(values[0])
    return number > limit if above else number < limit
