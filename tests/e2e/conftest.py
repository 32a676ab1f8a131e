"""The operator installed from the chart into the kind cluster, and a fresh namespace for each test."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.kind_fixtures import FullCluster
from tests.e2e.installation import Installation
from tests.e2e.jobs import Jobs


@pytest.fixture(scope="session")
def operator(kind_cluster: FullCluster) -> Iterator[Installation]:
    """The chart's operator, running; it is uninstalled at the end, with its CRD."""
    installation = Installation(kind_cluster)
    installation.install()
    yield installation
    installation.remove_everything()


@pytest.fixture
def jobs(operator: Installation, tmp_path: Path) -> Iterator[Jobs]:
    """A namespace of its own for the test's jobs. Afterwards they are gone, with their pods and GPUs.

    The namespace itself goes by and by: its controller lets five seconds pass before it begins.
    """
    jobs = Jobs(operator.cluster, f"e2e-{uuid4().hex[:8]}")
    jobs.begin()
    yield jobs
    jobs.end()
