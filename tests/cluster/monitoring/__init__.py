"""Prometheus and the DCGM exporter simulator beside a test cluster.

In a kind cluster: `install(cluster)`, `SimulatedLoad(cluster).set({"node": Ramp(0.9, 0.2, 300)})`,
`stop_prometheus(cluster)`. Without one: `LocalMonitoring.start(name, nodes)`, the same two as processes.
"""

from tests.cluster.monitoring.incluster import (
    IMAGES,
    SimulatedLoad,
    install,
    query,
    start_prometheus,
    stop_prometheus,
    uninstall,
    workers,
)
from tests.cluster.monitoring.load import Constant, Faults, Ramp, Silent, SimulatedNode, Trace
from tests.cluster.monitoring.local import LocalMonitoring
from tests.cluster.monitoring.query import Point

__all__ = [
    "IMAGES",
    "Constant",
    "Faults",
    "LocalMonitoring",
    "Point",
    "Ramp",
    "Silent",
    "SimulatedLoad",
    "SimulatedNode",
    "Trace",
    "install",
    "query",
    "start_prometheus",
    "stop_prometheus",
    "uninstall",
    "workers",
]
