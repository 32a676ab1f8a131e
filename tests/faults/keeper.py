"""The operator with faults as a process that is kept alive, as a kubelet would keep it."""

import sys
from pathlib import Path
from socket import create_server

from tests.cluster.components import answers
from tests.cluster.controlplane import ControlPlane
from tests.cluster.processes import Process

ROOT = Path(__file__).parents[2]


class Keeper:
    """One replica of the operator. Its identity stays over restarts, so that it takes its own Lease at once."""

    def __init__(self, cluster: ControlPlane, name: str = "operator", **settings: str) -> None:
        self._cluster, self._name = cluster, name
        self._settings = {"identity": name, **settings}
        self.starts = 0
        self.process = self._process({})

    def start(self, **faults: str) -> None:
        """Start it, with the faults that `operator_with_faults` knows."""
        self.process = self._process(faults)
        self.process.launch()
        self.starts += 1

    def keep(self, **faults: str) -> None:
        """Start it again, with these faults, if it has ended."""
        if self.process.identity is None:
            self.process.kill()  # reaps what is left of it
            self.start(**faults)

    def stop(self) -> None:
        """End it for good."""
        self.process.kill()

    def _process(self, faults: dict[str, str]) -> Process:
        address = self._cluster.address
        with create_server((address, 0)) as listener:
            port = listener.getsockname()[1]
        environment = {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}",
            "LOADSTAR_KUBECONFIG": str(self._cluster.kubeconfig),
            "LOADSTAR_SERVING_ADDRESS": address,
            "LOADSTAR_SERVING_PORT": str(port),
            **{f"LOADSTAR_{key.upper()}": value for key, value in self._settings.items()},
            **{f"FAULT_{key.upper()}": value for key, value in faults.items()},
        }
        command = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        command += [sys.executable, "-m", "tests.faults.operator_with_faults"]
        ready = answers(f"http://{address}:{port}/readyz")
        return Process(self._name, command, self._cluster.folder, ready, stay=False)
