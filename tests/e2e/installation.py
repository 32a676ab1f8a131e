"""The operator in a cluster, from the chart."""

import json
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.gotools import tool
from tests.cluster.kind_fixtures import FullCluster

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "loadstar"
NAMESPACE = "loadstar-system"
PROMETHEUS = "http://prometheus.monitoring.svc:9090"

QUICK = {
    "prometheus.url": PROMETHEUS,
    "prometheus.scrapeIntervalSeconds": "5",
    "load.metricsIntervalSeconds": "2",
    "resyncSeconds": "10",
}
"""The test cluster scrapes every 5 s, so the operator may ask as often."""


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

    def pod(self) -> str:
        """The name of the operator's running pod."""
        selector = "--selector=app.kubernetes.io/name=loadstar"
        field = "--field-selector=status.phase=Running"
        listed = self.cluster.kubectl("-n", NAMESPACE, "get", "pods", selector, field, "--output=json")
        names = [item["metadata"]["name"] for item in json.loads(listed)["items"]]
        assert names, "no pod of the operator is running"
        return str(names[0])

    def restarts(self) -> int:
        """How often the operator's container was started again."""
        listed = self.cluster.kubectl("-n", NAMESPACE, "get", "pod", self.pod(), "--output=json")
        return int(json.loads(listed)["status"]["containerStatuses"][0]["restartCount"])

    def forecasts(self) -> dict[str, float]:
        """Each node's load as the operator expects it at the default horizon, from its own metrics."""
        page = f"/api/v1/namespaces/{NAMESPACE}/pods/{self.pod()}:8080/proxy/metrics"
        families = text_string_to_metric_families(self.cluster.kubectl("get", "--raw", page))
        samples = (sample for family in families for sample in family.samples)
        return {it.labels["node"]: it.value for it in samples if it.name == "loadstar_node_forecast"}

    def log(self) -> str:
        """The operator's log, for a failure's message."""
        return self.cluster.kubectl("-n", NAMESPACE, "logs", "deployment/loadstar", "--tail=50")
