"""Carrying a decision out: status first, then the actions (write-ahead), so that a kill at any line loses nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loadstar.api import labels
from loadstar.api.pods import ProgressEndpoint, build_pod, build_service
from loadstar.api.state import refusal_status, status_of
from loadstar.api.v1alpha1 import TrainingJob
from loadstar.clients.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.resources import PODS, SERVICES, TRAINING_JOBS
from loadstar.controller.caches import Caches, Key, Tracked
from loadstar.core.decisions import Action, CreatePod, CreateService, DeleteJob, DeletePod
from loadstar.core.jobs import JobState


class LaunchRefused(Exception):
    """The API server does not accept a pod or Service of the gang, now or ever; the message says why."""


@dataclass(frozen=True, slots=True)
class Applier:
    """Writes states and carries out actions. `count` is told the name of every action done, for the metrics."""

    kube: Kube
    caches: Caches
    trainer_image: str
    count: Callable[[str], None]
    progress: Callable[[], ProgressEndpoint | None] = lambda: None
    """Where the programs of new pods report to; None where there is nothing."""

    async def write(self, key: Key, tracked: Tracked, state: JobState) -> None:
        """Make status say `state`, then remember it.

        Raises Conflict where the job or its status is not as it was last seen, NotFound where it is gone. So one
        state follows from another also where two operators write, and of a job that was deleted and made anew under
        its name, the successor does not get the status of the one before.
        """
        if tracked.outdated:
            raise Conflict("somebody else wrote the status")
        job, (namespace, name) = tracked.job, key
        status = (refusal_status(state) if job is None else status_of(job, state)).wire()
        metadata = {"namespace": namespace, "name": name, "uid": tracked.uid}
        metadata["resourceVersion"] = str(tracked.version)
        body = {"metadata": metadata, "status": status}
        answer = await self.kube.apply_status(TRAINING_JOBS, body, field_manager=labels.LIFECYCLE_OWNER)
        self.caches.wrote(tracked, state, answer)

    async def confirm(self, key: Key, tracked: Tracked) -> None:
        """Raises Conflict unless the status is still what `tracked` says, NotFound where the job is gone.

        For actions that no write of the status goes before: that write would have been the same proof.
        """
        namespace, name = key
        self.caches.put_job(await self.kube.get(TRAINING_JOBS, name, namespace))
        if self.caches.jobs.get(key) is not tracked or tracked.outdated:
            raise Conflict("somebody else wrote the status")

    async def read_again(self, key: Key) -> None:
        """Take the job in as it is now, with its status and pods: somebody else wrote. Where it is gone, forget it."""
        namespace, name = key
        try:
            job = await self.kube.get(TRAINING_JOBS, name, namespace)
        except NotFound:
            tracked = self.caches.jobs.get(key)
            if tracked is not None:
                self.caches.drop_job(key, tracked.uid)
            return
        selector = f"{labels.JOB_NAME_LABEL}={name}"
        self.caches.adopt(job, await self.kube.list(PODS, namespace, label_selector=selector))

    async def act(self, key: Key, tracked: Tracked, actions: tuple[Action, ...]) -> None:
        """Carry the actions out, services before the pods that they lead to.

        Raises LaunchRefused where a create can't succeed by trying again at once.
        """
        services = [action for action in actions if isinstance(action, CreateService)]
        for together in (services, [action for action in actions if action not in services]):
            todo = (self._act(key, tracked, action) for action in together)
            results = await asyncio.gather(*todo, return_exceptions=True)
            errors = [result for result in results if isinstance(result, BaseException)]
            if errors:
                raise next((error for error in errors if isinstance(error, LaunchRefused)), errors[0])

    async def _act(self, key: Key, tracked: Tracked, action: Action) -> None:
        namespace, name = key
        match action:
            case CreatePod():
                await self._create_pod(tracked, action)
            case DeletePod():
                grace = 0 if action.force else None
                await self.kube.delete(PODS, action.name, namespace, uid=action.uid, grace_seconds=grace)
            case DeleteJob():
                await self.kube.delete(TRAINING_JOBS, name, namespace, uid=tracked.uid)
            case CreateService():
                await self._create(SERVICES, build_service(_parsed(tracked)), tracked)
        self.count(type(action).__name__)

    async def _create_pod(self, tracked: Tracked, action: CreatePod) -> None:
        seen = self.caches.nodes.get(action.node)
        hostname = seen.hostname if seen else action.node
        body = build_pod(
            _parsed(tracked),
            attempt=action.attempt,
            rank=action.rank,
            node=hostname,
            image=self.trainer_image,
            progress=self.progress(),
        )
        self.caches.put_pod(await self._create(PODS, body, tracked))

    async def _create(self, resource: Any, body: dict[str, Any], tracked: Tracked) -> dict[str, Any]:
        """Create, or adopt one of that name that this job owns already (from before a crash or a lost answer)."""
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        try:
            return await self.kube.create(resource, body, namespace)
        except AlreadyExists:
            found = await self.kube.get(resource, name, namespace)
            if tracked.uid in {owner["uid"] for owner in found["metadata"].get("ownerReferences") or ()}:
                return found
            kind = resource.kind
            raise LaunchRefused(
                f"a {kind} named {name} exists and does not belong to this job: delete it or rename the job"
            ) from None
        except (Forbidden, Invalid) as error:
            raise LaunchRefused(
                f"{error}; lift the quota or the policy that it names, or change the job"
            ) from error


def _parsed(tracked: Tracked) -> TrainingJob:
    if not isinstance(tracked.asked, tuple):
        raise AssertionError("an unreadable job is never launched")
    return tracked.asked[0]
