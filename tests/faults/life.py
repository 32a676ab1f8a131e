"""One TrainingJob from its creation to its end, pushed along by a test and watched for what must never be."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from loadstar.api.labels import API_VERSION, ATTEMPT_LABEL, GROUP, KIND, PLURAL, RANK_LABEL, VERSION
from tests.cluster.api import Api, ApiError
from tests.cluster.fixtures import await_account

Json = dict[str, Any]
ACCURACY = "0.9666666666666667"


@dataclass
class Life:
    """A gang in a namespace of its own. `disturb`: a pod of its first attempt is deleted while the gang runs.

    With `train_on` its pods run until that is taken away.
    """

    api: Api
    namespace: str
    ranks: int = 2
    disturb: bool = True
    train_on: bool = False
    phases: list[str] = field(default_factory=list)
    """The phases seen, without repetitions."""
    _disturbed: bool = False

    @property
    def path(self) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{PLURAL}/gang"

    def begin(self) -> None:
        """Make the namespace and the job."""
        self.api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        await_account(self.api, self.namespace)
        spec = {"model": {"type": "mlp"}, "dataset": {"builtin": "iris"}, "trainer": {"numNodes": self.ranks}}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "gang"}, "spec": spec}
        self.api.post(self.path.removesuffix("/gang"), body)

    def job(self) -> Json:
        return dict(self.api.get(self.path))

    def status(self) -> Json:
        return dict(self.job().get("status") or {})

    def pods(self) -> list[Json]:
        """Its pods; as the scheduler and kwok have left them."""
        return list(self.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"])

    def push(self) -> bool:
        """Look once, check what must always hold, and do what comes next to the gang; whether it has ended."""
        job, pods = self.job(), self.pods()
        self._check_always(job, pods)
        phase = job.get("status", {}).get("phase")
        if phase in {"Succeeded", "Failed"}:
            return True
        running = [pod for pod in pods if pod["status"]["phase"] == "Running" and not _deleting(pod)]
        if len(running) < self.ranks:
            return False
        if self.disturb and not self._disturbed:
            if phase == "Running":  # a pod that goes before is simply made again
                self._disturbed = self._deleted(running[-1])
        elif not self.train_on and (not self.disturb or _attempt(running[0]) > 1):
            for pod in running:
                self._end(pod)
        return False

    def _deleted(self, pod: Json) -> bool:
        """Delete a pod; False where it went since it was seen."""
        try:
            self.api.delete(self._pod_path(pod))
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        return True

    def _end(self, pod: Json) -> None:
        """Have a pod's container end; one that went since it was seen is looked at again at the next push."""
        try:
            self.api.merge(self._pod_path(pod), {"metadata": {"annotations": _ending(pod)}})
        except ApiError as error:
            if error.code != 404:
                raise

    def check_end(self) -> None:
        """What must hold once the job has ended and nothing moves any more."""
        job, pods = self.job(), self.pods()
        status = job["status"]
        assert status["phase"] == "Succeeded", status
        assert status["accuracy"] == ACCURACY
        assert status["observedGeneration"] == job["metadata"]["generation"]
        assert status["restarts"] == {"counted": 0, "infrastructure": int(self.disturb)}
        assert status["attempt"] == 1 + int(self.disturb)
        assert [pod for pod in pods if pod["status"]["phase"] not in {"Succeeded", "Failed"}] == []
        last = [pod for pod in pods if _attempt(pod) == status["attempt"]]
        assert sorted(_rank(pod) for pod in last) == list(range(self.ranks))
        placed = {name["name"] for name in status["placement"]["nodes"]}
        assert {pod["spec"]["nodeName"] for pod in last} == placed

    def _check_always(self, job: Json, pods: Iterable[Json]) -> None:
        living = [pod for pod in pods if pod["status"]["phase"] in {"Pending", "Running"}]
        assert len({_attempt(pod) for pod in living}) <= 1, [pod["metadata"]["name"] for pod in living]
        assert len({_rank(pod) for pod in living}) == len(living)
        status = job.get("status") or {}
        if not status:
            return
        phase = status["phase"]
        if not self.phases or self.phases[-1] != phase:
            assert not {"Succeeded", "Failed"} & set(self.phases), (self.phases, phase)
            self.phases.append(phase)
        assert status["reason"], status
        assert status["message"], status
        assert status.get("restarts", {}).get("counted", 0) == 0

    def _pod_path(self, pod: Json) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"


def _ending(pod: Json) -> dict[str, str]:
    """The annotations that let kwok end a pod well, rank 0 with its final record."""
    ends = {"testbed.loadstar.dev/exit-code": "0"}
    if _rank(pod) == 0:
        ends["testbed.loadstar.dev/termination-message"] = json.dumps(_record(pod))
    return ends


def _record(pod: Json) -> Json:
    return {
        "version": 1,
        "jobUid": pod["metadata"]["ownerReferences"][0]["uid"],
        "attempt": _attempt(pod),
        "worldSize": 2,
        "seed": 0,
        "dataHash": "sha256:0",
        "device": "cpu",
        "backend": "gloo",
        "torch": "2.6.0",
        "samples": {"train": 105},
        "epochs": 10,
        "durationSeconds": 3.2,
        "accuracy": ACCURACY,
        "metrics": [{"name": "accuracy", "value": ACCURACY}],
    }


def _attempt(pod: Json) -> int:
    return int(pod["metadata"]["labels"][ATTEMPT_LABEL])


def _rank(pod: Json) -> int:
    return int(pod["metadata"]["labels"][RANK_LABEL])


def _deleting(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]
