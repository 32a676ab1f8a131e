"""Parts of spec.trainer that are about the container: its environment, its volumes, what it prints."""

import re
from typing import Annotated, Final

from pydantic import Field

from loadstar.api.printed import InvalidPattern, compiled
from loadstar.api.schema import Rule, Strict, atomic, only_with

ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Key = Annotated[str, Field(min_length=1, max_length=253)]
LogPattern = Annotated[str, Field(min_length=1, max_length=512)]

OWN_ENV: Final = (
    "^(LOADSTAR_.*|KUBEFLOW_TRAINER_SERVER_.*|PET_(NNODES|NPROC_PER_NODE|NODE_RANK|MASTER_ADDR|MASTER_PORT)"
    "|MASTER_ADDR|MASTER_PORT|WORLD_SIZE|RANK|LOCAL_RANK|LOCAL_WORLD_SIZE)$"
)
"""Variables that tell a process where it stands in its gang: nobody else may set them."""
OWN_PATHS: Final = (
    "^/((mnt|tmp|var|(mnt/dataset|mnt/checkpoint|mnt/export|mnt/initial-weights"
    "|var/run|dev|proc|sys)(/.*)?)/?)?$"
)
"""Where the pod's own volumes are mounted, what is above them, and the kernel's own folders."""


def _has_two_groups(pattern: str) -> bool:
    try:
        compiled(pattern)
    except InvalidPattern:
        return False
    return True


def _is_own_env(name: str) -> bool:
    return re.search(OWN_ENV, name) is not None


def _is_own_path(path: str) -> bool:
    return re.search(OWN_PATHS, path) is not None or ".." in path.split("/")


class KeyOfSecret(Strict):
    """One key of a Secret in the job's namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: Key = Field(description="Key in it.")
    optional: bool = Field(False, description="Whether the pods start without it.")


class KeyOfConfigMap(Strict):
    """One key of a ConfigMap in the job's namespace."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: Key = Field(description="Key in it.")
    optional: bool = Field(False, description="Whether the pods start without it.")


class EnvSource(Strict):
    """Where a variable's value comes from. The kubelet reads it; the operator never does."""

    secret_key_ref: KeyOfSecret | None = Field(
        None, description="A key of a Secret. One of secretKeyRef and configMapKeyRef is needed."
    )
    config_map_key_ref: KeyOfConfigMap | None = Field(
        None, description="A key of a ConfigMap. One of secretKeyRef and configMapKeyRef is needed."
    )

    RULES = (
        Rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            lambda s: (s.secret_key_ref is None) != (s.config_map_key_ref is None),
            "a value comes from one place: give one of secretKeyRef and configMapKeyRef",
        ),
    )


class EnvVar(Strict):
    """One environment variable of each pod's container."""

    name: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")] = Field(
        description="Name of the variable."
    )
    value: Annotated[str, Field(max_length=32768)] | None = Field(
        None,
        description="Its value; $(NAME) in it stands for another variable. One of value and valueFrom is needed.",
    )
    value_from: EnvSource | None = Field(
        None, description="Where its value comes from. One of value and valueFrom is needed."
    )

    RULES = (
        Rule(
            "has(self.value) != has(self.valueFrom)",
            lambda e: (e.value is None) != (e.value_from is None),
            "a variable has one value: give one of value and valueFrom",
        ),
        Rule(
            f"!self.name.matches('{OWN_ENV}')",
            lambda e: not _is_own_env(e.name),
            "the operator sets this variable, by which the processes find each other: choose another name",
            ".name",
        ),
    )


class Volume(Strict):
    """Files for the pods, from a claim, a ConfigMap or a Secret of the job's namespace."""

    claim: ObjectName | None = Field(
        None, description="A PersistentVolumeClaim. One of claim, configMap and secret is needed."
    )
    config_map: ObjectName | None = Field(None, description="A ConfigMap: each key is a file.")
    secret: ObjectName | None = Field(None, description="A Secret: each key is a file.")
    mount_path: Annotated[str, Field(min_length=2, max_length=512, pattern=r"^/[^:]*$")] = Field(
        description="Folder at which the pods find the files, such as /data."
    )
    sub_path: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        None, description="Folder or file of the volume that is mounted. Left out, all of it."
    )
    read_only: bool = Field(
        True, description="Whether the pods can only read. Only a claim can be written to."
    )

    RULES = (
        Rule(
            "[has(self.claim), has(self.configMap), has(self.secret)].filter(given, given).size() == 1",
            lambda v: sum(source is not None for source in (v.claim, v.config_map, v.secret)) == 1,
            "a volume comes from one place: give one of claim, configMap and secret",
        ),
        Rule(
            f"!self.mountPath.matches('{OWN_PATHS}') && !self.mountPath.matches('(^|/)\\\\.\\\\.(/|$)')",
            lambda v: not _is_own_path(v.mount_path),
            "the pod uses this folder itself, or the path leads upwards: choose another such as /data",
            ".mountPath",
        ),
        only_with(
            "subPath",
            "!self.subPath.matches('^/|(^|/)\\\\.\\\\.(/|$)')",
            lambda v: not v.sub_path.startswith("/") and ".." not in v.sub_path.split("/"),
            "subPath is inside of the volume: write it without / first and without ..",
        ),
        Rule(
            "self.readOnly || has(self.claim)",
            lambda v: v.read_only or v.claim is not None,
            "a ConfigMap or Secret can't be written to: remove readOnly, or name a claim",
            ".readOnly",
        ),
    )


_TWO_GROUPS = "pattern.matches('[(].*[(]')"
"""Roughly, in CEL, which can't count groups."""


class LogMetricsSpec(Strict):
    """How the metrics of one's own program are found in what it prints."""

    patterns: Annotated[tuple[LogPattern, ...], Field(min_length=1, max_length=16)] = Field(
        description="Regular expressions (RE2), each with two groups: the metric's name and its value, such as "
        r"(accuracy|loss): ([0-9.]+).",
        json_schema_extra=atomic(),
    )

    RULES = (
        Rule(
            # The condition is only there to be an error where the pattern is none.
            f"self.patterns.all(pattern, ''.matches(pattern) ? {_TWO_GROUPS} : {_TWO_GROUPS})",
            lambda m: all(_has_two_groups(pattern) for pattern in m.patterns),
            "each pattern is a regular expression with two groups in parentheses, the first for the name and the "
            "second for the value: write it as name=value is matched by ([a-z]+)=([0-9.]+)",
            ".patterns",
        ),
    )
