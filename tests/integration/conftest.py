"""What more than one module here needs."""

from collections.abc import Iterator

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.cluster.fixtures import await_account
from tests.cluster.operator_process import OPERATOR_NAMESPACE
from tests.integration.crd import install_crd
from tests.integration.reporting import RunningJob, Site, start_operator

_JOBS = "jobs"


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A control plane with GPU nodes, and an operator that programs can report to."""
    # More GPUs than all jobs together: those that a deleted job's pods had are free only when these are collected.
    with ControlPlane.start("reporting", kwok_nodes=2, gpus_per_node=64) as cluster:
        install_crd(cluster)
        for namespace in (OPERATOR_NAMESPACE, _JOBS):
            cluster.kubectl("create", "namespace", namespace)
        await_account(cluster.api, _JOBS)
        started = start_operator(cluster, module=("tests.integration.quick_operator",))
        yield started
        started.operator.stop()


@pytest.fixture
def job(site: Site) -> Iterator[RunningJob]:
    """A job of one pod, which runs; deleted after the test."""
    started = RunningJob(site, _JOBS).start()
    yield started
    site.cluster.api.delete(started.path)


@pytest.fixture
def gang(site: Site) -> Iterator[RunningJob]:
    """A job of two pods."""
    started = RunningJob(site, _JOBS, ranks=2).start()
    yield started
    site.cluster.api.delete(started.path)
