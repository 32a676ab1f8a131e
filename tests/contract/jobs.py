"""TrainingJobs as the API server hands them out, for tests of both sides of the wire."""

from typing import Any

from loadstar.api.convert import parse
from loadstar.api.labels import API_VERSION, KIND
from loadstar.api.v1alpha1 import TrainingJob
from tests.contract.refusals import IRIS, merged

UID = "0b6d7f3e-7c8a-4f57-9a43-0d8f8a1c2b3d"


def raw_job(name: str = "iris", **spec: Any) -> dict[str, Any]:
    """A TrainingJob's JSON; `spec` is laid over an mlp on iris."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": "research",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "17",
            "creationTimestamp": "2026-11-22T05:00:00Z",
        },
        "spec": merged(IRIS, spec),
    }


def job(name: str = "iris", **spec: Any) -> TrainingJob:
    """The same, typed."""
    return parse(raw_job(name, **spec))
