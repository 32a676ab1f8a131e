"""pytest fixtures of the full cluster."""

import os
from collections.abc import Iterator

import pytest

from .engine import engine
from .fixtures import ExistingCluster, existing_cluster
from .kind import KindCluster, end_abandoned
from .processes import Identity

FullCluster = KindCluster | ExistingCluster


@pytest.fixture(scope="session")
def own_kind_cluster() -> Iterator[KindCluster]:
    """The kind cluster `$LOADSTAR_CLUSTER_NAME` (default loadstar-test), in its full state.

    One that runs already is used and left running; one that was started for the session ends with it, unless
    LOADSTAR_KEEP_CLUSTER=1. One that a killed session left is ended first.
    """
    end_abandoned()
    keep = os.environ.get("LOADSTAR_KEEP_CLUSTER") == "1"
    owner = None if keep else Identity.of_this_process()
    cluster = KindCluster(os.environ.get("LOADSTAR_CLUSTER_NAME", "loadstar-test"), owner=owner)
    found = cluster.is_running()
    cluster.up()
    yield cluster
    if found or keep:
        cluster.close()
    else:
        cluster.down()


@pytest.fixture(scope="session")
def kind_cluster(request: pytest.FixtureRequest) -> Iterator[FullCluster]:
    """A full cluster: the one that LOADSTAR_KUBECONFIG names, else kind's."""
    existing = existing_cluster()
    if existing is None:
        yield request.getfixturevalue("own_kind_cluster")
        return
    yield existing
    existing.api.close()


@pytest.fixture(scope="session")
def container_engine() -> Iterator[dict[str, str]]:
    """Environment variables that reach a container engine; a private one that this started ends with the session."""
    found = engine.current()
    yield engine.ensure()
    if found is None:
        engine.stop()
