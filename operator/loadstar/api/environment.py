"""The environment of a pod's container: where it stands in its gang, what to train, and what the user adds."""

import json
from typing import Any, Final

from loadstar.api import labels
from loadstar.api.container import EnvVar
from loadstar.api.document import checkpoint_path, trainer_document
from loadstar.api.quantities import millicores
from loadstar.api.v1alpha1 import TrainingJob

Json = dict[str, Any]

BUCKET_KEYS: Final = {
    "AWS_ACCESS_KEY_ID": False,
    "AWS_SECRET_ACCESS_KEY": False,
    "AWS_ENDPOINT_URL": True,
    "AWS_REGION": True,
}
"""Keys of dataset.secretName, and whether the pods start without them."""


def environment_of(
    job: TrainingJob, *, attempt: int, rank: int, master: str, progress_url: str
) -> list[Json]:
    """The container's `env`. `master` is rank 0's host name; an empty `progress_url` is no endpoint.

    The user's variables win over those that only set a tone (threads, HOME, buffering), and come last: they may refer
    to all others.
    """
    own = [_entry(variable) for variable in job.spec.trainer.env or ()]
    taken = {entry["name"] for entry in own}
    values = {
        **_identity(job, attempt),
        **_gang(job, rank, master),
        **(_progress(progress_url) if progress_url else {}),
        **_tone(job),
    }
    told = [{"name": name, "value": value} for name, value in values.items() if name not in taken]
    return [*told, *(entry for entry in _bucket(job) if entry["name"] not in taken), *own]


def _identity(job: TrainingJob, attempt: int) -> dict[str, str]:
    path = checkpoint_path(job)
    return {
        labels.SPEC_ENV: json.dumps(trainer_document(job), separators=(",", ":")),
        labels.JOB_NAME_ENV: job.metadata.name,
        labels.JOB_UID_ENV: job.metadata.uid,
        labels.ATTEMPT_ENV: str(attempt),
        labels.GRACE_ENV: str(job.spec.trainer.termination_grace_period_seconds),
        **({labels.CHECKPOINT_PATH_ENV: path} if path else {}),
    }


def _gang(job: TrainingJob, rank: int, master: str) -> dict[str, str]:
    """For torchrun (PET_*) and for scripts that read env:// themselves; torchrun sets the latter anew for its own."""
    trainer, port = job.spec.trainer, str(labels.MASTER_PORT)
    processes = trainer.processes_per_node
    alone = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"} if processes == 1 else {}
    return {
        "PET_NNODES": str(trainer.num_nodes),
        "PET_NPROC_PER_NODE": str(processes),
        "PET_NODE_RANK": str(rank),
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": port,
        "MASTER_ADDR": master,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(trainer.world_size),
        "RANK": str(rank * processes),
        **alone,
    }


def _progress(url: str) -> dict[str, str]:
    """Under the names that Kubeflow Trainer's clients look for."""
    return {
        labels.PROGRESS_URL_ENV: url,
        labels.PROGRESS_CA_ENV: f"{labels.PROGRESS_MOUNT}/ca.crt",
        labels.PROGRESS_TOKEN_ENV: f"{labels.PROGRESS_MOUNT}/token",
    }


def _tone(job: TrainingJob) -> dict[str, str]:
    return {"PYTHONUNBUFFERED": "1", "HOME": "/tmp", **_threads(job)}


def _threads(job: TrainingJob) -> dict[str, str]:
    """As many threads per process as the pod has CPUs for; left alone, each process would take all of the node's."""
    cpu = job.spec.trainer.resources_per_node.cpu
    if cpu is None:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, millicores(cpu) // 1000 // job.spec.trainer.processes_per_node))}


def _bucket(job: TrainingJob) -> list[Json]:
    secret = job.spec.dataset.secret_name if job.spec.dataset else None
    if secret is None:
        return []
    return [
        _from("secretKeyRef", key, {"name": secret, "key": key, **({"optional": True} if optional else {})})
        for key, optional in BUCKET_KEYS.items()
    ]


def _entry(variable: EnvVar) -> Json:
    if variable.value_from is None:
        return {"name": variable.name, "value": variable.value or ""}
    source = variable.value_from.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"name": variable.name, "valueFrom": source}


def _from(kind: str, name: str, key: Json) -> Json:
    return {"name": name, "valueFrom": {kind: key}}
