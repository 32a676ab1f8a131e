"""The manifests of Prometheus and the simulator, on a real API server."""

import pytest

from tests.cluster.fixtures import Cluster
from tests.cluster.monitoring import SimulatedNode
from tests.cluster.monitoring.incluster import manifests, uninstall

pytestmark = pytest.mark.controlplane


def test_the_api_server_takes_them_without_a_warning_of_pod_security(control_plane: Cluster) -> None:
    try:
        for manifest in manifests([SimulatedNode("node-a")], "5s"):
            control_plane.kubectl("apply", "--server-side", "--warnings-as-errors", "-f", "-", stdin=manifest)
    finally:
        uninstall(control_plane)
