"""Where nodes stand to each other: the level of a cluster's topology on which a gang would rather stay together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topology:
    """A wish for nearness. `level` is a node label's key (a zone, a rack, an NVLink clique); nodes with the same value
    of it are one domain. `required` refuses every placement in more than one domain; else fewer are better.
    """

    level: str
    required: bool = False
