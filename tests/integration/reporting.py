"""Programs that report, as tests play them: pods of kwok's with real tokens, and an operator that serves them."""

import http.client
import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from loadstar.api.labels import API_VERSION, KIND, PLURAL, PROGRESS_CA_ANNOTATION
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import free_port, operator_process
from tests.cluster.processes import Process
from tests.waiting import until

Json = dict[str, Any]
AUDIENCE = "trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs/{name}/status"


@dataclass(frozen=True)
class Answer:
    """What the endpoint answered; `body` is its JSON."""

    code: int
    body: Json
    headers: dict[str, str]


@dataclass
class Site:
    """A control plane with an operator that serves the progress endpoint."""

    cluster: ControlPlane
    operator: Process
    port: int
    serving_port: int

    def metric(self, name: str) -> float:
        """The value of one of the operator's metrics, with its labels; 0 where it has none yet."""
        connection = http.client.HTTPConnection(self.cluster.address, self.serving_port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def post(
        self,
        path: str,
        body: bytes | str = b"",
        token: str = "",
        ca: str | None = None,
        method: str = "POST",
        source: str = "127.0.0.1",
    ) -> Answer:
        """One request, from the address `source`; with `ca`, the server must be who that authority says."""
        context = ssl.create_default_context(cadata=ca) if ca else ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            self.cluster.address, self.port, context=context, timeout=30, source_address=(source, 0)
        )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read() or b"{}"), dict(answer.headers))
        finally:
            connection.close()


def start_operator(
    cluster: ControlPlane,
    settings: dict[str, str] | None = None,
    module: tuple[str, ...] = ("loadstar", "run"),
) -> Site:
    """An operator with the endpoint on a free port, ready; `module` is what Python runs."""
    port, serving = free_port(cluster), free_port(cluster)
    own = {
        "LOADSTAR_PROGRESS_URL": f"https://{cluster.address}:{port}",
        "LOADSTAR_PROGRESS_PORT": str(port),
        "LOADSTAR_SERVING_PORT": str(serving),
    }
    operator = operator_process(cluster, {**own, **(settings or {})}, module=module)
    operator.start()
    return Site(cluster, operator, port, serving)


@dataclass
class RunningJob:
    """A TrainingJob whose pods run."""

    site: Site
    namespace: str
    ranks: int = 1
    name: str = field(default_factory=lambda: f"job-{uuid4().hex[:6]}")
    ca: str = field(init=False, default="")
    """Whom the job's first pod is told to trust; read as soon as it runs, for it may be gone later."""

    def start(self) -> "RunningJob":
        """Create it and wait until all its pods run."""
        spec = {
            "model": {"type": "linear"},
            "dataset": {"builtin": "iris"},
            "trainer": {"numNodes": self.ranks, "resourcesPerNode": {"nvidia.com/gpu": 1}},
        }
        metadata = {"name": self.name, "namespace": self.namespace}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
        self.site.cluster.api.post(self.path.rpartition("/")[0], body)
        self.wait_running(1)
        self.ca = str(self.pod()["metadata"]["annotations"][PROGRESS_CA_ANNOTATION])
        return self

    def wait_running(self, attempt: int) -> None:
        """Wait until all pods of an attempt run and the status says so."""
        until(lambda: self.status.get("phase") == "Running", f"{self.name} runs")
        until(lambda: self.status.get("attempt") == attempt, f"{self.name} runs attempt {attempt}")
        until(lambda: self.status.get("phase") == "Running", f"{self.name} runs again")

    @property
    def path(self) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURAL}/{self.name}"

    @property
    def job(self) -> Json:
        return dict(self.site.cluster.api.get(self.path))

    @property
    def status(self) -> Json:
        return dict(self.job.get("status") or {})

    @property
    def url_path(self) -> str:
        return f"/apis/{self.audience}"

    @property
    def record_path(self) -> str:
        return f"{self.path}/record"

    @property
    def audience(self) -> str:
        return AUDIENCE.format(namespace=self.namespace, name=self.name)

    def pod(self, rank: int = 0, attempt: int = 1) -> Json:
        name = f"{self.name}-{attempt}-{rank}"
        return dict(self.site.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}"))

    def token(self, rank: int = 0, attempt: int = 1, audience: str = "") -> str:
        """A token as the kubelet would project it into a pod."""
        return bound_token(self.site.cluster, self.pod(rank, attempt), audience or self.audience)

    def report(self, token: str = "", at: datetime | None = None, **status: Any) -> Answer:
        """One report of this moment, as rank 0 of attempt 1 unless another token is given."""
        body = report_body(at or datetime.now(UTC), **status)
        return self.site.post(self.url_path, body, token or self.token(), self.ca)

    def curves(self) -> Json | None:
        """The ConfigMap of the curves."""
        try:
            path = f"/api/v1/namespaces/{self.namespace}/configmaps/{self.name}-curves"
            return dict(self.site.cluster.api.get(path))
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def end(self, exit_code: int = 0, attempt: int = 1, message: str = "") -> None:
        """Have all pods end."""
        ending = {"testbed.loadstar.dev/exit-code": str(exit_code)}
        if message:
            ending["testbed.loadstar.dev/termination-message"] = message
        for rank in range(self.ranks):
            path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}-{attempt}-{rank}"
            self.site.cluster.api.merge(path, {"metadata": {"annotations": ending}})


def bound_token(cluster: ControlPlane, pod: Json | None, audience: str, namespace: str = "") -> str:
    """A real token of the namespace's default account, bound to a pod unless there is none."""
    where = pod["metadata"]["namespace"] if pod else namespace
    spec: Json = {"audiences": [audience], "expirationSeconds": 3600}
    if pod:
        reference = {"kind": "Pod", "apiVersion": "v1"}
        spec["boundObjectRef"] = reference | {key: pod["metadata"][key] for key in ("name", "uid")}
    path = f"/api/v1/namespaces/{where}/serviceaccounts/default/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return str(cluster.api.post(path, body)["status"]["token"])


def report_body(at: datetime, **status: Any) -> str:
    """A report; `metrics` may be given as a dictionary."""
    metrics = status.pop("metrics", None)
    if isinstance(metrics, dict):
        metrics = [{"name": name, "value": str(value)} for name, value in metrics.items()]
    listed = {} if metrics is None else {"metrics": metrics}
    return json.dumps({"trainerStatus": {"lastUpdatedTime": at.isoformat(), **status, **listed}})


def earlier(seconds: float) -> datetime:
    """A moment that is past."""
    return datetime.now(UTC) - timedelta(seconds=seconds)
