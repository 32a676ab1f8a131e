"""TrainingJobs in one namespace of a cluster, as a user of kubectl sees them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.kind_fixtures import FullCluster
from tests.cluster.kubectl import KubectlError
from tests.examples import job_of

Object = dict[str, Any]


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
    """The TrainingJobs and pods of one namespace."""

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

    def get(self, name: str) -> Object:
        """The TrainingJob as it is now."""
        found: Object = json.loads(self.kubectl("get", "trainingjob", name, "--output=json"))
        return found

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
        selector = f"--selector=loadstar.dev/job-name={name}"
        items: list[Object] = json.loads(self.kubectl("get", "pods", selector, "--output=json"))["items"]
        return sorted(items, key=lambda pod: str(pod["metadata"]["name"]))

    def record(self, name: str) -> Object:
        """The trainer's own final record: rank 0's termination message, read from the pod."""
        attempt = self.status(name)["attempt"]
        pod = json.loads(self.kubectl("get", "pod", f"{name}-{attempt}-0", "--output=json"))
        record: Object = json.loads(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
        return record

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = 90.0) -> None:
        """Wait until something holds; fail with the jobs, pods and events as they are then."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self._picture()}")
            time.sleep(0.3)

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
