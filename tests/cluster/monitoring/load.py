"""What the simulated nodes are told to do, as values; and the control of a running simulator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Constant:
    """The same load (0 to 1) for ever."""

    value: float

    def written(self) -> dict[str, Any]:
        """The simulator's words for it."""
        return {"kind": "constant", "value": self.value}


@dataclass(frozen=True)
class Ramp:
    """From one load to another within some seconds, then that one for ever."""

    start: float
    end: float
    over_seconds: float

    def written(self) -> dict[str, Any]:
        """The simulator's words for it."""
        return {"kind": "ramp", "from": self.start, "to": self.end, "overSeconds": self.over_seconds}


@dataclass(frozen=True)
class Trace:
    """Straight lines between (seconds, load) points; the first load before them, the last one after them."""

    points: tuple[tuple[float, float], ...]

    def written(self) -> dict[str, Any]:
        """The simulator's words for it."""
        return {"kind": "csv", "inline": "\n".join(f"{seconds:g},{load:g}" for seconds, load in self.points)}


@dataclass(frozen=True)
class Silent:
    """No series at all, as from a node whose exporter is down."""

    def written(self) -> dict[str, Any]:
        """The simulator's words for it."""
        return {"kind": "silent"}


Load = Constant | Ramp | Trace | Silent


@dataclass(frozen=True)
class SimulatedNode:
    """A node of the simulator: the exporter on it, its GPUs and the load that they begin with."""

    name: str
    gpus: int = 2
    load: Load = Constant(0.1)
    hostname_label: str = "Hostname"

    def written(self) -> dict[str, Any]:
        """The node's entry in the simulator's configuration."""
        label = {"hostnameLabel": self.hostname_label}
        return {"name": self.name, "gpus": self.gpus, **label, "load": self.load.written()}


@dataclass(frozen=True)
class Faults:
    """What a node's GPUs show: by GPU index the code of their last XID, and the fields they do not support."""

    xids: Mapping[int, int] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()

    def written(self) -> dict[str, Any]:
        """The simulator's words for it."""
        xids = [{"gpu": gpu, "code": code} for gpu, code in self.xids.items()]
        return {"xids": xids, "unsupported": list(self.unsupported)}


class Control:
    """The control API of a running simulator; `request(method, path, body)` brings a request to it.

    A refused request raises what `request` raises; its message holds the simulator's own sentence.
    """

    def __init__(self, request: Callable[[str, str, Any], Any]) -> None:
        self._request = request

    def set(self, loads: Mapping[str, Load]) -> None:
        """Start new loads now on the named nodes; the others go on."""
        self._request("PUT", "/load", {node: load.written() for node, load in loads.items()})

    def loads(self) -> dict[str, Any]:
        """Each node's load in the simulator's words."""
        written: dict[str, Any] = self._request("GET", "/load", None)
        return written

    def set_faults(self, faults: Mapping[str, Faults]) -> None:
        """Show faults on the named nodes; XIDs stay until `clear_faults`."""
        self._request("PUT", "/faults", {node: fault.written() for node, fault in faults.items()})

    def clear_faults(self) -> None:
        """Make every node whole again."""
        self._request("DELETE", "/faults", None)
