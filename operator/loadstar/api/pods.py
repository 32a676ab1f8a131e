"""The pods and the Service of a TrainingJob as plain JSON: pure functions of the job and its place."""

from dataclasses import dataclass
from typing import Any

from loadstar.api import labels
from loadstar.api.environment import environment_of
from loadstar.api.mounts import Mounts, mounts_of
from loadstar.api.v1alpha1 import TrainingJob

Json = dict[str, Any]

USER = 65532
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ProgressEndpoint:
    """Where programs report to: `base_url` is scheme, host and port, `ca_pem` who signed its certificate."""

    base_url: str
    ca_pem: str

    def url(self, namespace: str, name: str) -> str:
        """The URL of one job's progress, as Kubeflow Trainer writes it."""
        path = f"{labels.PROGRESS_AUDIENCE_GROUP}/namespaces/{namespace}/trainjobs/{name}/status"
        return f"{self.base_url.rstrip('/')}/apis/{path}"


def pod_name(job_name: str, attempt: int, rank: int) -> str:
    """The name of one rank's pod: the same for the same attempt, so that it can't be created twice."""
    return f"{job_name}-{attempt}-{rank}"


def build_pod(
    job: TrainingJob,
    *,
    attempt: int,
    rank: int,
    node: str,
    image: str,
    progress: ProgressEndpoint | None = None,
) -> Json:
    """One rank of one attempt, pinned to `node` (the value of the node's kubernetes.io/hostname label).

    `image` is the trainer's image for jobs that don't name one of their own, `progress` where its program reports to.
    """
    name, mounts = pod_name(job.metadata.name, attempt, rank), mounts_of(job, reports=progress is not None)
    url = progress.url(job.metadata.namespace, job.metadata.name) if progress else ""
    env = environment_of(job, attempt=attempt, rank=rank, master=_master(job, attempt), progress_url=url)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": job.metadata.namespace,
            "labels": _labels(job) | {labels.ATTEMPT_LABEL: str(attempt), labels.RANK_LABEL: str(rank)},
            **_annotations(progress),
            "ownerReferences": [_owner(job)],
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": job.spec.trainer.termination_grace_period_seconds,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostname": name,
            "subdomain": job.metadata.name,
            "hostAliases": _host_aliases(job, attempt, rank),
            "affinity": _pinned(node),
            "tolerations": _tolerations(job),
            **_priority(job),
            "securityContext": _pod_security(mounts),
            "containers": [_container(job, image, env, mounts)],
            "volumes": mounts.volumes(),
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
    trainer = job.spec.trainer
    asked = [one.model_dump(by_alias=True, exclude_none=True) for one in trainer.tolerations or ()]
    own = (
        [{"key": labels.GPU_RESOURCE, "operator": "Exists"}]
        if trainer.resources_per_node.gpu_requests
        else []
    )
    return own + [one for one in asked if one not in own]


def _priority(job: TrainingJob) -> Json:
    """The pods' share of the job's PriorityClass: what quotas and evictions go by."""
    name = job.spec.scheduling.priority_class_name
    return {"priorityClassName": name} if name else {}


def _annotations(progress: ProgressEndpoint | None) -> Json:
    return {"annotations": {labels.PROGRESS_CA_ANNOTATION: progress.ca_pem}} if progress else {}


def _pod_security(mounts: Mounts) -> Json:
    """What the restricted Pod Security Standard asks of a pod, and claims that it can write to.

    A claim's files are given to the pod's group once, not at every start: that takes minutes where there are many.
    """
    once = {"fsGroupChangePolicy": "OnRootMismatch"} if mounts.has_claims else {}
    return {
        **once,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(job: TrainingJob, image: str, env: list[Json], mounts: Mounts) -> Json:
    trainer = job.spec.trainer
    command = {"command": list(trainer.command)} if trainer.command else {}
    args = {"args": list(trainer.args)} if trainer.args else {}
    return {
        "name": labels.CONTAINER,
        "image": trainer.image or image,
        "imagePullPolicy": "IfNotPresent",
        **command,
        **args,
        "env": env,
        "ports": [{"name": "rendezvous", "containerPort": labels.MASTER_PORT, "protocol": "TCP"}],
        "resources": _resources(job),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": labels.TERMINATION_MESSAGE_PATH,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts.volume_mounts(),
    }


def _resources(job: TrainingJob) -> Json:
    """CPU is a floor, memory floor and ceiling, devices exact."""
    asked = job.spec.trainer.resources_per_node
    cpu = {"cpu": asked.cpu} if asked.cpu else {}
    memory = {"memory": asked.memory} if asked.memory else {}
    gpus = {name: str(count) for name, count in asked.gpu_requests.items()}
    return {"requests": cpu | memory | gpus, "limits": memory | gpus}
