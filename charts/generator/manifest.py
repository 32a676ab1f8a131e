"""manifests/install.yaml: the chart as `helm template` renders it, for clusters where Helm is not used."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

RELEASE = "loadstar"
NAMESPACE = "loadstar-system"
KUBERNETES = "1.36.3"
_HEAD = """\
# Loadstar without Helm: kubectl apply -f install.yaml
# Generated from charts/loadstar; do not edit. Make it again with: python -m charts.generator
# Placement by forecast needs Prometheus:
#   kubectl -n loadstar-system set env deployment/loadstar LOADSTAR_PROMETHEUS_URL=http://prometheus.monitoring.svc:9090
# Deleting what this file holds deletes the CRD, and with it all TrainingJobs.
"""
_HELM_LABEL = "helm.sh/chart"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_KEEP = "helm.sh/resource-policy"


def install_manifest(helm: Path, chart: Path) -> str:
    """The text of install.yaml: the namespace and everything of the chart with its default values.

    Raises subprocess.CalledProcessError where the chart does not render.
    """
    command = [str(helm), "template", RELEASE, str(chart), f"--namespace={NAMESPACE}", "--no-hooks"]
    command += [f"--kube-version={KUBERNETES}"]
    rendered = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    objects = [_without_helm(body) for body in yaml.safe_load_all(rendered) if body]
    documents = [_dump(body) for body in [_namespace(), *sorted(objects, key=_place)]]
    return _HEAD + "".join(f"---\n{document}" for document in documents)


def _namespace() -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "loadstar", "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def _place(body: dict[str, Any]) -> bool:
    """The CRD comes first; the rest stays in Helm's order of installation."""
    return str(body["kind"]) != "CustomResourceDefinition"


def _without_helm(body: dict[str, Any]) -> dict[str, Any]:
    """Without the marks by which Helm knows what it installed: here it did not."""
    metadata = body["metadata"]
    for mark in (_HELM_LABEL, _MANAGED_BY):
        metadata["labels"].pop(mark, None)
    metadata.get("annotations", {}).pop(_KEEP, None)
    if not metadata.get("annotations", True):
        del metadata["annotations"]
    return body


def _dump(body: dict[str, Any]) -> str:
    return yaml.safe_dump(body, sort_keys=False, width=120, allow_unicode=True)
