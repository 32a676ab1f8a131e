"""The fleet of simulated nodes, read as Prometheus reads it: labels, live changes, faults."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dcgm_simulator.config import read_config
from dcgm_simulator.fields import InvalidField
from dcgm_simulator.fleet import Fleet
from dcgm_simulator.gpu import METRICS, SENTINEL

CONFIG = """
nodes:
- name: node-a
  gpus: 2
  workloads: [{gpu: 1, pod: job-1-0, namespace: ml, container: trainer}]
  load: {kind: constant, value: 0.25}
- name: node-b
  hostnameLabel: hostname
  load: {kind: ramp, from: 0.9, to: 0.2, overSeconds: 100}
"""


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    here = Path("/nowhere")
    return Fleet(read_config(CONFIG, here), here, clock)


def _samples(fleet: Fleet, metric: str) -> list[tuple[dict[str, str], float]]:
    families = text_string_to_metric_families(fleet.page())
    return [(s.labels, s.value) for family in families for s in family.samples if s.name.startswith(metric)]


def _read(fleet: Fleet, metric: str, node: str = "node-a", gpu: str = "0") -> float:
    (value,) = [
        value
        for labels, value in _samples(fleet, metric)
        if labels["gpu"] == gpu and node in (labels.get("Hostname"), labels.get("hostname"))
    ]
    return value


def test_every_metric_has_its_help_its_type_and_one_series_per_gpu(fleet: Fleet) -> None:
    starts = [line.partition("{")[0] for line in fleet.page().splitlines()]

    assert starts == [
        line
        for name, (kind, text) in METRICS.items()
        for line in (f"# HELP {name} {text}", f"# TYPE {name} {kind}", name, name, name)
    ]


def test_a_gpu_carries_the_labels_of_the_exporter_in_its_order(fleet: Fleet) -> None:
    first = next(line for line in fleet.page().splitlines() if line.startswith("DCGM_FI_DEV_GPU_UTIL{"))

    names = [part.partition("=")[0] for part in first.partition("{")[2].partition("}")[0].split(",")]
    assert names == ["gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION"]


def test_each_node_has_its_own_spelling_of_the_hostname_label(fleet: Fleet) -> None:
    labels = [labels for labels, _ in _samples(fleet, "DCGM_FI_DEV_GPU_UTIL")]

    assert [(each.get("Hostname"), each.get("hostname")) for each in labels] == [
        ("node-a", None),
        ("node-a", None),
        (None, "node-b"),
    ]


def test_no_two_gpus_share_a_uuid(fleet: Fleet) -> None:
    uuids = [labels["UUID"] for labels, _ in _samples(fleet, "DCGM_FI_DEV_GPU_UTIL")]

    assert len(set(uuids)) == 3


def test_only_the_gpu_that_a_container_holds_names_it(fleet: Fleet) -> None:
    held = [labels.get("pod") for labels, _ in _samples(fleet, "DCGM_FI_DEV_GPU_UTIL")]

    assert held == [None, "job-1-0", None]


def test_a_ramp_moves_with_the_clock(fleet: Fleet, clock: Clock) -> None:
    clock.now += 50

    assert _read(fleet, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "node-b") == pytest.approx(0.55)


def test_a_new_load_begins_when_it_is_set(fleet: Fleet, clock: Clock) -> None:
    clock.now += 500
    fleet.set_loads({"node-a": {"kind": "ramp", "from": 0.0, "to": 1.0, "overSeconds": 10}})
    clock.now += 5

    assert _read(fleet, "DCGM_FI_PROF_GR_ENGINE_ACTIVE") == pytest.approx(0.5)
    assert _read(fleet, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "node-b") == pytest.approx(0.2)


def test_the_energy_counter_goes_on_where_it_was_when_the_load_changes(fleet: Fleet, clock: Clock) -> None:
    clock.now += 100
    before = _read(fleet, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")
    fleet.set_loads({"node-a": {"kind": "constant", "value": 0}})

    assert _read(fleet, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION") == before
    clock.now += 1
    idle_watts = _read(fleet, "DCGM_FI_DEV_POWER_USAGE")
    assert _read(fleet, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION") == before + 1000 * idle_watts


def test_loads_read_back_as_they_were_written(fleet: Fleet) -> None:
    fleet.set_loads({"node-a": {"kind": "constant", "value": 0.7}})

    assert fleet.loads() == {
        "node-a": {"kind": "constant", "value": 0.7},
        "node-b": {"kind": "ramp", "from": 0.9, "to": 0.2, "overSeconds": 100},
    }


def test_one_bad_load_among_good_ones_changes_nothing(fleet: Fleet) -> None:
    before = fleet.loads()

    with pytest.raises(InvalidField, match=r"^node-b\.kind: is required"):
        fleet.set_loads({"node-a": {"kind": "constant", "value": 1}, "node-b": {}})

    assert fleet.loads() == before


def test_a_node_that_is_not_simulated_is_refused_by_name(fleet: Fleet) -> None:
    with pytest.raises(InvalidField, match=r"^node-z: is not a simulated node; there are 2: node-a, node-b"):
        fleet.set_loads({"node-z": {"kind": "silent"}})


def test_a_silent_node_has_no_series_until_it_gets_a_load_again(fleet: Fleet) -> None:
    fleet.set_loads({"node-a": {"kind": "silent"}})
    assert [labels.get("hostname") for labels, _ in _samples(fleet, "DCGM_FI_DEV_GPU_UTIL")] == ["node-b"]

    fleet.set_loads({"node-a": {"kind": "constant", "value": 0.1}})
    assert _read(fleet, "DCGM_FI_DEV_GPU_UTIL") == 10


def test_an_xid_stays_on_its_gpu_when_another_fault_comes(fleet: Fleet) -> None:
    fleet.set_faults({"node-a": {"xids": [{"gpu": 1, "code": 79}]}})
    fleet.set_faults({"node-a": {"unsupported": ["DCGM_FI_DEV_ENC_UTIL"]}})

    assert _read(fleet, "DCGM_FI_DEV_XID_ERRORS", gpu="1") == 79
    assert _read(fleet, "DCGM_FI_DEV_XID_ERRORS", gpu="0") == 0


def test_an_unsupported_field_prints_the_sentinel(fleet: Fleet) -> None:
    fleet.set_faults({"node-a": {"unsupported": ["DCGM_FI_DEV_POWER_USAGE"]}})

    assert _read(fleet, "DCGM_FI_DEV_POWER_USAGE") == SENTINEL
    assert f"}} {SENTINEL}\n" in fleet.page()


def test_clearing_the_faults_makes_every_node_whole(fleet: Fleet) -> None:
    fleet.set_faults({"node-a": {"xids": [{"gpu": 0, "code": 48}], "unsupported": ["DCGM_FI_DEV_GPU_TEMP"]}})

    fleet.clear_faults()

    assert _read(fleet, "DCGM_FI_DEV_XID_ERRORS") == 0
    assert _read(fleet, "DCGM_FI_DEV_GPU_TEMP") < 100
