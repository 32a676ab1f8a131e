"""A real Prometheus scrapes the simulator: the metrics mean what the real exporter's mean, also mid-upgrade."""

import time
from dataclasses import dataclass
from uuid import uuid4

import pytest

from loadstar.clients.prometheus import Prometheus
from loadstar.clients.queries import Endpoint
from loadstar.clients.series import NodeNames
from loadstar.core.load import Signal
from tests.cluster.monitoring import Constant, Faults, LocalMonitoring, Ramp, Silent, SimulatedNode, Trace


def by_node(expression: str) -> str:
    """An expression whose series carry the label `node`, however the exporter spells the host's name."""
    newer = f'label_replace({expression}, "node", "$1", "Hostname", "(.+)")'
    return f'label_replace({newer}, "node", "$1", "hostname", "(.+)")'


ACTIVITY = (
    "avg_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE[1m])"
    " or on (UUID, GPU_I_ID) avg_over_time(DCGM_FI_DEV_GPU_UTIL[1m]) / 100"
)
MEMORY_USED = f"sum by (node) ({by_node('DCGM_FI_DEV_FB_USED')})"
MEMORY_FREE = f"sum by (node) ({by_node('DCGM_FI_DEV_FB_FREE')})"


@dataclass(frozen=True)
class Pair:
    """Two nodes that no other test has, so that nothing of another test lies in their past: `a` has 2 GPUs at
    0.25 and the exporter's older label, `b` 4 GPUs at 0.75 and the newer one."""

    monitoring: LocalMonitoring
    a: str
    b: str

    def values(self, expression: str) -> dict[str, float]:
        """Both nodes' values; fails if a node has more than one."""
        found = [p for p in self.monitoring.query(expression) if p.labels.get("node") in (self.a, self.b)]
        answer = {point.labels["node"]: point.value for point in found}
        assert len(answer) == len(found), f"several values for a node: {found}"
        return answer


@pytest.fixture
def pair(local_monitoring: LocalMonitoring) -> Pair:
    a, b = (f"node-{letter}-{uuid4().hex[:6]}" for letter in "ab")
    older = SimulatedNode(a, gpus=2, load=Constant(0.25))
    newer = SimulatedNode(b, gpus=4, load=Constant(0.75), hostname_label="hostname")
    local_monitoring.serve([older, newer])
    return Pair(local_monitoring, a, b)


def test_gpu_activity_has_one_value_per_node_with_both_spellings(pair: Pair) -> None:
    activity = pair.values(f"avg by (node) ({by_node(ACTIVITY)})")

    assert activity == pytest.approx({pair.a: 0.25, pair.b: 0.75})


def test_memory_use_has_one_value_per_node_with_both_spellings(pair: Pair) -> None:
    used = pair.values(f"{MEMORY_USED} / ({MEMORY_USED} + {MEMORY_FREE})")

    assert used == pytest.approx({pair.a: 0.9 * 0.25, pair.b: 0.9 * 0.75}, abs=1e-3)


def test_every_gpu_has_a_series_of_its_own(pair: Pair) -> None:
    assert pair.values(f"count by (node) ({by_node('DCGM_FI_DEV_GPU_UTIL')})") == {pair.a: 2, pair.b: 4}


def test_a_load_that_is_set_live_shows_at_the_next_scrape(pair: Pair) -> None:
    pair.monitoring.load.set({pair.a: Constant(0.9), pair.b: Trace(((0, 0.5), (3600, 0.5)))})
    pair.monitoring.wait_scraped()

    now = pair.values(f"max by (node) ({by_node('DCGM_FI_PROF_GR_ENGINE_ACTIVE')})")
    assert now == pytest.approx({pair.a: 0.9, pair.b: 0.5})


def test_a_ramp_falls_from_scrape_to_scrape(pair: Pair) -> None:
    pair.monitoring.load.set({pair.a: Ramp(0.9, 0.1, 60)})
    activity = f"max by (node) ({by_node('DCGM_FI_PROF_GR_ENGINE_ACTIVE')})"

    pair.monitoring.wait_scraped()
    first = pair.values(activity)[pair.a]
    pair.monitoring.wait_scraped()

    assert 0.1 < pair.values(activity)[pair.a] < first < 0.9


def test_a_node_whose_exporter_is_silent_has_no_value(pair: Pair) -> None:
    pair.monitoring.load.set({pair.a: Silent()})
    pair.monitoring.wait_scraped()

    assert set(pair.values(f"max by (node) ({by_node('DCGM_FI_DEV_GPU_UTIL')})")) == {pair.b}


def test_an_xid_shows_on_its_gpu(pair: Pair) -> None:
    pair.monitoring.load.set_faults({pair.b: Faults(xids={3: 79})})
    pair.monitoring.wait_scraped()

    (broken,) = pair.monitoring.query("DCGM_FI_DEV_XID_ERRORS > 0")
    assert (broken.labels["hostname"], broken.labels["gpu"], broken.value) == (pair.b, "3", 79)


def test_energy_only_grows_when_the_load_falls(pair: Pair) -> None:
    energy = f"sum by (node) ({by_node('DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION')})"
    before = pair.values(energy)

    pair.monitoring.load.set({pair.a: Constant(0), pair.b: Constant(0)})
    pair.monitoring.wait_scraped()

    after = pair.values(energy)
    assert after[pair.a] > before[pair.a]
    assert after[pair.b] > before[pair.b]


def test_the_simulator_refuses_a_node_that_it_does_not_have(pair: Pair) -> None:
    with pytest.raises(RuntimeError, match=r"PUT /load: 422: node-z: is not a simulated node"):
        pair.monitoring.load.set({"node-z": Silent()})


async def test_the_operators_client_reads_each_nodes_load(pair: Pair) -> None:
    # Scraped every second; a busy machine misses some, so the windows are as for every ten.
    async with Prometheus(Endpoint(pair.monitoring.url), scrape_seconds=10) as client:
        readings = await client.latest(NodeNames(frozenset({pair.a, pair.b}), {}), time.time())

    loads = {node: sample.value for node, sample in readings.samples[Signal.GPU].items()}
    assert loads == pytest.approx({pair.a: 0.25, pair.b: 0.75})


def test_what_prometheus_has_stored_outlives_its_stop(pair: Pair) -> None:
    before = time.time()

    pair.monitoring.prometheus.stop()
    pair.monitoring.prometheus.start()

    assert pair.monitoring.query(f'DCGM_FI_DEV_GPU_UTIL{{Hostname="{pair.a}"}} @ {before:.3f}')
