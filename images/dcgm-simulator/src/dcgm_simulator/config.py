"""The simulated nodes: who they are (fixed at start), what they do at first, and which faults they show."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from dcgm_simulator.fields import Fields, InvalidField
from dcgm_simulator.gpu import METRICS, Gpu
from dcgm_simulator.load import Load, read_load
from dcgm_simulator.series import Series

HOSTNAME_LABELS = ("Hostname", "hostname")
"""Exporters up to 4.5.3 say `Hostname`, later ones `hostname`; a cluster in the middle of an upgrade has both."""

IDLE = Load({"kind": "constant", "value": 0}, Series.constant(0.0))


@dataclass(frozen=True)
class Workload:
    """The container that holds a GPU, as the exporter learns it from the kubelet."""

    pod: str
    namespace: str
    container: str


@dataclass(frozen=True)
class Faults:
    """What is wrong with a node: the last XID by GPU index, and the fields that its GPUs do not support."""

    xids: dict[int, int] = field(default_factory=dict)
    unsupported: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Node:
    """One node as the configuration describes it."""

    name: str
    gpus: int
    hostname_label: str
    driver_version: str
    gpu: Gpu
    workloads: dict[int, Workload]
    load: Load
    faults: Faults


def read_config(text: str, traces: Path) -> list[Node]:
    """The nodes of a YAML configuration; csv paths are relative to `traces`. Raises InvalidField."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidField("", f"is not YAML: {error}") from error
    fields = Fields.of("", document)
    nodes = [_read_node(entry, traces) for entry in fields.mappings("nodes")]
    fields.done()
    if not nodes:
        raise InvalidField("nodes", "must list at least one node")
    names = [node.name for node in nodes]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidField(
                f"nodes[{index}].name", f"{name!r} is there twice; each node's name is its own"
            )
    return nodes


def _read_node(fields: Fields, traces: Path) -> Node:
    gpus = fields.whole("gpus", 1, 64, default=1)
    node = Node(
        name=fields.text("name"),
        gpus=gpus,
        hostname_label=fields.choice("hostnameLabel", HOSTNAME_LABELS, default="Hostname"),
        driver_version=fields.text("driverVersion", default="simulated"),
        gpu=Gpu(
            model=fields.text("model", default="Simulated GPU"),
            memory_mib=fields.whole("memoryMiB", 1024, 10_000_000, default=81_559),
        ),
        workloads=_read_workloads(fields, gpus),
        load=read_load(fields.mapping("load"), traces) if "load" in fields else IDLE,
        faults=read_faults(fields.mapping("faults"), gpus),
    )
    fields.done()
    return node


def _read_workloads(fields: Fields, gpus: int) -> dict[int, Workload]:
    workloads = {}
    for entry in fields.mappings("workloads"):
        gpu = entry.whole("gpu", 0, gpus - 1)
        workloads[gpu] = Workload(entry.text("pod"), entry.text("namespace"), entry.text("container"))
        entry.done()
    return workloads


def read_faults(fields: Fields, gpus: int) -> Faults:
    """The faults of a node with `gpus` devices; InvalidField names what is wrong with them."""
    xids = {}
    for entry in fields.mappings("xids"):
        # The gauge holds the last code and never returns to 0 by itself, so 0 is not something to set.
        xids[entry.whole("gpu", 0, gpus - 1)] = entry.whole("code", 1, 999)
        entry.done()
    unsupported = fields.items("unsupported")
    for index, name in enumerate(unsupported):
        if name not in METRICS:
            path = f"{fields.at('unsupported')}[{index}]"
            raise InvalidField(path, f"must be the name of a metric served here, but is {name!r}")
    fields.done()
    return Faults(xids, frozenset(unsupported))
