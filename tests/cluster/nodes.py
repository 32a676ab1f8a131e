"""Fake GPU nodes as the API server stores them."""

from collections.abc import Mapping
from typing import Any

FAKE_NODE = "testbed.loadstar.dev/fake-node"
"""Annotation of the nodes (value "true") that kwok plays."""


def gpu_labels(gpus: int, product: str) -> dict[str, str]:
    """The labels that NVIDIA's GPU feature discovery puts on a node, as far as anything here reads them."""
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.memory": "81559",
    }


def fake_node(
    name: str, gpus: int, product: str = "Simulated-GPU", labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A Ready Node object with `gpus` devices, for kwok to keep alive."""
    resources = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110"}
    if gpus:
        resources["nvidia.com/gpu"] = str(gpus)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {FAKE_NODE: "true"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                **(gpu_labels(gpus, product) if gpus else {}),
                **(labels or {}),
            },
        },
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }
