"""All simulated nodes as they are now. The clock is given; several threads may use one Fleet."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgm_simulator.config import Faults, Node, read_faults
from dcgm_simulator.exposition import Sample, label_set, page, printed
from dcgm_simulator.fields import Fields, InvalidField
from dcgm_simulator.gpu import SENTINEL
from dcgm_simulator.load import Load, read_load

Clock = Callable[[], float]
"""Seconds that only grow."""

_PCI_FIRST_BUS = 0x0F


@dataclass
class _State:
    """What changes about a node: its load since when, the load-seconds before that, its faults."""

    load: Load
    since: float
    load_seconds: float
    faults: Faults


class Fleet:
    """The nodes, their loads and their faults; a change is made for all named nodes or for none."""

    def __init__(self, nodes: list[Node], traces: Path, clock: Clock) -> None:
        self._clock = clock
        self._traces = traces
        self._began = clock()
        self._nodes = {node.name: node for node in nodes}
        self._labels = {node.name: [label_set(_labels(node, i)) for i in range(node.gpus)] for node in nodes}
        self._states = {node.name: _State(node.load, self._began, 0.0, node.faults) for node in nodes}
        self._lock = threading.Lock()

    def page(self) -> str:
        """The metrics page of all nodes that are not silent, at this moment."""
        with self._lock:
            now = self._clock()
            samples: list[Sample] = []
            for name, state in self._states.items():
                if not state.load.silent:
                    samples += self._samples(self._nodes[name], state, now)
        return page(samples)

    def loads(self) -> dict[str, Any]:
        """Each node's load as it was written, in the form that `set_loads` takes."""
        with self._lock:
            return {name: state.load.written for name, state in self._states.items()}

    def set_loads(self, written: Mapping[str, Any]) -> None:
        """Start new load series now on the named nodes; the others go on. Raises InvalidField."""
        new = {}
        for name, value in self._known(written).items():
            new[name] = read_load(Fields.of(name, value), self._traces)
        with self._lock:
            now = self._clock()
            for name, load in new.items():
                state = self._states[name]
                state.load_seconds += state.load.series.integral(now - state.since)
                state.load, state.since = load, now

    def set_faults(self, written: Mapping[str, Any]) -> None:
        """Show these faults on the named nodes: XIDs stay until `clear_faults`, as on real ones until a reboot.

        Raises InvalidField.
        """
        new = {}
        for name, value in self._known(written).items():
            new[name] = read_faults(Fields.of(name, value), self._nodes[name].gpus)
        with self._lock:
            for name, faults in new.items():
                xids = self._states[name].faults.xids | faults.xids
                self._states[name].faults = Faults(xids, faults.unsupported)

    def clear_faults(self) -> None:
        """Make every node whole again."""
        with self._lock:
            for state in self._states.values():
                state.faults = Faults()

    def _known(self, written: Any) -> dict[str, Any]:
        """The same mapping, once every name in it is a node's."""
        values = Fields.of("", written).values
        for name in values:
            if name not in self._nodes:
                some = ", ".join(sorted(self._nodes)[:10])
                raise InvalidField(name, f"is not a simulated node; there are {len(self._nodes)}: {some}")
        return values

    def _samples(self, node: Node, state: _State, now: float) -> list[Sample]:
        elapsed = now - state.since
        load = state.load.series.at(elapsed)
        load_seconds = state.load_seconds + state.load.series.integral(elapsed)
        # A node's GPUs all do the same, but for their XIDs: hundreds of nodes are printed in a blink.
        xids = [state.faults.xids.get(index, 0) for index in range(node.gpus)]
        values = {}
        for xid in set(xids):
            readings = node.gpu.readings(load, load_seconds, now - self._began, xid)
            values[xid] = printed(readings | dict.fromkeys(state.faults.unsupported, SENTINEL))
        return [(labels, values[xid]) for labels, xid in zip(self._labels[node.name], xids, strict=True)]


def _labels(node: Node, index: int) -> dict[str, str]:
    """A GPU's labels in the exporter's order; its UUID depends on nothing but the node's name and the index."""
    labels = {
        "gpu": str(index),
        "UUID": f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{node.name}')}",
        "pci_bus_id": f"00000000:{_PCI_FIRST_BUS + index:02X}:00.0",
        "device": f"nvidia{index}",
        "modelName": node.gpu.model,
        node.hostname_label: node.name,
        "DCGM_FI_DRIVER_VERSION": node.driver_version,
    }
    if workload := node.workloads.get(index):
        labels |= {"container": workload.container, "namespace": workload.namespace, "pod": workload.pod}
    return labels
