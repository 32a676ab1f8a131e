"""status of a TrainingJob: what the operator writes, with field owner `loadstar` but for what is
reported of the training. Decimals are text, times are UTC."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from loadstar.api.progress import Curves, TrainerStatus
from loadstar.api.result import Result
from loadstar.api.schema import DecimalString, MicroTime, Time, Whole, Wire, atomic, storable

Phase = Literal["Pending", "Queued", "Starting", "Running", "Restarting", "Suspended", "Succeeded", "Failed"]
ConditionType = Literal[
    "Accepted", "Placed", "Running", "Succeeded", "Failed", "Suspended", "MetricsAvailable"
]
ConditionStatus = Literal["True", "False", "Unknown"]

Reason = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
]
Message = Annotated[str, Field(max_length=4096)]
Name = Annotated[str, Field(min_length=1, max_length=253)]
Count = Annotated[Whole, Field(ge=0), AfterValidator(storable)]
Position = Annotated[Whole, Field(ge=1), AfterValidator(storable)]
MOST_NODES = 1024
NAMES_SHOWN = 3


class Condition(Wire):
    """One statement about the job, in the shape that all of Kubernetes uses (metav1.Condition)."""

    type: ConditionType = Field(description="What the statement is about.")
    status: ConditionStatus = Field(description="Whether it holds: True, False, or Unknown.")
    observed_generation: Count | None = Field(
        None, description="metadata.generation of the job that the statement was made for."
    )
    last_transition_time: Time = Field(description="When status last changed.")
    reason: Reason = Field(description="Why, as one word for programs.")
    message: Message = Field(description="Why, as a sentence for people.")


class Restarts(Wire):
    """How often the job was started again."""

    counted: Count = Field(
        0, description="Restarts after failures of the job itself; runPolicy.backoffLimit bounds them."
    )
    infrastructure: Count = Field(
        0, description="Restarts after faults that are not the job's, such as a lost node; not bounded."
    )


class Queue(Wire):
    """Where a waiting job stands."""

    position: Position = Field(description="Place in the queue; 1 is next.")
    estimated_start_time: Time | None = Field(
        None,
        description="When its pods are expected to run, by how long others last and pods take to start.",
    )


class Judged(Wire):
    """A node with the numbers that it was judged by."""

    name: Name = Field(description="Name of the node.")
    load: DecimalString | None = Field(
        None, description="Load at the decision, 0 to 1; absent if it wasn't known."
    )
    forecast: DecimalString | None = Field(
        None, description="Load forecast for the horizon, 0 to 1, without this job; absent if there was none."
    )
    band: DecimalString | None = Field(None, description="Half width of the forecast's uncertainty band.")
    score: DecimalString | None = Field(None, description="Sum of the terms; the highest score wins.")
    terms: Annotated[dict[str, DecimalString], Field(max_length=16)] = Field(
        default_factory=dict, description="What the score is made of, by name."
    )


class PlacedNode(Judged):
    """One node of a placement, with the numbers that it was chosen by."""

    ranks: Annotated[tuple[Count, ...], Field(max_length=MOST_NODES)] = Field(
        description="Pods of the job on this node, by their rank.", json_schema_extra=atomic()
    )
    gpus: Count = Field(
        description="GPUs of this node that the job takes; parts of GPUs, where gpuResource names one."
    )


class Alternative(Judged):
    """A node that could have been used and was not chosen."""


class Hindsight(Wire):
    """What became of the forecasts that the job was placed by. Where there are several nodes, these are means."""

    horizon_reached_at: MicroTime = Field(
        description="When the time for which the load had been forecast was reached."
    )
    load: DecimalString = Field(description="Load then, 0 to 1, with this job.")
    error: DecimalString = Field(
        description="What had been forecast for then, with this job's expected use, less the load."
    )
    persistence_error: DecimalString = Field(
        description="The same of a forecast that the load at the decision would not change."
    )
    within_band: DecimalString = Field(
        description="Share of the nodes whose load came within the forecast's band, 0 to 1."
    )
    regret: DecimalString = Field(
        description="By how much the load would have been lower on the best of the alternatives; 0 if on none."
    )
    use: Annotated[dict[str, DecimalString], Field(max_length=16)] = Field(
        default_factory=dict,
        description="What each pod was seen to use of what it requests, by signal, as far as its nodes' load tells.",
    )
    lag_seconds: Count | None = Field(
        None, description="Seconds from the decision until the job's load showed, if that could be seen."
    )


class Rejected(Wire):
    """Nodes that could not be used, for one reason."""

    reason: Reason = Field(description="Why, as one word for programs.")
    nodes: Count = Field(description="How many nodes were rejected for it.")
    example: Message = Field(description="One of them.")


class Placement(Wire):
    """Where the job runs, and why there."""

    policy: str = Field(max_length=32, description="The policy that decided.")
    decided_at: MicroTime = Field(description="When it was decided.")
    horizon_seconds: Count = Field(description="How far ahead, in seconds, the load was forecast.")
    score: DecimalString | None = Field(None, description="Score of the whole placement.")
    node_summary: str | None = Field(
        None, max_length=1024, description="The nodes' names in one line; the first few if they are many."
    )
    nodes: Annotated[tuple[PlacedNode, ...], Field(max_length=MOST_NODES)] = Field(
        (), description="The nodes chosen, each with its pods and numbers.", json_schema_extra=atomic()
    )
    rejected: Annotated[tuple[Rejected, ...], Field(max_length=32)] = Field(
        (), description="The nodes that could not be used, counted by reason.", json_schema_extra=atomic()
    )
    alternatives: Annotated[tuple[Alternative, ...], Field(max_length=16)] = Field(
        (), description="The best nodes that were not chosen, best first.", json_schema_extra=atomic()
    )
    hindsight: Hindsight | None = Field(
        None, description="How right the forecast was; absent until the horizon has passed."
    )


class LastFailure(Wire):
    """The last attempt that failed: where and how."""

    attempt: Count = Field(description="Number of the attempt.")
    rank: Count | None = Field(None, description="Rank of the pod that failed first.")
    node: Name | None = Field(None, description="Node it ran on.")
    exit_code: Annotated[Whole, AfterValidator(storable)] | None = Field(
        None, description="Exit code of its container; absent if it never ran."
    )
    finished_at: MicroTime | None = Field(None, description="When it failed.")
    reason: Reason = Field(description="Why, as one word for programs.")
    message: Message = Field("", description="Why, as a sentence for people.")


class TrainingJobStatus(Wire):
    """What has become of the job. Written by the operator alone."""

    observed_generation: Count | None = Field(
        None, description="metadata.generation of the job that this status was made for."
    )
    phase: Phase | None = Field(
        None, description="Where the job stands, in one word for people. Programs should read the conditions."
    )
    reason: Reason | None = Field(None, description="Why the job is in this phase, in one word.")
    message: Message | None = Field(None, description="Why the job is in this phase, in a sentence.")
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = Field(
        (),
        description="Statements about the job, one per type: Accepted (it can run as written), Placed (nodes are "
        "chosen for all its pods), Running (all pods run), Succeeded, Failed, Suspended, MetricsAvailable (load "
        "figures were at hand for the placement).",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    start_time: Time | None = Field(None, description="When the first attempt started.")
    completion_time: Time | None = Field(None, description="When the job succeeded or failed for good.")
    attempt: Count | None = Field(
        None, description="Number of the current attempt, from 1. Its pods are named <job>-<attempt>-<rank>."
    )
    gpus: Count | None = Field(
        None,
        description="GPUs of the whole job: trainer.numNodes times those per node. Parts of GPUs, where gpuResource "
        "names one.",
    )
    gpu_resource: Name | None = Field(
        None,
        description="The part of a GPU that gpus counts, such as nvidia.com/mig-1g.10gb; absent for whole GPUs.",
    )
    restarts: Restarts | None = Field(None, description="How often the job was started again.")
    queue: Queue | None = Field(None, description="Where the job stands while it waits for nodes.")
    placement: Placement | None = Field(None, description="Where the job runs, and why there.")
    accuracy: DecimalString | None = Field(
        None, description="Share of test rows classified rightly, 0 to 1; absent for regression."
    )
    result: Result | None = Field(None, description="What the finished job achieved.")
    trainer_status: TrainerStatus | None = Field(
        None,
        description="What the program of the current attempt reported last, in Kubeflow Trainer's shape.",
    )
    curves: Curves | None = Field(
        None, description="The course of the reported metrics over the current attempt."
    )
    last_failure: LastFailure | None = Field(None, description="The last attempt that failed: where and how.")

    def wire(self) -> dict[str, Any]:
        """The status as JSON values for a server-side apply: what is None or empty by default is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def node_summary(names: tuple[str, ...]) -> str:
    """The names in one short line for a column of `kubectl get`, which can't join a list: `a,b,c,+2`."""
    more = len(names) - NAMES_SHOWN
    return ",".join((*names[:NAMES_SHOWN], f"+{more}") if more > 0 else names)
