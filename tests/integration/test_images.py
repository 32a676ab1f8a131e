"""The images, built and run as pods run them: not as root, on a read-only file system, without capabilities."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.images import image

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("container_engine")]

RESTRICTED = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
)


class Engine:
    """The Docker client as these tests use it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}

    def __call__(self, *arguments: str) -> str:
        command = ["docker", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout


@pytest.fixture
def docker(container_engine: dict[str, str]) -> Engine:
    return Engine(container_engine)


def _loaded(docker: Engine, name: str) -> str:
    """The reference of an image that is in the engine as its archive has it."""
    built = image(name)
    docker("load", "--quiet", f"--input={built.archive}")
    return built.reference


@pytest.fixture
def simulator(docker: Engine, tmp_path: Path) -> Iterator[str]:
    """A running simulator; its container's id."""
    config = tmp_path / "nodes.yaml"
    config.write_text("nodes: [{name: node-a}]")
    tmp_path.chmod(0o755)
    mount = f"--volume={config}:/etc/dcgm-simulator/nodes.yaml:ro"
    container = docker("run", "--detach", *RESTRICTED, mount, _loaded(docker, "dcgm-simulator")).strip()
    yield container
    docker("rm", "--force", container)


def test_the_simulator_serves_its_page_and_ends_when_told(docker: Engine, simulator: str) -> None:
    ask = (
        "import urllib.request as u, time\n"
        "for _ in range(100):\n"
        "    try: print(u.urlopen('http://127.0.0.1:9400/metrics').read().decode()); break\n"
        "    except OSError: time.sleep(0.1)\n"
    )
    assert 'Hostname="node-a"' in docker("exec", simulator, "python", "-c", ask)
    docker("stop", "--time=10", simulator)
    assert docker("inspect", "--format={{.State.ExitCode}}", simulator).strip() == "0"


@pytest.mark.parametrize(
    ("name", "command", "output"),
    [
        ("operator", "--help", "Usage: loadstar"),
        ("prometheus", "--version", "prometheus, version"),
    ],
)
def test_a_program_runs_restricted(docker: Engine, name: str, command: str, output: str) -> None:
    assert output in docker("run", "--rm", *RESTRICTED, _loaded(docker, name), command)


@pytest.mark.parametrize("name", ["operator", "trainer", "dcgm-simulator", "prometheus"])
def test_no_image_runs_as_root(docker: Engine, name: str) -> None:
    reference = _loaded(docker, name)

    assert docker("image", "inspect", "--format={{.Config.User}}", reference).strip() == "65532:65532"


def test_the_trainers_image_can_use_torch(docker: Engine) -> None:
    options = (*RESTRICTED, "--entrypoint=python3", _loaded(docker, "trainer"))

    assert docker(
        "run", "--rm", *options, "-c", "import torch, loadstar_trainer; print(torch.ones(3).sum())"
    ) == ("tensor(3.)\n")
