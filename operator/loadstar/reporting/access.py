"""Which pod may report for which job: rank 0 of the attempt that is on now, and nobody else."""

from dataclasses import dataclass
from typing import Final

from loadstar.api import labels
from loadstar.controller.caches import Caches, Key, Tracked
from loadstar.reporting.tokens import Bearer

AUDIENCE: Final = "trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs/{name}/status"
"""What a job's token is for; the same for all that is reported of it."""


class AccessRefused(Exception):
    """The pod may not report for the job; `status` is the HTTP code (403, or 404 where there is no such job)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reporter:
    """A pod that may report, and for what."""

    key: Key
    tracked: Tracked
    attempt: int


def audience(key: Key) -> str:
    """The audience of the tokens of a job's pods."""
    return AUDIENCE.format(namespace=key[0], name=key[1])


def is_known(caches: Caches, bearer: Bearer) -> bool:
    """Whether a pod of this name and uid belongs to any TrainingJob."""
    seen = caches.pods.get((bearer.namespace, bearer.pod))
    return seen is not None and seen.uid == bearer.uid and seen.owner is not None


def reporter(caches: Caches, key: Key, bearer: Bearer) -> Reporter:
    """The bearer of a verified token as the reporter of the job `key`. Raises AccessRefused."""
    tracked = caches.jobs.get(key)
    if tracked is None:
        raise AccessRefused(404, f"there is no {labels.KIND} {key[0]}/{key[1]}")
    seen = caches.pods.get((bearer.namespace, bearer.pod))
    if seen is None or seen.uid != bearer.uid or seen.owner != tracked.uid or seen.pod is None:
        raise AccessRefused(403, f"the pod {bearer.pod} does not belong to this {labels.KIND}")
    pod, attempt = seen.pod, tracked.state.attempt
    if pod.attempt != attempt:
        raise AccessRefused(403, f"the pod {bearer.pod} is of attempt {pod.attempt}, attempt {attempt} is on")
    if pod.rank != 0:
        raise AccessRefused(403, f"only rank 0 reports, the pod {bearer.pod} is rank {pod.rank}")
    return Reporter(key, tracked, attempt)
