"""pytest fixtures: Prometheus and the simulator as processes."""

import os
from collections.abc import Iterator

import pytest

from tests.cluster.monitoring.load import SimulatedNode
from tests.cluster.monitoring.local import LocalMonitoring


@pytest.fixture(scope="session")
def _session_monitoring() -> Iterator[LocalMonitoring]:
    nodes = [SimulatedNode("node-a")]
    with LocalMonitoring.start(f"pytest-{os.getpid()}-monitoring", nodes) as monitoring:
        yield monitoring


@pytest.fixture
def local_monitoring(_session_monitoring: LocalMonitoring) -> LocalMonitoring:
    """Prometheus, scraping every second, and the simulator; a test says which nodes with `serve([…])`.

    One pair for the session: a test may stop and start both, and begins with Prometheus running.
    """
    if not _session_monitoring.prometheus.identity:
        _session_monitoring.prometheus.start()
    return _session_monitoring
