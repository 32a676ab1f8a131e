"""A control plane with the CRD, GPU nodes and the operator's namespace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadstar.api.labels import GROUP, PLURAL, VERSION
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import OPERATOR_NAMESPACE
from tests.faults.keeper import Keeper
from tests.faults.life import until

CRD = Path(__file__).parents[2] / "manifests" / "crd.yaml"
NODES, GPUS_PER_NODE = 4, 8


@pytest.fixture(scope="session")
def cluster() -> Iterator[ControlPlane]:
    """A control plane of these tests' own, as they break it."""
    with ControlPlane.start("faults", kwok_nodes=NODES, gpus_per_node=GPUS_PER_NODE) as started:
        started.kubectl("apply", "--server-side", "-f", str(CRD))
        until("the CRD to be served", lambda: _served(started))
        started.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        yield started


@pytest.fixture
def keeper(cluster: ControlPlane) -> Iterator[Keeper]:
    """One operator, not yet started."""
    kept = Keeper(cluster)
    yield kept
    kept.stop()


def _served(cluster: ControlPlane) -> bool:
    try:
        cluster.api.get(f"/apis/{GROUP}/{VERSION}/{PLURAL}")
    except ApiError:
        return False
    return True
