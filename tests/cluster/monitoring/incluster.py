"""Prometheus and the simulator in a cluster with real nodes, in the namespace `monitoring`."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from string import Template
from typing import Any, Protocol, runtime_checkable

from tests.cluster.api import Api, ApiError
from tests.cluster.images import image, reference
from tests.cluster.kubectl import KubectlError, kubectl
from tests.cluster.monitoring.load import Constant, Control, Silent, SimulatedNode
from tests.cluster.monitoring.query import Point, points, query_path, wait_until
from tests.cluster.steps import StepFailed

NAMESPACE = "monitoring"
IMAGES = ("prometheus", "dcgm-simulator")
_SIMULATOR, _PROMETHEUS = "dcgm-simulator:9400", "prometheus:9090"
_MANIFESTS = Path(__file__).parent / "manifests"
_ROLLOUT_SECONDS = 120.0
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


class Cluster(Protocol):
    """Any cluster that a kubeconfig reaches."""

    @property
    def kubeconfig(self) -> Path:
        """Its kubeconfig."""


@runtime_checkable
class TakesImages(Protocol):
    """A cluster into whose nodes an image archive can be brought."""

    def load(self, archive: Path) -> None:
        """Bring the image onto the nodes, unless it is there."""


class SimulatedLoad(Control):
    """The control of the simulator that runs in a cluster, through the API server's service proxy.

    A refused request raises `tests.cluster.api.ApiError` with the simulator's sentence.
    """

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(lambda method, path, body: _request(cluster, method, _proxy(_SIMULATOR, path), body))


def install(
    cluster: Cluster, *, nodes: Sequence[SimulatedNode] | None = None, scrape_interval: str = "2s"
) -> None:
    """Install both, and return when Prometheus holds series of every one of `nodes`.

    `nodes` are by default the cluster's workers (see `workers`). Images are loaded where the cluster can do
    that; elsewhere its nodes must have them or get them. Installing again changes what is there. Raises
    StepFailed.
    """
    if isinstance(cluster, TakesImages):
        for name in IMAGES:
            cluster.load(image(name).archive)
    simulated = workers(cluster) if nodes is None else nodes
    for manifest in manifests(simulated, scrape_interval):
        kubectl(cluster.kubeconfig, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    for name in ("dcgm-simulator", "prometheus"):
        _wait_rolled_out(cluster, name)
    _wait_for_nodes(cluster, {node.name for node in simulated if not isinstance(node.load, Silent)})


def uninstall(cluster: Cluster) -> None:
    """Remove the namespace with all that is in it; return when it has gone."""
    kubectl(cluster.kubeconfig, "delete", "namespace", NAMESPACE, "--ignore-not-found")


def stop_prometheus(cluster: Cluster) -> None:
    """Take Prometheus away; return when its pod has gone. What it had stored is lost."""
    _scale_prometheus(cluster, 0)
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io%2Fname%3Dprometheus"
    wait_until("its pod has gone", lambda: not _request(cluster, "GET", pods)["items"], _ROLLOUT_SECONDS)


def start_prometheus(cluster: Cluster) -> None:
    """Bring Prometheus back; return when it is ready and has scraped every node."""
    _scale_prometheus(cluster, 1)
    _wait_rolled_out(cluster, "prometheus")
    loads = SimulatedLoad(cluster).loads()
    _wait_for_nodes(cluster, {node for node, load in loads.items() if load["kind"] != "silent"})


def query(cluster: Cluster, expression: str) -> list[Point]:
    """The series of an instant query to the cluster's Prometheus."""
    return points(_request(cluster, "GET", _proxy(_PROMETHEUS, query_path(expression))))


def workers(cluster: Cluster) -> list[SimulatedNode]:
    """The cluster's workers with the GPUs that they advertise (2 where they do not), nearly idle.

    Every other one spells the host name's label in the newer way.
    """
    listed = json.loads(kubectl(cluster.kubeconfig, "get", "nodes", "-o", "json"))["items"]
    found = [node for node in listed if _CONTROL_PLANE not in node["metadata"]["labels"]]
    spellings = ("Hostname", "hostname")
    return [
        SimulatedNode(node["metadata"]["name"], _gpus(node), Constant(0.1), spellings[index % 2])
        for index, node in enumerate(found)
    ]


def manifests(nodes: Sequence[SimulatedNode], scrape_interval: str) -> list[str]:
    """The manifests in the order of their application; JSON is YAML, too."""
    config = json.dumps({"nodes": [node.written() for node in nodes]}, indent=1)
    values = {
        "prometheus_image": reference("prometheus"),
        "simulator_image": reference("dcgm-simulator"),
        "scrape_interval": scrape_interval,
        "nodes_digest": hashlib.sha256(config.encode()).hexdigest()[:16],  # new nodes, new pod
    }
    metadata = {"name": "dcgm-simulator", "namespace": NAMESPACE}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"nodes.yaml": config},
    }
    prometheus, simulator = (
        Template((_MANIFESTS / f"{name}.yaml").read_text()).substitute(values)
        for name in ("prometheus", "dcgm-simulator")
    )
    return [prometheus, json.dumps(config_map), simulator]


def _gpus(node: dict[str, Any]) -> int:
    return int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0")) or 2


def _request(cluster: Cluster, method: str, path: str, body: Any = None) -> Any:
    with closing(Api(cluster.kubeconfig)) as api:
        return api.request(method, path, body)


def _proxy(service: str, path: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/services/{service}/proxy{path}"


def _scale_prometheus(cluster: Cluster, replicas: int) -> None:
    kubectl(cluster.kubeconfig, "-n", NAMESPACE, "scale", "deployment/prometheus", f"--replicas={replicas}")


def _wait_for_nodes(cluster: Cluster, names: set[str]) -> None:
    """Return when Prometheus holds series of every node in `names`."""

    def seen() -> set[str]:
        try:
            found = query(cluster, "count by (Hostname, hostname) (DCGM_FI_DEV_GPU_UTIL)")
        except ApiError as error:
            if error.code == 503:  # ready, but the Service's endpoints do not say so yet
                return set()
            raise
        return {name for point in found for name in point.labels.values()}

    wait_until(f"series of {', '.join(sorted(names))}", lambda: names <= seen())


def _wait_rolled_out(cluster: Cluster, name: str) -> None:
    rollout = ("rollout", "status", f"deployment/{name}", f"--timeout={_ROLLOUT_SECONDS:.0f}s")
    try:
        kubectl(cluster.kubeconfig, "-n", NAMESPACE, *rollout, seconds=_ROLLOUT_SECONDS + 30)
    except KubectlError as error:
        raise StepFailed(f"{error}\n{_about(cluster, name)}") from error


def _about(cluster: Cluster, name: str) -> str:
    """What there is to know about a Deployment that does not become ready: pods, newest events, log."""
    told = []
    for question in (
        ("get", "pods", "--output=wide"),
        ("get", "events", "--sort-by=.metadata.creationTimestamp"),
        ("logs", f"deployment/{name}", "--tail=10"),
    ):
        try:
            answer = kubectl(cluster.kubeconfig, "-n", NAMESPACE, *question)
        except KubectlError as error:
            answer = str(error)
        told += [
            f"kubectl -n {NAMESPACE} {' '.join(question)}",
            *(f"    {line}" for line in answer.splitlines()[-10:]),
        ]
    return "\n".join(told)
