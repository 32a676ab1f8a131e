"""The example manifests, as kubectl applies them."""

from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster
from tests.examples import EXAMPLES
from tests.integration.crd import install_crd

pytestmark = pytest.mark.controlplane


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_accepted(control_plane: Cluster, namespace: str, path: Path) -> None:
    install_crd(control_plane)
    said = control_plane.kubectl("apply", "-n", namespace, "--validate=strict", "-f", str(path))
    assert f"trainingjob.loadstar.dev/{path.stem} created" in said.splitlines()
