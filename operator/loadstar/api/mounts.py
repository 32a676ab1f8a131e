"""What a pod mounts: its own scratch space, the job's claims and ConfigMaps, and what reporting progress takes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from loadstar.api import labels
from loadstar.api.container import Volume
from loadstar.api.document import export_uri
from loadstar.api.locations import (
    CHECKPOINT_MOUNT,
    DATASET_MOUNT,
    EXPORT_MOUNT,
    WEIGHTS_MOUNT,
    location_of,
)
from loadstar.api.quantities import byte_count
from loadstar.api.v1alpha1 import TrainingJob

Json = dict[str, Any]

SHARED_MEMORY_BYTES: Final = 1 << 30
"""Size of /dev/shm where the job reserves no memory; the 64 MiB of container runtimes are too small for NCCL."""
TOKEN_SECONDS: Final = 3600
"""How long a token for the progress endpoint lasts; the kubelet renews it well before."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume's source as a pod names it, and where the container finds it."""

    name: str
    source: Json
    path: str
    options: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mounts:
    """All mounts of a container; one source that is mounted twice is one volume."""

    mounts: tuple[Mount, ...]

    def volumes(self) -> list[Json]:
        """The pod's volumes."""
        return [{"name": mount.name, **mount.source} for mount in self._first().values()]

    def volume_mounts(self) -> list[Json]:
        """The container's mounts of them."""
        first = self._first()
        return [
            {"name": first[_key(mount)].name, "mountPath": mount.path, **mount.options}
            for mount in self.mounts
        ]

    @property
    def has_claims(self) -> bool:
        """Whether any of it is a PersistentVolumeClaim."""
        return any("persistentVolumeClaim" in mount.source for mount in self.mounts)

    def _first(self) -> dict[str, Mount]:
        found: dict[str, Mount] = {}
        for mount in self.mounts:
            found.setdefault(_key(mount), mount)
        return found


def mounts_of(job: TrainingJob, *, reports: bool) -> Mounts:
    """Everything that a pod of the job mounts; with `reports`, also what it reports progress with."""
    progress = (_progress(job),) if reports else ()
    return Mounts((*_scratch(job), *_data(job), *_own(job), *progress))


def _key(mount: Mount) -> str:
    """Equal for equal sources; scratch space is never shared."""
    return mount.name if "emptyDir" in mount.source else json.dumps(mount.source, sort_keys=True)


def _scratch(job: TrainingJob) -> tuple[Mount, ...]:
    memory = {"emptyDir": {"medium": "Memory", "sizeLimit": str(_shared_memory(job))}}
    return Mount("shm", memory, "/dev/shm"), Mount("tmp", {"emptyDir": {}}, "/tmp")


def _shared_memory(job: TrainingJob) -> int:
    """Bytes of /dev/shm, which count against the pod's memory: half of it."""
    memory = job.spec.trainer.resources_per_node.memory
    return SHARED_MEMORY_BYTES if memory is None else max(1, byte_count(memory) // 2)


def _data(job: TrainingJob) -> Iterator[Mount]:
    """The places that the spec's URIs name, where they are not in the image, another volume, or a bucket."""
    spec = job.spec
    weights = spec.model.initial_weights if spec.model else None
    places = (
        ("dataset", spec.dataset.uri if spec.dataset else None, DATASET_MOUNT, True),
        ("initial-weights", weights.uri if weights else None, WEIGHTS_MOUNT, True),
        ("checkpoint", spec.checkpoint.uri if spec.checkpoint else None, CHECKPOINT_MOUNT, False),
        ("export", export_uri(job), EXPORT_MOUNT, False),
    )
    for name, uri, path, read_only in places:
        source = _source(uri) if uri else None
        if source is not None:
            yield Mount(name, source, path, {"readOnly": True} if read_only else {})


def _source(uri: str) -> Json | None:
    place = location_of(uri)
    match place.scheme:
        case "pvc":
            return _claim(place.name)
        case "configmap":
            items = [{"key": place.path, "path": place.path}]
            return {"configMap": {"name": place.name, "items": items}}
        case _:
            return None


def _own(job: TrainingJob) -> Iterator[Mount]:
    for number, volume in enumerate(job.spec.trainer.volumes or ()):
        options: Json = {"readOnly": True} if volume.read_only else {}
        if volume.sub_path:
            options["subPath"] = volume.sub_path
        yield Mount(f"volume-{number}", _own_source(volume), volume.mount_path, options)


def _own_source(volume: Volume) -> Json:
    if volume.claim:
        return _claim(volume.claim)
    if volume.config_map:
        return {"configMap": {"name": volume.config_map}}
    return {"secret": {"secretName": volume.secret}}


def _claim(name: str) -> Json:
    """Never read-only as a whole: the same claim may be written to at another path."""
    return {"persistentVolumeClaim": {"claimName": name}}


def _progress(job: TrainingJob) -> Mount:
    """A token that is good for this job's progress alone, and the certificate authority of who takes it.

    The authority comes out of the pod's own annotation, so that no job needs an object of its own for it.
    """
    token = {
        "audience": progress_audience(job.metadata.namespace, job.metadata.name),
        "expirationSeconds": TOKEN_SECONDS,
        "path": "token",
    }
    authority = {
        "path": "ca.crt",
        "fieldRef": {"fieldPath": f"metadata.annotations['{labels.PROGRESS_CA_ANNOTATION}']"},
    }
    sources = [{"serviceAccountToken": token}, {"downwardAPI": {"items": [authority]}}]
    source = {"projected": {"sources": sources}}
    return Mount("progress", source, labels.PROGRESS_MOUNT, {"readOnly": True})


def progress_audience(namespace: str, name: str) -> str:
    """The audience of the tokens that a job's pods report with, as Kubeflow Trainer writes it."""
    return f"{labels.PROGRESS_AUDIENCE_GROUP}/namespaces/{namespace}/trainjobs/{name}/status"
