"""spec.trainer.resourcesPerNode of a TrainingJob: what each pod asks of its node, by Kubernetes' names of resources.

On the wire it is a map, as in a pod's spec, whose rules judge the keys, too. Of an object with a field for each name,
the API server would drop a name that it does not know, unless the client asks for strict validation; then a job
whose part of a GPU is misspelt would take a whole one.
"""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from loadstar.api.labels import GPU_RESOURCE
from loadstar.api.quantities import byte_count, devices, millicores
from loadstar.api.schema import VALIDATIONS, Rule, Wire
from loadstar.core.devices import SHARED, VENDOR

MOST_GPUS: Final = 64
SHARED_GPU: Final = GPU_RESOURCE + SHARED
_MIG: Final = "^nvidia[.]com/mig-[1-9][0-9]?g[.][1-9][0-9]{0,2}gb([.]me([.]all)?|[.]gfx|-me)?([.]shared)?$"
"""MIG instances as NVIDIA's device plugin names them: the profile, its + written as a dot, and .shared for replicas."""
_MOST_NAMES: Final = 8

_MEANINGS: Final = {
    "cpu": "CPU that each pod is guaranteed, such as 500m or 2. It may use more when its node has some to spare. Left "
    "out, none is reserved.",
    "memory": "Memory that each pod is guaranteed and limited to, such as 512Mi or 4Gi; a pod that needs more is "
    "killed. Half of it may be shared memory (/dev/shm). Left out, none is reserved and there is no limit.",
    GPU_RESOURCE: f"Whole GPUs that each pod gets, from 0 to {MOST_GPUS}. 0 trains on the CPU. Left out, it is 1, or 0 "
    "where a part of a GPU is asked for.",
    SHARED_GPU: "One replica of a GPU that its pods share in turns, where nodes offer replicas under this name: 1.",
    "nvidia.com/mig-<g>g.<gb>gb": "One MIG instance of this profile, such as nvidia.com/mig-1g.10gb; .me, .me.all, "
    ".gfx or -me may follow, and .shared for a replica of one: 1.",
}
DESCRIPTION: Final = "\n".join(
    (
        "What each pod asks for, by the name of the resource. Placement counts it against what nodes have free.",
        *(f"- {name}: {meaning}" for name, meaning in _MEANINGS.items()),
    )
)
"""A map has no fields to describe: what can be in it is told in the description of all of it."""


_QUANTITY: Final[dict[str, Any]] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "maxLength": 64,
    "x-kubernetes-int-or-string": True,
}


def _above_zero(quantity: str) -> str:
    """CEL: whether the int-or-string of this expression is a quantity above zero."""
    return f"isQuantity(string({quantity})) && quantity(string({quantity})).isGreaterThan(quantity('0'))"


def _checked_memory(value: int | str) -> str:
    """The quantity as text. Raises InvalidQuantity where it is no amount of memory."""
    byte_count(value)
    return str(value)


def _checked_cpu(value: int | str) -> str:
    millicores(value)
    return str(value)


def _checked_gpus(value: int | str) -> int:
    return devices(value)


_NEEDS_MEMORY: Final = "memory must be a quantity above zero such as 512Mi or 4Gi"

_Cpu = Annotated[str, BeforeValidator(_checked_cpu)]
Memory = Annotated[
    str,
    BeforeValidator(_checked_memory),
    WithJsonSchema({**_QUANTITY, VALIDATIONS: [{"rule": _above_zero("self"), "message": _NEEDS_MEMORY}]}),
]
"""An amount of memory as a field of its own."""
_Gpus = Annotated[int, BeforeValidator(_checked_gpus), Field(ge=0, le=MOST_GPUS)]


def _is_part(name: str) -> bool:
    """Whether jobs can ask for a resource of this name as a part of a GPU."""
    return name == SHARED_GPU or re.fullmatch(_MIG, name) is not None


def _given(name: str, condition: str) -> str:
    """CEL: the condition, where a quantity of this name is given."""
    return f"!('{name}' in self) || {condition}"


