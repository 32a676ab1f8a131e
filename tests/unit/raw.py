"""Objects as the API server hands them out, for tests of the controller."""

from typing import Any

from tests.contract.jobs import UID, raw_job

Json = dict[str, Any]

KEY = ("research", "iris")
OWNER = {
    "apiVersion": "loadstar.dev/v1alpha1",
    "kind": "TrainingJob",
    "name": "iris",
    "uid": UID,
    "controller": True,
}


def job(
    version: int = 17, *, uid: str = UID, generation: int = 1, status: Json | None = None, **spec: Any
) -> Json:
    """A TrainingJob at a version."""
    raw = raw_job("iris", **spec)
    raw["metadata"] |= {"uid": uid, "resourceVersion": str(version), "generation": generation}
    return {**raw, "status": status} if status else raw


def pod(
    rank: int = 0,
    version: int = 20,
    *,
    attempt: int = 1,
    uid: str = "",
    node: str | None = "node-a",
    phase: str = "Running",
    gpus: int = 1,
    owner: Json | None = OWNER,
) -> Json:
    """A pod of the job, or of nobody we know with `owner=None`."""
    name = f"iris-{attempt}-{rank}" if owner else f"other-{rank}"
    return {
        "metadata": {
            "name": name,
            "namespace": "research",
            "uid": uid or f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": {"loadstar.dev/attempt": str(attempt), "loadstar.dev/rank": str(rank)},
            "ownerReferences": [owner] if owner else [],
        },
        "spec": {
            **({"nodeName": node} if node else {}),
            "containers": [{"name": "trainer", "resources": {"requests": {"nvidia.com/gpu": str(gpus)}}}],
        },
        "status": {"phase": phase},
    }


def node(
    name: str = "node-a", version: int = 10, *, gpus: int = 8, ready: str = "True", since: str = ""
) -> Json:
    """A node of 64 cores."""
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": since or "2026-11-22T05:00:00Z"}
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(version)},
        "status": {
            "allocatable": {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)},
            "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": f"10.0.0.{len(name)}"}],
        },
    }
