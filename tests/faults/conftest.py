"""A control plane with the CRD, GPU nodes and the operator's namespace."""

from collections.abc import Iterator

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import OPERATOR_NAMESPACE
from tests.faults.keeper import Keeper
from tests.integration.crd import install_crd

NODES, GPUS_PER_NODE = 4, 8


@pytest.fixture(scope="session")
def cluster() -> Iterator[ControlPlane]:
    """A control plane of these tests' own, as they break it."""
    with ControlPlane.start("faults", kwok_nodes=NODES, gpus_per_node=GPUS_PER_NODE) as started:
        install_crd(started)
        started.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        yield started


@pytest.fixture
def keeper(cluster: ControlPlane) -> Iterator[Keeper]:
    """One operator, not yet started."""
    kept = Keeper(cluster)
    yield kept
    kept.stop()
