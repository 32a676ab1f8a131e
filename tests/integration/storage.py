"""Volumes and claims on a control plane, which has no provisioner: each volume is kept for its claim."""

from typing import Any

from tests.cluster.controlplane import ControlPlane
from tests.waiting import until

CLAIM = "data"


def make_volume(cluster: ControlPlane, namespace: str, mode: str = "ReadWriteOnce", **term: Any) -> None:
    """A volume, named as the namespace, for its claim; `term` is the one of its node affinity, if any."""
    spec = {
        "accessModes": [mode],
        "capacity": {"storage": "1Mi"},
        "claimRef": {"namespace": namespace, "name": CLAIM},
        "hostPath": {"path": f"/{namespace}"},
        **({"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}} if term else {}),
    }
    cluster.api.post("/api/v1/persistentvolumes", {"metadata": {"name": namespace}, "spec": spec})


def make_claim(cluster: ControlPlane, namespace: str, mode: str = "ReadWriteOnce") -> None:
    """The claim of the namespace's volume, when it is bound."""
    spec = {
        "accessModes": [mode],
        "storageClassName": "",
        "volumeName": namespace,
        "resources": {"requests": {"storage": "1Mi"}},
    }
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    cluster.api.post(claims, {"metadata": {"name": CLAIM}, "spec": spec})
    until(lambda: cluster.api.get(f"{claims}/{CLAIM}")["status"]["phase"] == "Bound", "the claim is bound")
