"""The pods and the Service of a TrainingJob as plain JSON: pure functions of the job and its place."""

import json
from typing import Any

from loadstar.api import labels
from loadstar.api.document import trainer_document
from loadstar.api.quantities import byte_count, millicores
from loadstar.api.v1alpha1 import TrainingJob

Json = dict[str, Any]

USER = 65532
GRACE_SECONDS = 60
"""Time from SIGTERM until a rank is killed: enough to finish a step and leave in order."""
SHARED_MEMORY_BYTES = 1 << 30
"""Size of /dev/shm where the job reserves no memory; the 64 MiB of container runtimes are too small for NCCL."""
LOOPBACK = "127.0.0.1"


def pod_name(job_name: str, attempt: int, rank: int) -> str:
    """The name of one rank's pod: the same for the same attempt, so that it can't be created twice."""
    return f"{job_name}-{attempt}-{rank}"


def build_pod(job: TrainingJob, *, attempt: int, rank: int, node: str, image: str) -> Json:
    """One rank of one attempt, pinned to `node` (the value of the node's kubernetes.io/hostname label).

    `image` is the trainer's image for jobs that don't name one of their own.
    """
    name = pod_name(job.metadata.name, attempt, rank)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": job.metadata.namespace,
            "labels": _labels(job) | {labels.ATTEMPT_LABEL: str(attempt), labels.RANK_LABEL: str(rank)},
            "ownerReferences": [_owner(job)],
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostname": name,
            "subdomain": job.metadata.name,
            "hostAliases": _host_aliases(job, attempt, rank),
            "affinity": _pinned(node),
            "tolerations": _tolerations(job),
            "securityContext": _pod_security(),
            "containers": [_container(job, attempt, rank, image)],
            "volumes": [
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(_shared_memory(job))}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }


def build_service(job: TrainingJob) -> Json:
    """The headless Service that gives every rank its host name, before it is ready: ranks meet while they start."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": job.metadata.name,
            "namespace": job.metadata.namespace,
            "labels": _labels(job),
            "ownerReferences": [_owner(job)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {labels.JOB_NAME_LABEL: job.metadata.name},
            "ports": [{"name": "rendezvous", "port": labels.MASTER_PORT, "protocol": "TCP"}],
        },
    }


def _labels(job: TrainingJob) -> dict[str, str]:
    return {
        labels.JOB_NAME_LABEL: job.metadata.name,
        labels.NAME_LABEL: "trainer",
        labels.INSTANCE_LABEL: job.metadata.name,
        labels.COMPONENT_LABEL: "worker",
        labels.PART_OF_LABEL: "loadstar",
        labels.MANAGED_BY_LABEL: "loadstar",
    }


def _owner(job: TrainingJob) -> Json:
    return {
        "apiVersion": labels.API_VERSION,
        "kind": labels.KIND,
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _master(job: TrainingJob, attempt: int) -> str:
    """Rank 0's host name, as pods of the same namespace resolve it."""
    return f"{pod_name(job.metadata.name, attempt, 0)}.{job.metadata.name}"


def _host_aliases(job: TrainingJob, attempt: int, rank: int) -> list[Json]:
    """Rank 0 knows itself without asking DNS, which learns of a new pod only seconds later."""
    return [{"ip": LOOPBACK, "hostnames": [_master(job, attempt)]}] if rank == 0 else []


def _pinned(node: str) -> Json:
    """Required node affinity, not nodeName: the scheduler still has to find room and may say no."""
    term = {"matchExpressions": [{"key": labels.HOSTNAME_LABEL, "operator": "In", "values": [node]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def _tolerations(job: TrainingJob) -> list[Json]:
    """GPU nodes are commonly tainted to keep other pods away; who asks for GPUs is welcome there."""
    if job.spec.trainer.resources_per_node.gpus == 0:
        return []
    return [{"key": labels.GPU_RESOURCE, "operator": "Exists"}]


def _pod_security() -> Json:
    """What the restricted Pod Security Standard asks of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(job: TrainingJob, attempt: int, rank: int, image: str) -> Json:
    return {
        "name": labels.CONTAINER,
        "image": job.spec.trainer.image or image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in _environment(job, attempt, rank).items()],
        "ports": [{"name": "rendezvous", "containerPort": labels.MASTER_PORT, "protocol": "TCP"}],
        "resources": _resources(job),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": labels.TERMINATION_MESSAGE_PATH,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "tmp", "mountPath": "/tmp"}],
    }


def _environment(job: TrainingJob, attempt: int, rank: int) -> dict[str, str]:
    trainer, master, port = job.spec.trainer, _master(job, attempt), str(labels.MASTER_PORT)
    processes = trainer.processes_per_node
    return {
        labels.SPEC_ENV: json.dumps(trainer_document(job), separators=(",", ":")),
        labels.JOB_NAME_ENV: job.metadata.name,
        labels.JOB_UID_ENV: job.metadata.uid,
        labels.ATTEMPT_ENV: str(attempt),
        "PET_NNODES": str(trainer.num_nodes),
        "PET_NPROC_PER_NODE": str(processes),
        "PET_NODE_RANK": str(rank),
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": port,
        "MASTER_ADDR": master,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(trainer.world_size),
        "RANK": str(rank * processes),
        "PYTHONUNBUFFERED": "1",
        "HOME": "/tmp",
        **_threads(job),
    }


def _threads(job: TrainingJob) -> dict[str, str]:
    """As many threads per process as the pod has CPUs for; left alone, each process would take all of the node's."""
    cpu = job.spec.trainer.resources_per_node.cpu
    if cpu is None:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, millicores(cpu) // 1000 // job.spec.trainer.processes_per_node))}


def _resources(job: TrainingJob) -> Json:
    """CPU is a floor, memory floor and ceiling, devices exact."""
    asked = job.spec.trainer.resources_per_node
    cpu = {"cpu": asked.cpu} if asked.cpu else {}
    memory = {"memory": asked.memory} if asked.memory else {}
    gpus = {labels.GPU_RESOURCE: str(asked.gpus)} if asked.gpus else {}
    return {"requests": cpu | memory | gpus, "limits": memory | gpus}


def _shared_memory(job: TrainingJob) -> int:
    """Bytes of /dev/shm, which count against the pod's memory: half of it."""
    memory = job.spec.trainer.resources_per_node.memory
    return SHARED_MEMORY_BYTES if memory is None else max(1, byte_count(memory) // 2)
