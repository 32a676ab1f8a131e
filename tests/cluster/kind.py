"""A full cluster by kind: real nodes, pods, images, Services and DNS, with simulated GPUs, Prometheus and load.

cluster = KindCluster("mine")
cluster.up()
cluster.kubectl("get", "nodes")
cluster.down()
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from . import kind_nodes
from .api import Api
from .engine import engine
from .gotools import tool
from .kind_nodes import NodeContainers
from .kubectl import KubectlError, kubectl
from .nodes import gpu_labels
from .processes import Identity
from .state import abandoned, claim, state_dir, wipe
from .steps import StepFailed, run_logged, say

IMAGES = ("operator", "trainer")
GPU = "nvidia.com/gpu"
_READY_SECONDS = 120
_MARK = "LOADSTAR_KIND_CLUSTER"  # in the environment of everything that works on a cluster
_OWNER = "kind-owner.json"  # not that of other clusters, whose folder is all that they leave


class KindCluster:
    """The kind cluster `name`, which may or may not run: a control plane and `workers` nodes with GPUs.

    A cluster outlives the process that started it; `down` ends it, from any process. Its kubeconfig and logs are
    in `folder`, and nothing of the caller's own kubectl configuration is read or written. With an `owner`, a
    cluster that is made counts as abandoned as soon as that process has ended.
    """

    def __init__(
        self,
        name: str = "loadstar",
        workers: int = 2,
        gpus_per_worker: int = 2,
        owner: Identity | None = None,
    ) -> None:
        self.name = name
        self._owner = owner
        self.workers = workers
        self.gpus_per_worker = gpus_per_worker
        self.folder = state_dir(name)
        self.kubeconfig: Path = self.folder / "kubeconfig"

    def up(self) -> None:
        """Start the cluster if it does not run, and bring it to its full state: GPUs, images, monitoring.

        Raises StepFailed, with the log to read, when a part does not start; what did start stays for a look,
        until the next `up` or `down`.
        """
        from .images import image  # a bare cluster needs none of these
        from .monitoring import IMAGES as MONITORING
        from .monitoring import install

        archives = [image(name).archive for name in (*IMAGES, *MONITORING)]
        self.start(archives)
        try:
            self.advertise_gpus()
            for name in IMAGES:
                self.load(image(name).archive)
            install(self)
        except KubectlError as error:
            raise StepFailed(f"The cluster {self.name} is up, but not complete: {error}") from error
        say(f"The cluster {self.name} is up; KUBECONFIG={self.kubeconfig}")

    def start(self, archives: Sequence[Path] = ()) -> None:
        """Start the bare cluster: nodes Ready and DNS at work. A healthy one is left as it is.

        A new one's workers hold the images of `archives` from the start, where the engine is our own.
        """
        environment = engine.ensure()
        if self._is_healthy(environment):
            say(f"The cluster {self.name} runs already")
            return
        if NodeContainers(self.name, environment).all():
            say(f"The cluster {self.name} is there but not healthy: it is made anew")
        self._delete(environment)
        self._create(environment, archives)
        self._wait_ready()

    def down(self) -> None:
        """End the cluster and remove all that it left on the machine, also after a crash of whoever started it.

        The private engine goes too, where there is one, unless another cluster or process uses it. The cache
        with what was built stays. Nothing happens if there is no cluster.
        """
        self.close()
        self._end_orphans()
        # After a crash of the engine the cluster's remains can be removed only with the engine at work.
        environment = engine.ensure() if self.folder.exists() else engine.current()
        if environment is not None:
            self._delete(environment)
        if environment:
            kind_nodes.remove_unused_network(environment)
        wipe(self.folder)
        engine.stop()

    def status(self) -> str:
        """The cluster's nodes with their GPUs, and the private engine, for people."""
        if not self.kubeconfig.exists():
            return f"no cluster {self.name!r}\n{engine.status()}"
        columns = "NODE:.metadata.name,READY:.status.conditions[-1:].status"
        columns += r",GPUS:.status.allocatable.nvidia\.com/gpu"
        try:
            nodes = self.kubectl("get", "nodes", "--output", f"custom-columns={columns}").rstrip()
        except KubectlError as error:
            nodes = f"the cluster {self.name!r} does not answer: {error}"
        return f"{nodes}\nKUBECONFIG={self.kubeconfig}\n{engine.status()}"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl on this cluster and return what it prints. Raises KubectlError."""
        return kubectl(self.kubeconfig, *arguments, stdin=stdin)

    @cached_property
    def api(self) -> Api:
        """A plain client with all rights."""
        return Api(self.kubeconfig)

    def close(self) -> None:
        """Close the client's connection; the cluster stays."""
        if "api" in self.__dict__:
            self.__dict__.pop("api").close()

    def load(self, archive: Path) -> None:
        """Bring the image of a Docker archive onto every node that takes pods and does not hold it yet."""
        environment = engine.ensure()
        nodes = NodeContainers(self.name, environment)
        lacking = [node for node in nodes.workers() if not nodes.holds(node, archive)]
        if lacking:
            self._kind(
                f"Loading {archive.name} onto {', '.join(lacking)}",
                *("load", "image-archive", str(archive), "--name", self.name, "--nodes", ",".join(lacking)),
                environment=environment,
            )

    def worker_names(self) -> list[str]:
        """The nodes that take pods, by name."""
        return NodeContainers(self.name, engine.ensure()).workers()

    def advertise_gpus(self, count: int | None = None) -> None:
        """Give every worker `count` simulated GPUs (`gpus_per_worker`): in its status and feature discovery's labels.

        A kubelet that starts again sets the count to zero, so this is repeated at every `up`.
        """
        gpus = self.gpus_per_worker if count is None else count
        status = {"status": {"capacity": {GPU: str(gpus)}, "allocatable": {GPU: str(gpus)}}}
        labels = [f"{key}={text}" for key, text in gpu_labels(gpus, "Simulated-GPU").items()]
        for node in self.worker_names():
            patch = ("--subresource=status", "--type=merge", "--patch", yaml.safe_dump(status))
            self.kubectl("patch", "node", node, *patch)
            self.kubectl("label", "node", node, "--overwrite", *labels)

    def _create(self, environment: Mapping[str, str], archives: Sequence[Path]) -> None:
        from .node_image import choose

        reference = choose(environment)
        claim(self.folder, None)
        if self._owner:
            self._owner.write(self.folder / _OWNER)
        configuration = self.folder / "kind.yaml"
        configuration.write_text(yaml.safe_dump(self._configuration(reference, environment, archives)))
        self._kind(
            f"Creating the kind cluster {self.name} with {self.workers} workers (about 40 s)",
            *("create", "cluster", "--name", self.name, "--config", str(configuration), "--image", reference),
            *("--kubeconfig", str(self.kubeconfig), "--wait", f"{_READY_SECONDS}s", "--retain"),
            environment=environment,
        )

    def _configuration(
        self, reference: str, environment: Mapping[str, str], archives: Sequence[Path]
    ) -> dict[str, Any]:
        """What kind is told. In the private engine, workers get their images as folders of this machine."""
        workers: list[dict[str, Any]] = [{"role": "worker"} for _ in range(self.workers)]
        if environment and workers and archives:
            from .engine import stores

            folders = [self.folder / f"containerd-{number}" for number in range(self.workers)]
            stores.provide(folders, reference, archives, environment)
            for worker, folder in zip(workers, folders, strict=True):
                worker["extraMounts"] = [{"hostPath": str(folder), "containerPath": stores.PLACE}]
        nodes = [{"role": "control-plane"}, *workers]
        return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes}

    def _wait_ready(self) -> None:
        """Wait for all nodes and for DNS: kind itself waits for the control plane only."""
        limit = f"--timeout={_READY_SECONDS - 10}s"  # so that kubectl says itself what it waited for
        say("Waiting for the nodes and for DNS …")
        try:
            self.kubectl("wait", "node", "--all", "--for=condition=Ready", limit)
            self.kubectl("--namespace=kube-system", "rollout", "status", "deployment/coredns", limit)
        except KubectlError as error:
            raise StepFailed(
                f"The cluster {self.name} is not Ready. {self._export_logs()}\n{error}"
            ) from error

    def is_running(self) -> bool:
        """Whether all its nodes' containers run; asked without starting anything."""
        environment = engine.current()
        return environment is not None and self._all_run(environment)

    def _all_run(self, environment: Mapping[str, str]) -> bool:
        return len(NodeContainers(self.name, environment).running()) == 1 + self.workers

    def _is_healthy(self, environment: Mapping[str, str]) -> bool:
        """Whether all nodes of the wanted number run and are Ready."""
        if not self.kubeconfig.exists() or not self._all_run(environment):
            return False
        try:
            self.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=20s")
        except KubectlError:
            return False
        return True

    def _delete(self, environment: Mapping[str, str]) -> None:
        self.close()
        if not NodeContainers(self.name, environment).all():
            return
        self._kind(
            f"Deleting the kind cluster {self.name}",
            *("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig)),
            environment=environment,
        )

    def _kind(self, title: str, *arguments: str, environment: Mapping[str, str]) -> None:
        """Run kind; its log is kept with the cluster's state."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        command = [str(tool("kind")), *arguments]
        log = self.folder / f"kind-{arguments[0]}.log"
        try:
            run_logged(title, command, log=log, env={**os.environ, **environment, _MARK: self.name})
        except StepFailed as error:
            if arguments[0] == "create":
                raise StepFailed(f"{error}\n{_errors(log)}\n{self._export_logs()}") from error
            raise

    def _export_logs(self) -> str:
        """Gather the nodes' logs; returns where they are, for an error's message."""
        logs = self.folder / "logs"
        command = [str(tool("kind")), "export", "logs", str(logs), "--name", self.name]
        subprocess.run(command, env={**os.environ, **engine.ensure()}, capture_output=True, check=False)
        return f"The nodes' logs are in {logs} (journal.log and kubelet.log of each node)."

    def _end_orphans(self) -> None:
        """End what a killed `up` left working on this cluster (Linux only: elsewhere none is found)."""
        mark = f"{_MARK}={self.name}".encode()
        while sum(_killed_if_marked(process, mark) for process in Path("/proc").glob("[0-9]*")):
            time.sleep(0.1)  # once more, as one may have started another meanwhile


def end_abandoned() -> None:
    """End the kind clusters whose owner died without ending them, as one does that is killed."""
    for folder in abandoned(_OWNER):
        say(f"Ending {folder.name}, which a killed run left …")
        KindCluster(folder.name).down()


def _errors(log: Path) -> str:
    """The lines of kind's log that name an error; its end is only a stack of functions."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    named = [line for line in lines if line.lower().startswith(("error", "[error"))]
    return "\n".join(["It says:", *(f"    {line}" for line in dict.fromkeys(named))])


def _killed_if_marked(process: Path, mark: bytes) -> bool:
    try:
        if mark not in (process / "environ").read_bytes().split(b"\0"):
            return False
        os.kill(int(process.name), signal.SIGKILL)
    except OSError:  # it has ended by itself, or is somebody else's
        return False
    return True
