"""What the pod's environment says: whose job this is, and which rank this process is. Read here only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loadstar_trainer.failures import Refused

SPEC = "LOADSTAR_SPEC"
TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True)
class Identity:
    """The attempt that the final record speaks of; empty and 0 where no operator started the run."""

    job_uid: str
    attempt: int

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Identity":
        return cls(env.get("LOADSTAR_JOB_UID", ""), _whole(env, "LOADSTAR_ATTEMPT", 0, least=0))


NOBODY = Identity("", 0)


@dataclass(frozen=True)
class Ranks:
    """This process's place among all, as torchrun and our launcher state it; alone if nothing is stated."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Ranks":
        world_size = _whole(env, "WORLD_SIZE", 1, least=1)
        local_world_size = _whole(env, "LOCAL_WORLD_SIZE", 1, least=1)
        return cls(
            _whole(env, "RANK", 0, least=0, most=world_size - 1),
            world_size,
            _whole(env, "LOCAL_RANK", 0, least=0, most=local_world_size - 1),
            local_world_size,
        )


@dataclass(frozen=True)
class Pod:
    """One pod of the gang in torchrun's words: which of `nodes` pods it is, and how many ranks it runs.

    `grace` is how many seconds it has between SIGTERM and SIGKILL.
    """

    nodes: int
    node_rank: int
    processes: int
    master_address: str
    master_port: int
    grace: int = 60

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Pod":
        nodes = _whole(env, "PET_NNODES", 1, least=1)
        return cls(
            nodes,
            _whole(env, "PET_NODE_RANK", 0, least=0, most=nodes - 1),
            _whole(env, "PET_NPROC_PER_NODE", 1, least=1),
            env.get("PET_MASTER_ADDR", "localhost"),
            _whole(env, "PET_MASTER_PORT", 23456, least=1, most=65535),
            _whole(env, "LOADSTAR_GRACE_SECONDS", 60, least=1),
        )


def record_path(env: Mapping[str, str]) -> Path:
    """Where the kubelet picks up the final record."""
    return Path(env.get("LOADSTAR_TERMINATION_LOG", TERMINATION_LOG))


def _whole(env: Mapping[str, str], name: str, default: int, *, least: int, most: int | None = None) -> int:
    """A whole number from the environment; Refused where it is none or out of bounds."""
    text = env.get(name, "").strip() or str(default)
    bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise Refused("InvalidEnvironment", f"{name} is {text!r}; set it to a whole number {bounds}.")
    return int(text)