_OF_VALUES: Final = (
    {
        "rule": _given("cpu", _above_zero("self['cpu']")),
        "message": "cpu must be a quantity above zero such as 500m or 2",
    },
    {"rule": _given("memory", _above_zero("self['memory']")), "message": _NEEDS_MEMORY},
    {
        "rule": _given(
            GPU_RESOURCE,
            f"(string(self['{GPU_RESOURCE}']).matches('^(0|[1-9][0-9]?)$') && "
            f"int(string(self['{GPU_RESOURCE}'])) <= {MOST_GPUS})",
        ),
        "message": f"{GPU_RESOURCE} counts whole devices per node: write a number from 0 to {MOST_GPUS}",
    },
)
"""What the types of the fields say, for the API server."""
_IS_PART = f"(name == '{SHARED_GPU}' || name.matches('{_MIG}'))"


class ResourcesPerNode(Wire):
    """What each pod asks for. Names that are no field are parts of GPUs."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int | str] = Field(init=False)

    cpu: _Cpu | None = None
    memory: Memory | None = None
    gpus: _Gpus | None = Field(None, alias=GPU_RESOURCE)

    RULES = (
        Rule(
            f"self.all(name, name in ['cpu', 'memory', '{GPU_RESOURCE}'] || {_IS_PART})",
            lambda r: all(_is_part(name) for name in r.parts),
            f"what can be asked for is cpu, memory, {GPU_RESOURCE}, {SHARED_GPU}, and MIG instances by their profile, "
            "such as nvidia.com/mig-1g.10gb or nvidia.com/mig-1g.10gb.me: correct the name or remove it",
        ),
        Rule(
            f"self.all(name, !{_IS_PART} || string(self[name]) == '1')",
            lambda r: all(str(count) == "1" for count in r.parts.values()),
            "a process can use one part of a GPU only, and runs on one node: ask for 1 of it, and for more parts with "
            "trainer.numNodes",
        ),
        Rule(
            f"self.filter(name, name.startsWith('{VENDOR}') && string(self[name]) != '0').size() <= 1",
            lambda r: len(r.parts) + bool(r.gpus) <= 1,
            f"a pod can use one kind of GPU only: ask for {GPU_RESOURCE} or for one part of a GPU, and remove the "
            "others",
        ),
    )

    @property
    def parts(self) -> dict[str, int | str]:
        """The names that are no field, with what is asked of them; once the rules are kept, at most one: 1."""
        return self.__pydantic_extra__

    @property
    def part(self) -> str | None:
        """The part of a GPU that each pod gets; None where it gets whole ones, or none at all."""
        return next(iter(self.parts), None)

    @property
    def whole_gpus(self) -> int:
        """Whole GPUs that each pod gets, the default filled in."""
        return self.gpus if self.gpus is not None else int(self.part is None)

    @property
    def processes(self) -> int:
        """How many processes of a pod can have a GPU, or the part of one, to themselves; 1 on the CPU."""
        return max(1, self.whole_gpus)

    @property
    def gpu_requests(self) -> dict[str, int]:
        """GPUs or the part of one that each pod gets, by the resource's name."""
        whole = {GPU_RESOURCE: self.whole_gpus} if self.whole_gpus else {}
        return {self.part: 1} if self.part else whole

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "object",
            "additionalProperties": dict(_QUANTITY),
            "maxProperties": _MOST_NAMES,
            VALIDATIONS: [*(rule.schema() for rule in cls.RULES), *_OF_VALUES],
        }


def processes(resources: str) -> str:
    """ResourcesPerNode.processes in CEL, where `resources` is the expression for a ResourcesPerNode."""
    return f"({_has_gpus(resources)} ? int({_gpus(resources)}) : 1)"


def on_cpu(resources: str) -> str:
    """CEL: whether neither GPUs nor a part of one are asked for."""
    others = f"{resources}.exists(name, name.startsWith('{VENDOR}') && name != '{GPU_RESOURCE}')"
    return f"('{GPU_RESOURCE}' in {resources} && !{_has_gpus(resources)} && !{others})"


def _has_gpus(resources: str) -> str:
    """False too where they are left out, and where the quantity is no number: the map's own rule reports that."""
    return f"('{GPU_RESOURCE}' in {resources} && {_gpus(resources)}.matches('^[1-9][0-9]?$'))"


def _gpus(resources: str) -> str:
    return f"string({resources}['{GPU_RESOURCE}'])"
