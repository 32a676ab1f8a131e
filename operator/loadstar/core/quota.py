"""ResourceQuotas, honoured before any pod is tried: what a namespace may use yet.

The API server refuses a pod that would exceed a quota of its namespace. Whole gangs are counted here first, so that
none is launched in part; a job that waits for quota keeps what is left of it from those behind it, else smaller jobs
of the same namespace would pass it for ever. Where both disagree the API server has the last word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadstar.core.jobs import Job
from loadstar.core.refusals import Unplaceable

QUOTA_EXCEEDED = "QuotaExceeded"
"""Reason of a job that waits for quota."""

_NOT_TERMINATING, _TERMINATING = "NotTerminating", "Terminating"
_BEST_EFFORT, _NOT_BEST_EFFORT = "BestEffort", "NotBestEffort"
_UNITS = {"cpu": (1000, ""), "memory": (1 << 30, "Gi")}


@dataclass(frozen=True, slots=True)
class Quota:
    """One ResourceQuota: its `hard` limits and what is `used`, by Kubernetes' names of the resources.

    CPU is in millicores, memory in bytes, all else counts. `scopes` as in its spec; one whose scopes can't be judged
    (by priority class, by affinity between namespaces) is left to the API server.
    """

    namespace: str
    name: str
    hard: Mapping[str, int]
    used: Mapping[str, int] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()

    def counts(self, job: Job) -> bool:
        """Whether the pods of a job are under it."""
        best_effort = not (job.request.cpu or job.request.memory)
        own = {_NOT_TERMINATING, _BEST_EFFORT if best_effort else _NOT_BEST_EFFORT}
        return self.namespace == job.namespace and self.scopes <= own


def demand(job: Job, ranks: int) -> dict[str, int]:
    """What this many pods of the job use of a quota, by the names that quotas have for it."""
    asked = job.request
    each = {
        "pods": 1,
        "count/pods": 1,
        "cpu": asked.cpu,
        "requests.cpu": asked.cpu,
        "memory": asked.memory,
        "requests.memory": asked.memory,
        "limits.memory": asked.memory,
        "requests.nvidia.com/gpu": asked.gpus,
        **{f"requests.{kind}": count for kind, count in asked.devices},
    }
    return {name: amount * ranks for name, amount in each.items() if amount}


class Allowance:
    """What is left of all quotas within one cycle."""

    def __init__(self, quotas: Iterable[Quota] = (), unseen: Iterable[tuple[Job, int]] = ()) -> None:
        """`unseen` are jobs with as many pods as are decided and not counted as used yet."""
        self._quotas: dict[str, list[tuple[Quota, dict[str, int]]]] = {}
        for quota in sorted(quotas, key=lambda quota: (quota.namespace, quota.name)):
            left = {name: hard - quota.used.get(name, 0) for name, hard in quota.hard.items()}
            self._quotas.setdefault(quota.namespace, []).append((quota, left))
        for job, pods in unseen:
            self.take(job, pods)

    def take(self, job: Job, pods: int | None = None) -> None:
        """The job gets, or is next to get, what this many of its pods need; all of them by default."""
        for quota, left in self._quotas.get(job.namespace, ()):
            if quota.counts(job):
                for name, amount in demand(job, job.ranks if pods is None else pods).items():
                    if name in left:
                        left[name] -= amount

    def refusal(self, job: Job) -> Unplaceable | None:
        """Why the job can't be launched now, None where no quota is in its way."""
        for quota, left in self._quotas.get(job.namespace, ()):
            if not quota.counts(job):
                continue
            for name, amount in demand(job, job.ranks).items():
                if name in left and amount > quota.hard[name]:
                    return _never(quota, name, amount)
                if name in left and amount > left[name]:
                    return _not_yet(quota, name, amount, left[name])
        return None


def _never(quota: Quota, name: str, amount: int) -> Unplaceable:
    message = (
        f"the job needs {_words(name, amount)} {name}, but ResourceQuota {quota.name} allows namespace "
        f"{quota.namespace} only {_words(name, quota.hard[name])}: raise the quota, or lower spec.trainer.numNodes or "
        "spec.trainer.resourcesPerNode"
    )
    return Unplaceable(QUOTA_EXCEEDED, message, rejected=(), infeasible=True)


def _not_yet(quota: Quota, name: str, amount: int, left: int) -> Unplaceable:
    message = (
        f"waiting for quota: the job needs {_words(name, amount)} {name}, and of the "
        f"{_words(name, quota.hard[name])} that ResourceQuota {quota.name} allows namespace {quota.namespace} "
        f"{_words(name, max(left, 0))} are left to it. It starts by itself when enough is free"
    )
    return Unplaceable(QUOTA_EXCEEDED, message, rejected=())


def _words(name: str, amount: int) -> str:
    size, unit = _UNITS.get(name.rpartition(".")[2], (1, ""))
    return f"{amount / size:g}{unit}"
