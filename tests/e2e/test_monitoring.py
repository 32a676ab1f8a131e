"""Prometheus and the simulator in the full cluster: loads can be set live, and Prometheus taken away."""

from collections.abc import Iterator

import pytest

from tests.cluster.kind_fixtures import FullCluster
from tests.cluster.monitoring import (
    Constant,
    SimulatedLoad,
    query,
    start_prometheus,
    stop_prometheus,
    workers,
)
from tests.cluster.monitoring.query import wait_until

pytestmark = pytest.mark.kind


@pytest.fixture
def load(kind_cluster: FullCluster) -> Iterator[SimulatedLoad]:
    """The simulator's control; all workers are nearly idle before and after."""
    control = SimulatedLoad(kind_cluster)
    idle = {node.name: node.load for node in workers(kind_cluster)}
    control.set(idle)
    yield control
    control.set(idle)


def test_a_load_that_is_set_live_reaches_prometheus(kind_cluster: FullCluster, load: SimulatedLoad) -> None:
    busy = workers(kind_cluster)[0]

    load.set({busy.name: Constant(0.83)})

    labels = f'{{{busy.hostname_label}="{busy.name}"}}'
    activity = f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{labels} == 0.83"
    wait_until("the new load", lambda: len(query(kind_cluster, activity)) == busy.gpus)


def test_prometheus_can_be_taken_away_and_brought_back(kind_cluster: FullCluster) -> None:
    stop_prometheus(kind_cluster)
    pods = kind_cluster.kubectl("-n", "monitoring", "get", "pods", "-l", "app.kubernetes.io/name=prometheus")
    assert pods == ""

    start_prometheus(kind_cluster)

    assert query(kind_cluster, "up")
