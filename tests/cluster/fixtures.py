"""pytest fixtures: a cluster for the session, a namespace for a test.

Tests run on a cluster that already exists only if LOADSTAR_KUBECONFIG names its kubeconfig; the current
context of whoever runs the tests is never used.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.waiting import until

from .api import Api, ApiError
from .controlplane import ControlPlane
from .kubectl import kubectl


class ExistingCluster:
    """A cluster that somebody named: the tests use it and leave it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.api = Api(kubeconfig)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl on this cluster and return what it prints. Raises KubectlError."""
        return kubectl(self.kubeconfig, *arguments, stdin=stdin)


Cluster = ControlPlane | ExistingCluster


def existing_cluster() -> ExistingCluster | None:
    """The cluster that LOADSTAR_KUBECONFIG names; None if it is not set."""
    named = os.environ.get("LOADSTAR_KUBECONFIG")
    if not named:
        return None
    kubeconfig = Path(named).expanduser().resolve()
    if not kubeconfig.is_file():
        pytest.exit(f"LOADSTAR_KUBECONFIG is {named!r}, which is no file; name a kubeconfig or unset it", 2)
    return ExistingCluster(kubeconfig)


@pytest.fixture(scope="session")
def own_control_plane() -> Iterator[ControlPlane]:
    """A control plane of this test session, whatever LOADSTAR_KUBECONFIG says: to add nodes, to break parts."""
    with ControlPlane.start(f"pytest-{os.getpid()}") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """An API server with controllers and scheduler, without nodes; the named cluster if there is one."""
    existing = existing_cluster()
    if existing is None:
        yield request.getfixturevalue("own_control_plane")
        return
    yield existing
    existing.api.close()


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A fresh namespace, in which pods can be created; deleted after the test."""
    name = f"test-{uuid4().hex[:8]}"
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    control_plane.api.post("/api/v1/namespaces", {"metadata": metadata})
    await_account(control_plane.api, name)
    yield name
    control_plane.api.delete(f"/api/v1/namespaces/{name}")


def await_account(api: Api, namespace: str) -> None:
    """Pods are refused until the controller manager has made the namespace's default service account."""
    until(partial(_has_account, api, namespace), f"the default service account of {namespace}")


def _has_account(api: Api, namespace: str) -> bool:
    try:
        api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    except ApiError as error:
        if error.code != 404:
            raise
        return False
    return True
