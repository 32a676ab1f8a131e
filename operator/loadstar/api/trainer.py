"""spec.trainer of a TrainingJob: its pods and what each asks of its node."""

from typing import Annotated

from pydantic import AfterValidator, Field

from loadstar.api.container import EnvVar, LogMetricsSpec, Volume
from loadstar.api.labels import GPU_RESOURCE
from loadstar.api.resources import DESCRIPTION, ResourcesPerNode, on_cpu, processes
from loadstar.api.schema import Rule, Strict, atomic, different, only_with
from loadstar.api.tolerations import TolerationSpec

MOST_PROCESSES = 64
Word = Annotated[str, Field(max_length=32768)]
Words = Annotated[tuple[Word, ...], Field(min_length=1, max_length=256)]


def _different_names(variables: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    different(tuple(variable.name for variable in variables))
    return variables


def _different_folders(volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    different(tuple(volume.mount_path for volume in volumes))
    return volumes


EnvVars = Annotated[tuple[EnvVar, ...], Field(max_length=128), AfterValidator(_different_names)]
Tolerations = Annotated[tuple[TolerationSpec, ...], Field(max_length=32)]
Volumes = Annotated[tuple[Volume, ...], Field(max_length=32), AfterValidator(_different_folders)]


def processes_per_node(trainer: str) -> str:
    """TrainerSpec.processes_per_node in CEL, where `trainer` is the expression for a TrainerSpec."""
    default = processes(f"{trainer}.resourcesPerNode")
    return f"(has({trainer}.numProcPerNode) ? {trainer}.numProcPerNode : {default})"


IS_OWN_PROGRAM = "(has({0}.command) || has({0}.args))"
"""TrainerSpec.is_own_program in CEL, to be formatted with the expression for a TrainerSpec."""


_ASKED = "self.resourcesPerNode"


class TrainerSpec(Strict):
    """The pods that train: one per node, all of them placed together or none."""

    image: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="Container image of the trainer; the one that the operator is configured with if left out.",
    )
    command: Words | None = Field(
        None,
        description="One's own program instead of the image's, such as [torchrun, train.py]: model and dataset are "
        "then left out. Each pod runs it once, with the variables that torchrun reads (PET_*) and those of an env:// "
        "script (MASTER_ADDR, MASTER_PORT, WORLD_SIZE, RANK).",
        json_schema_extra=atomic(),
    )
    args: Words | None = Field(
        None,
        description="Arguments of command, or of the image's own program: model and dataset are then left out. $(NAME) "
        "stands for a variable of the environment, such as $(LOADSTAR_CHECKPOINT_PATH).",
        json_schema_extra=atomic(),
    )
    env: EnvVars | None = Field(
        None,
        description="Environment variables, besides those that tell a process its rank.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    volumes: Volumes | None = Field(
        None,
        description="Claims, ConfigMaps and Secrets of the job's namespace that every pod mounts.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["mountPath"]},
    )
    log_metrics: LogMetricsSpec | None = Field(
        None,
        description="How metrics are found in the last lines that rank 0 of one's own program printed, where it left "
        "no record. Left out, name=value and lines that are JSON objects are read.",
    )
    termination_grace_period_seconds: int = Field(
        60,
        ge=30,
        le=3600,
        description="Seconds from the request to end (SIGTERM) until a pod is killed: time to write a checkpoint.",
    )
    tolerations: Tolerations | None = Field(
        None,
        description="Taints of nodes that don't keep the pods away, as in a pod's spec. The taint nvidia.com/gpu is "
        "always tolerated by pods that ask for GPUs or parts of them.",
        json_schema_extra=atomic(),
    )
    num_nodes: int = Field(
        1,
        ge=1,
        le=1024,
        description="Pods of the job, each with resourcesPerNode. They start together or not at all.",
    )
    num_proc_per_node: int | None = Field(
        None,
        ge=1,
        le=MOST_PROCESSES,
        description="Training processes in each pod, one GPU each. Left out, it is the number of GPUs per node, and 1 "
        "without GPUs or with a part of one.",
    )
    resources_per_node: ResourcesPerNode = Field(
        ResourcesPerNode(gpus=1),
        description=DESCRIPTION,
        json_schema_extra={"default": {GPU_RESOURCE: 1}},
    )

    RULES = (
        Rule(
            "!has(self.image) || !self.image.matches('[\\\\s]')",
            lambda t: t.image is None or not any(letter.isspace() for letter in t.image),
            "image is one image reference without spaces, such as registry.example.com/trainer:1.0",
            ".image",
        ),
        only_with(
            "logMetrics",
            IS_OWN_PROGRAM.format("self"),
            lambda t: t.is_own_program,
            "Loadstar's trainer leaves a record, its log is not read: remove logMetrics, or give one's own program as "
            "command or args",
        ),
        Rule(
            f"!has(self.numProcPerNode) || {on_cpu(_ASKED)} || self.numProcPerNode <= {processes(_ASKED)}",
            lambda t: (
                t.num_proc_per_node is None
                or not t.resources_per_node.gpu_requests
                or t.num_proc_per_node <= t.resources_per_node.processes
            ),
            "each process needs a GPU of its own: lower numProcPerNode, raise resourcesPerNode[nvidia.com/gpu], "
            "or set that to 0 to train on the CPU",
            ".numProcPerNode",
        ),
    )

    @property
    def is_own_program(self) -> bool:
        """Whether something else runs than Loadstar's trainer."""
        return self.command is not None or self.args is not None

    @property
    def processes_per_node(self) -> int:
        """Training processes in each pod, the default filled in."""
        return self.num_proc_per_node or self.resources_per_node.processes

    @property
    def world_size(self) -> int:
        """Training processes of the whole job."""
        return self.num_nodes * self.processes_per_node
