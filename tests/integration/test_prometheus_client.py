"""The client and its queries against a real Prometheus that scrapes the DCGM exporter's simulator."""

import time
from collections.abc import AsyncIterator

import pytest

from loadstar.clients.prometheus import Prometheus
from loadstar.clients.queries import Endpoint
from loadstar.clients.series import NodeNames
from loadstar.core.load import Signal
from tests.cluster.monitoring.load import Constant, Faults, SimulatedNode
from tests.cluster.monitoring.local import LocalMonitoring

OLD, NEW, GONE = "gpu-old", "gpu-new", "gpu-gone"
NODES = NodeNames(frozenset({OLD, NEW}), {})


@pytest.fixture
def monitoring(local_monitoring: LocalMonitoring) -> LocalMonitoring:
    """A node with either spelling of the exporter's label, and one that the cluster no longer has."""
    local_monitoring.serve(
        [
            SimulatedNode(OLD, load=Constant(0.7)),
            SimulatedNode(NEW, load=Constant(0.2), hostname_label="hostname"),
            SimulatedNode(GONE),
        ]
    )
    return local_monitoring


@pytest.fixture
async def client(monitoring: LocalMonitoring) -> AsyncIterator[Prometheus]:
    # Scraped every second; a busy machine misses some, so the windows are as for every ten.
    async with Prometheus(Endpoint(monitoring.url), scrape_seconds=10) as prometheus:
        yield prometheus


async def test_every_node_has_its_load_under_either_spelling_of_its_label(client: Prometheus) -> None:
    readings = await client.latest(NODES, time.time())
    gpu = readings.samples[Signal.GPU]
    assert {node: sample.value for node, sample in gpu.items()} == pytest.approx({OLD: 0.7, NEW: 0.2})
    assert set(readings.samples[Signal.GPU_MEMORY]) == {OLD, NEW}
    assert readings.unmapped[Signal.GPU] >= 1  # more, while an earlier test's nodes are in the window
    assert readings.problems == {}


async def test_a_sample_is_as_old_as_its_scrape(client: Prometheus, monitoring: LocalMonitoring) -> None:
    before = time.time()
    monitoring.wait_scraped()
    now = time.time()
    sample = (await client.latest(NODES, now)).samples[Signal.GPU][OLD]
    assert before - 1 <= sample.at <= now


async def test_a_field_that_a_gpu_does_not_support_is_no_load(
    client: Prometheus, monitoring: LocalMonitoring
) -> None:
    monitoring.load.set_faults({OLD: Faults(unsupported=("DCGM_FI_DEV_FB_USED",))})
    try:
        monitoring.wait_scraped()
        readings = await client.latest(NODES, time.time())
    finally:
        monitoring.load.clear_faults()
    assert set(readings.samples[Signal.GPU_MEMORY]) == {NEW}
    assert set(readings.samples[Signal.GPU]) == {OLD, NEW}


async def test_history_holds_the_scrapes_of_the_past(client: Prometheus, monitoring: LocalMonitoring) -> None:
    monitoring.wait_scraped()
    now = time.time()
    history = await client.history(NODES, now - 5, now, 1)
    assert history.problems == {}
    newest = history.samples[Signal.GPU][OLD][-1]
    assert newest.value == pytest.approx(0.7)
    assert newest.at == pytest.approx(now, abs=1.01)


async def test_a_prometheus_that_is_stopped_is_a_problem_and_no_error(
    client: Prometheus, monitoring: LocalMonitoring
) -> None:
    monitoring.prometheus.stop()
    readings = await client.latest(NODES, time.time())
    assert set(readings.problems) == set(Signal)
    assert monitoring.url in readings.problems[Signal.GPU]
