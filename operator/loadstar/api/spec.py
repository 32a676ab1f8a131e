"""spec of a TrainingJob: what a user asks for.

Descriptions are what `kubectl explain` prints; the message of a rule says what to change.
"""

from pydantic import Field

from loadstar.api.checkpoint import CheckpointSpec, ExportSpec
from loadstar.api.dataset import DatasetSpec
from loadstar.api.evaluation import EvaluationSpec, GoalSpec
from loadstar.api.fit import FIT_RULES, PROGRAM_RULES
from loadstar.api.locations import location_of
from loadstar.api.model import ModelSpec
from loadstar.api.scheduling import RunPolicy, SchedulingSpec
from loadstar.api.schema import Strict, immutable
from loadstar.api.trainer import TrainerSpec
from loadstar.api.training import TrainingSpec


class TrainingJobSpec(Strict):
    """What to train, on what, and where."""

    model: ModelSpec | None = Field(
        None,
        description="The network to train. Needed, except for one's own program.",
        json_schema_extra=immutable("model"),
    )
    dataset: DatasetSpec | None = Field(
        None,
        description="The data to train on, and how it is prepared. Needed, except for one's own program.",
        json_schema_extra=immutable("dataset"),
    )
    training: TrainingSpec | None = Field(
        None,
        description="How the network is trained; its defaults hold if left out.",
        json_schema_extra=immutable("training"),
    )
    evaluation: EvaluationSpec | None = Field(
        None,
        description="What is measured at the end, and the goal that the result must reach. Left out, all metrics that "
        "fit the task are measured, and there is no goal.",
        json_schema_extra=immutable("evaluation"),
    )
    checkpoint: CheckpointSpec | None = Field(
        None,
        description="Where the state of training is kept, so that another attempt goes on from there. Left out, each "
        "attempt starts from the beginning.",
        json_schema_extra=immutable("checkpoint"),
    )
    export: ExportSpec | None = Field(
        None,
        description="Where the trained network is written to, and how. Left out, it is not kept.",
        json_schema_extra=immutable("export"),
    )
    trainer: TrainerSpec = Field(
        TrainerSpec(),
        description="The pods that train: how many, with what, from which image; or one's own program.",
        json_schema_extra=immutable("trainer"),
    )
    scheduling: SchedulingSpec = Field(
        SchedulingSpec(),
        description="How the nodes for the pods are chosen.",
        json_schema_extra=immutable("scheduling"),
    )
    run_policy: RunPolicy = Field(
        RunPolicy(), description="When the job is tried again, given up, and cleaned away."
    )
    suspend: bool = Field(
        False,
        description="True ends the job's pods and gives their GPUs back, or keeps a new job from starting; "
        "false lets it go on with a new attempt. May be changed while the job exists.",
    )

    FIXED = ("model", "dataset", "training", "evaluation", "checkpoint", "export")
    RULES = (*PROGRAM_RULES, *FIT_RULES)

    @property
    def claims(self) -> tuple[str, ...]:
        """The PersistentVolumeClaims that the pods mount, each once, by name."""
        weights = self.model.initial_weights if self.model else None
        named = (self.dataset, self.checkpoint, self.export, weights)
        places = [location_of(part.uri) for part in named if part and part.uri]
        mounted = {volume.claim for volume in self.trainer.volumes or () if volume.claim}
        return tuple(sorted(mounted | {place.name for place in places if place.scheme == "pvc"}))

    @property
    def goal(self) -> GoalSpec | None:
        """What the result must reach, if anything."""
        return self.evaluation.goal if self.evaluation else None
