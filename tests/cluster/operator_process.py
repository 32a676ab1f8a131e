"""The real operator as a process outside of the cluster: `loadstar run` with all rights."""

import sys
from collections.abc import Mapping
from pathlib import Path
from socket import create_server

from .components import answers
from .controlplane import ControlPlane
from .processes import Process

OPERATOR_NAMESPACE = "loadstar-system"
_ROOT = Path(__file__).parents[2]


def operator_process(
    cluster: ControlPlane,
    settings: Mapping[str, str] | None = None,
    name: str = "operator",
    module: tuple[str, ...] = ("loadstar", "run"),
) -> Process:
    """The operator on a control plane, not yet started; its log is `<folder>/<name>.log`.

    `settings` are environment variables, e.g. LOADSTAR_PROMETHEUS_URL. Of the caller's environment nothing
    reaches it. The CRD and the operator's namespace must be there before it starts. `module` is what Python runs, with
    arguments; one of the tests may stand in.
    """
    environment = {
        "PYTHONPATH": f"{_ROOT}:{_ROOT / 'operator'}",
        "LOADSTAR_IDENTITY": name,  # as a pod's: started again, it takes its own Lease at once
        "LOADSTAR_KUBECONFIG": str(cluster.kubeconfig),
        "LOADSTAR_SERVING_ADDRESS": cluster.address,
        "LOADSTAR_SERVING_PORT": str(free_port(cluster)),
        **(settings or {}),
    }
    port = environment["LOADSTAR_SERVING_PORT"]
    command = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
    command += [sys.executable, "-m", *module]
    return Process(
        name, command, cluster.folder, answers(f"http://{cluster.address}:{port}/readyz"), stay=False
    )


def free_port(cluster: ControlPlane) -> int:
    """A port of the cluster's address that nobody uses."""
    with create_server((cluster.address, 0)) as listener:
        return int(listener.getsockname()[1])
