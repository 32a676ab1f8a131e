"""A Kubernetes control plane without nodes, as plain processes: for integration tests and benchmarks.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler run as they are, with certificates, RBAC and
admission; fake GPU nodes come from kwok. No root is needed. Several run side by side.

    with ControlPlane.start("mine") as cluster, cluster.gpu_nodes(2, gpus=4) as names:
        cluster.kubectl("get", "node", names[0])
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from . import components
from .api import Api, ApiError
from .kubectl import kubectl
from .nodes import fake_node
from .processes import Identity
from .site import Site, prepare
from .state import claim, state_dir, wipe, wipe_abandoned
from .steps import StepFailed


class ControlPlane:
    """A running control plane.

    `etcd`, `apiserver`, `controller_manager`, `scheduler` and `kwok` can each be stopped, killed, paused and
    started again, for tests of faults.
    """

    def __init__(self, site: Site) -> None:
        self.name = site.name
        self.folder = site.folder
        self.address = site.address
        self.kubeconfig: Path = site.file("kubeconfig")
        self.etcd = components.etcd(site)
        self.apiserver = components.apiserver(site)
        self.controller_manager = components.controller_manager(site)
        self.scheduler = components.scheduler(site)
        self.kwok = components.kwok(site)

    @classmethod
    def start(
        cls, name: str, *, kwok_nodes: int = 0, gpus_per_node: int = 8, stay: bool = False
    ) -> "ControlPlane":
        """Start a control plane and return when it is ready, with `kwok_nodes` fake nodes.

        It ends with this Python process at the latest, or stays until `down` if `stay`. Raises StepFailed,
        with the log to read, when a part does not start, and when a cluster of this name runs.
        """
        wipe_abandoned()
        folder = state_dir(name)
        claim(folder, None if stay else Identity.of_this_process())
        cluster = cls(prepare(name, folder, stay=stay))
        try:
            cluster._start()
            cluster.add_nodes([f"gpu-{number}" for number in range(kwok_nodes)], gpus=gpus_per_node)
        except StepFailed:
            cluster._end()  # the folder stays for its logs, until the next start or `down`
            raise
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def _start(self) -> None:
        self.etcd.launch()
        self.apiserver.start()
        others = (self.controller_manager, self.scheduler)
        for process in others:
            process.launch()
        for process in others:
            process.wait_ready()
        self._wait_for("the default service account", "/api/v1/namespaces/default/serviceaccounts/default")

    def stop(self) -> None:
        """End all processes and remove the folder; the logs go with it."""
        self._end()
        wipe(self.folder)

    def _end(self) -> None:
        if "api" in self.__dict__:
            self.api.close()
        for process in (self.kwok, self.scheduler, self.controller_manager, self.apiserver, self.etcd):
            process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @cached_property
    def api(self) -> Api:
        """A plain client with all rights."""
        return Api(self.kubeconfig)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl on this cluster and return what it prints. Raises KubectlError."""
        return kubectl(self.kubeconfig, *arguments, stdin=stdin)

    def add_nodes(self, names: list[str], gpus: int, labels: dict[str, str] | None = None) -> None:
        """Add fake nodes with `gpus` devices each; kwok is started with the first ones."""
        if names and not self.kwok.identity:
            self.kwok.start()
        for name in names:
            self.api.post("/api/v1/nodes", fake_node(name, gpus, labels=labels))

    def remove_nodes(self, names: list[str]) -> None:
        """Remove nodes."""
        for name in names:
            self.api.delete(f"/api/v1/nodes/{name}")

    @contextmanager
    def gpu_nodes(self, count: int, gpus: int, labels: dict[str, str] | None = None) -> Iterator[list[str]]:
        """Fake nodes with names of their own for the time of a test; gives the names, in their order."""
        prefix = f"fake-{uuid4().hex[:6]}"
        names = [f"{prefix}-{number}" for number in range(count)]
        self.add_nodes(names, gpus, labels)
        try:
            yield names
        finally:
            self.remove_nodes(names)

    def _wait_for(self, what: str, path: str, seconds: float = 90.0) -> Any:
        """The object at a path, as soon as it is there."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.api.get(path)
            except ApiError as error:
                if error.code != 404 or time.monotonic() > deadline:
                    raise StepFailed(f"{what} is not there after {seconds:.0f} s: {error}") from error
            time.sleep(0.05)
