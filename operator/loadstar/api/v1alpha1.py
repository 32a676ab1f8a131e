"""The TrainingJob of loadstar.dev/v1alpha1: the models that the CRD, its reference and its reader are made from."""

from typing import Literal

from pydantic import AwareDatetime, Field

from loadstar.api.dataset import DatasetSpec, SplitSpec, SyntheticSpec
from loadstar.api.model import ModelSpec
from loadstar.api.preprocess import PreprocessSpec
from loadstar.api.resources import ResourcesPerNode
from loadstar.api.result import Metric, Result
from loadstar.api.scheduling import RunPolicy, SchedulingSpec
from loadstar.api.schema import Rule, Wire
from loadstar.api.spec import TrainingJobSpec
from loadstar.api.status import (
    Condition,
    LastFailure,
    PlacedNode,
    Placement,
    Queue,
    Rejected,
    Restarts,
    TrainingJobStatus,
    node_summary,
)
from loadstar.api.trainer import TrainerSpec
from loadstar.api.training import TrainingSpec

LONGEST_NAME = 40
"""Leaves room for `-<attempt>-<rank>` in the 63 characters of a pod's hostname."""


class Metadata(Wire):
    """The part of metadata that the operator reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str | None = None
    creation_timestamp: AwareDatetime
    deletion_timestamp: AwareDatetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class TrainingJob(Wire):
    """TrainingJob trains one PyTorch model on GPU nodes that the operator chooses by their forecast load."""

    api_version: Literal["loadstar.dev/v1alpha1"] = "loadstar.dev/v1alpha1"
    kind: Literal["TrainingJob"] = "TrainingJob"
    metadata: Metadata
    spec: TrainingJobSpec = Field(description="What to train, on what data, and where.")
    status: TrainingJobStatus = Field(
        TrainingJobStatus(), description="What has become of the job. Written by the operator alone."
    )

    RULES = (
        Rule(
            f"size(self.metadata.name) <= {LONGEST_NAME} && "
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            lambda job: _is_name(job.metadata.name),
            f"metadata.name becomes part of pod names and host names: use at most {LONGEST_NAME} lower-case letters, "
            "digits and dashes, with a letter first and no dash last",
        ),
    )

    @property
    def key(self) -> str:
        """namespace/name, which names the job among all of the cluster at one time."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


def _is_name(name: str) -> bool:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return (
        0 < len(name) <= LONGEST_NAME
        and name[0] in letters
        and name[-1] != "-"
        and all(letter in letters + "0123456789-" for letter in name)
    )


__all__ = [
    "LONGEST_NAME",
    "Condition",
    "DatasetSpec",
    "LastFailure",
    "Metadata",
    "Metric",
    "ModelSpec",
    "PlacedNode",
    "Placement",
    "PreprocessSpec",
    "Queue",
    "Rejected",
    "ResourcesPerNode",
    "Restarts",
    "Result",
    "RunPolicy",
    "SchedulingSpec",
    "SplitSpec",
    "SyntheticSpec",
    "TrainerSpec",
    "TrainingJob",
    "TrainingJobSpec",
    "TrainingJobStatus",
    "TrainingSpec",
    "node_summary",
]
