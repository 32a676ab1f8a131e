"""TrainingJobs in one namespace of a cluster, as a user of kubectl sees them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import ApiError
from tests.cluster.kind_fixtures import FullCluster
from tests.cluster.kubectl import KubectlError
from tests.examples import job_of

Object = dict[str, Any]
_POLL_SECONDS = 0.2


def iris_job(name: str, **spec: Any) -> Object:
    """A job of a second or two on the iris table; `spec` replaces parts of its spec."""
    return {
        "apiVersion": "loadstar.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {
            "model": {"type": "mlp"},
            "dataset": {"builtin": "iris"},
            "training": {"epochs": 3},
            **spec,
        },
    }


def on_gpus(gpus: int, nodes: int = 1) -> Object:
    """spec.trainer for a gang of `nodes` pods with `gpus` each, small enough for a test machine."""
    return {
        "numNodes": nodes,
        "numProcPerNode": 1,
        "resourcesPerNode": {"cpu": "100m", "memory": "512Mi", "nvidia.com/gpu": gpus},
    }


class Jobs:
    """The TrainingJobs and pods of one namespace.

    What a test does, it does with kubectl; what it waits for is read over one connection, as a process for every look
    would keep the machine busier than the jobs do.
    """

    def __init__(self, cluster: FullCluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace. Raises KubectlError."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def apply(self, *jobs: Object) -> None:
        """Apply jobs in one call. Raises KubectlError when one is refused."""
        self.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(jobs))

    def apply_file(self, manifest: Path) -> Object:
        """Apply an example with all that it needs; its job."""
        self.kubectl("apply", f"--filename={manifest}")
        return job_of(manifest)

    def begin(self) -> None:
        """Make the namespace."""
        self.cluster.api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        self.wait_for(
            "the namespace's account, without which it takes no pods", lambda: self._exists(account)
        )

    def end(self) -> None:
        """Delete the namespace; return when all its jobs and pods have gone, though not yet the namespace itself."""
        for path in (self._jobs, f"/api/v1/namespaces/{self.namespace}", self._pods):
            self.cluster.api.delete(path)  # once the namespace is being deleted it takes no new pods
        left = (self._jobs, self._pods)
        gone = "the jobs and their pods have gone"
        self.wait_for(gone, lambda: not any(self.cluster.api.get(path)["items"] for path in left))

    def _exists(self, path: str) -> bool:
        try:
            self.cluster.api.get(path)
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        return True

    def get(self, name: str) -> Object:
        """The TrainingJob as it is now."""
        found: Object = self.cluster.api.get(f"{self._jobs}/{name}")
        return found

    def all(self) -> list[Object]:
        """All TrainingJobs of the namespace as they are now."""
        return list(self.cluster.api.get(self._jobs)["items"])

    def status(self, name: str) -> Object:
        """The job's status, empty before the operator has seen it."""
        status: Object = self.get(name).get("status") or {}
        return status

    def condition(self, name: str, type_: str) -> Object:
        """One condition of a job, empty when it was never set."""
        found = (c for c in self.status(name).get("conditions", ()) if c["type"] == type_)
        condition: Object = next(found, {})
        return condition

    def pods(self, name: str) -> list[Object]:
        """The pods of a job, by name."""
        selector = f"?labelSelector=loadstar.dev/job-name={name}"
        items: list[Object] = self.cluster.api.get(f"{self._pods}{selector}")["items"]
        return sorted(items, key=lambda pod: str(pod["metadata"]["name"]))

    def pod(self, name: str) -> Object:
        """The pod of this name."""
        found: Object = self.cluster.api.get(f"{self._pods}/{name}")
        return found

    def record(self, name: str) -> Object:
        """The trainer's own final record: rank 0's termination message, read from the pod."""
        pod = self.pod(f"{name}-{self.status(name)['attempt']}-0")
        record: Object = json.loads(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
        return record

    @property
    def _jobs(self) -> str:
        return f"/apis/loadstar.dev/v1alpha1/namespaces/{self.namespace}/trainingjobs"

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait until something holds; fail with the jobs, pods and events as they are then."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self._picture()}")
            time.sleep(_POLL_SECONDS)

    def wait_for_phase(self, name: str, phase: str, seconds: float = 150.0) -> Object:
        """Wait for a phase; the status that has it. Fails at once when the job ends in another one."""

        def reached() -> bool:
            now = self.status(name).get("phase")
            ended = {"Succeeded", "Failed"} - {phase}
            assert now not in ended, f"{name} ended as {now}, not {phase}\n{self._picture()}"
            return bool(now == phase)

        self.wait_for(f"{name} is {phase}", reached, seconds)
        return self.status(name)

    def refusal(self, job: Object) -> str:
        """What kubectl says when it refuses a job; fails when the job is accepted."""
        try:
            self.apply(job)
        except KubectlError as error:
            return str(error)
        raise AssertionError(f"{job['metadata']['name']} was accepted")

    def _picture(self) -> str:
        wide = ("--output=wide",)
        parts = (("trainingjobs", *wide), ("pods", *wide), ("events", "--sort-by=.lastTimestamp"))
        return "\n".join(self.kubectl("get", *part) for part in parts)
