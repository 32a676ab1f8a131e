"""The operator in a cluster, from the chart."""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.cluster.api import ApiError
from tests.cluster.gotools import tool
from tests.cluster.kind_fixtures import FullCluster

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "loadstar"
NAMESPACE = "loadstar-system"
PROMETHEUS = "http://prometheus.monitoring.svc:9090"

WEIGHT = 3
"""Of the group `research` in fair sharing; all others have 1."""

QUICK = {
    "prometheus.url": PROMETHEUS,
    "prometheus.scrapeIntervalSeconds": "2",
    "load.metricsIntervalSeconds": "2",
    "resyncSeconds": "10",
    "queue.weights.research": str(WEIGHT),
    "queue.preemptionProtectedSeconds": "3",
}
"""The test cluster scrapes every 2 s, so the operator may ask as often; young jobs can be ended for others."""


class Installation:
    """One release of the chart."""

    def __init__(self, cluster: FullCluster) -> None:
        self.cluster = cluster

    def install(self, **values: str) -> None:
        """Install or upgrade the release and wait until the operator is ready."""
        settings = [f"--set={name}={value}" for name, value in (QUICK | values).items()]
        self.helm("upgrade", "loadstar", str(CHART), "--install", "--create-namespace", "--wait", *settings)

    def uninstall(self) -> None:
        """Uninstall the release and wait until its objects are gone."""
        self.helm("uninstall", "loadstar", "--wait")

    def remove_everything(self) -> None:
        """Uninstall the release, if it is there, and remove what an uninstall keeps: the CRD and the namespace."""
        self.helm("uninstall", "loadstar", "--wait", "--ignore-not-found")
        for kind, name in (("crd", "trainingjobs.loadstar.dev"), ("namespace", NAMESPACE)):
            self.cluster.kubectl("delete", kind, name, "--ignore-not-found", "--wait=true")

    def helm(self, *arguments: str) -> str:
        """Run helm on the cluster; what it prints."""
        command = [str(tool("helm")), "--kubeconfig", str(self.cluster.kubeconfig), "--namespace", NAMESPACE]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}{done.stdout}{self.log()}"
        return done.stdout

    def pods(self) -> list[dict[str, Any]]:
        """The operator's running pods; not one that an upgrade or a deletion is about to end."""
        selector = "?labelSelector=app.kubernetes.io/name%3Dloadstar&fieldSelector=status.phase%3DRunning"
        found = self.cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods{selector}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod(self) -> dict[str, Any]:
        """The operator's one running pod."""
        (pod,) = self.pods()
        return pod

    def restarts(self) -> int:
        """How often the operator's container was started again."""
        return int(self.pod()["status"]["containerStatuses"][0]["restartCount"])

    def forecasts(self) -> dict[str, float]:
        """Each node's load as the operator expects it at the default horizon, from its own metrics."""
        return {it.labels["node"]: it.value for it in self._metrics() if it.name == "loadstar_node_forecast"}

    def has_load(self) -> bool:
        """Whether the operator's last round of queries brought the GPU load of any node."""
        seen = {
            it.labels["signal"]: it.value for it in self._metrics() if it.name == "loadstar_metrics_nodes"
        }
        return seen.get("gpu", 0.0) > 0

    def _metrics(self) -> list[Sample]:
        """What the operator serves now; nothing while it starts or ends."""
        found: list[Sample] = []
        for pod in self.pods():
            page = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
            with suppress(ApiError):
                families = text_string_to_metric_families(self.cluster.api.get(page))
                found += [sample for family in families for sample in family.samples]
        return found

    def log(self) -> str:
        """The operator's log, for a failure's message."""
        return self.cluster.kubectl("-n", NAMESPACE, "logs", "deployment/loadstar", "--tail=50")
