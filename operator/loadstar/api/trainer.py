"""spec.trainer of a TrainingJob: its pods and what each asks of its node."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from loadstar.api.container import EnvVar, LogMetricsSpec, Volume
from loadstar.api.labels import GPU_RESOURCE
from loadstar.api.quantities import byte_count, devices, millicores
from loadstar.api.schema import VALIDATIONS, Rule, Strict, atomic, different, only_with
from loadstar.api.tolerations import TolerationSpec

MOST_GPUS = 64
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


def _quantity_schema(rule: str, message: str) -> dict[str, Any]:
    """An int-or-string; `rule` judges `self`, which CEL sees as either of the two."""
    return {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 64,
        "x-kubernetes-int-or-string": True,
        VALIDATIONS: [{"rule": rule, "message": message}],
    }


def _checked_cpu(value: int | str) -> str:
    millicores(value)
    return str(value)


def _checked_memory(value: int | str) -> str:
    byte_count(value)
    return str(value)


def _checked_gpus(value: int | str) -> int:
    return devices(value)


_ABOVE_ZERO = "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))"

Cpu = Annotated[
    str,
    BeforeValidator(_checked_cpu),
    WithJsonSchema(_quantity_schema(_ABOVE_ZERO, "cpu must be a quantity above zero such as 500m or 2")),
]
Memory = Annotated[
    str,
    BeforeValidator(_checked_memory),
    WithJsonSchema(
        _quantity_schema(_ABOVE_ZERO, "memory must be a quantity above zero such as 512Mi or 4Gi")
    ),
]
Gpus = Annotated[
    int,
    BeforeValidator(_checked_gpus),
    Field(ge=0, le=MOST_GPUS),
    WithJsonSchema(
        _quantity_schema(
            f"string(self).matches('^(0|[1-9][0-9]?)$') && int(string(self)) <= {MOST_GPUS}",
            f"{GPU_RESOURCE} counts whole devices per node: write a number from 0 to {MOST_GPUS}",
        )
    ),
]


class ResourcesPerNode(Strict):
    """What each pod asks for."""

    cpu: Cpu | None = Field(
        None,
        description="CPU that each pod is guaranteed, such as 500m or 2. It may use more when its node has some to "
        "spare. Left out, none is reserved.",
    )
    memory: Memory | None = Field(
        None,
        description="Memory that each pod is guaranteed and limited to, such as 512Mi or 4Gi; a pod that needs more is "
        "killed. Half of it may be shared memory (/dev/shm). Left out, none is reserved and there is no limit.",
    )
    gpus: Gpus = Field(
        1,
        alias=GPU_RESOURCE,
        description="Whole GPUs that each pod gets. 0 trains on the CPU.",
    )


def _gpus(trainer: str) -> str:
    """GPUs per node as text, in CEL, where `trainer` is the expression for a TrainerSpec."""
    return f"string({trainer}.resourcesPerNode.nvidia__dot__com__slash__gpu)"


def _has_gpus(trainer: str) -> str:
    """False too where the quantity is no number: the field's own rule reports that."""
    return f"{_gpus(trainer)}.matches('^[1-9][0-9]?$')"


def processes_per_node(trainer: str) -> str:
    """TrainerSpec.processes_per_node in CEL."""
    default = f"{_has_gpus(trainer)} ? int({_gpus(trainer)}) : 1"
    return f"(has({trainer}.numProcPerNode) ? {trainer}.numProcPerNode : {default})"


IS_OWN_PROGRAM = "(has({0}.command) || has({0}.args))"
"""TrainerSpec.is_own_program in CEL, to be formatted with the expression for a TrainerSpec."""


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
        "always tolerated by pods that ask for GPUs.",
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
        le=64,
        description="Training processes in each pod, one GPU each. Left out, it is the number of GPUs per node, and 1 "
        "without GPUs.",
    )
    resources_per_node: ResourcesPerNode = Field(
        ResourcesPerNode(),
        description="What each pod asks for. Placement counts it against what nodes have free.",
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
            f"!has(self.numProcPerNode) || !{_has_gpus('self')} || self.numProcPerNode <= int({_gpus('self')})",
            lambda t: (
                t.num_proc_per_node is None
                or t.resources_per_node.gpus == 0
                or t.num_proc_per_node <= t.resources_per_node.gpus
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
        return self.num_proc_per_node or max(1, self.resources_per_node.gpus)

    @property
    def world_size(self) -> int:
        """Training processes of the whole job."""
        return self.num_nodes * self.processes_per_node
