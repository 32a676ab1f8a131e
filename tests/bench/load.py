"""Putting load on a cluster and watching when pods appear and get bound, by this process's own clock."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.api import Api

_NAMESPACE = "bench"
_PODS = f"/api/v1/namespaces/{_NAMESPACE}/pods"
_SERVICES = f"/api/v1/namespaces/{_NAMESPACE}/services"
_JOBS = f"/apis/loadstar.dev/v1alpha1/namespaces/{_NAMESPACE}/trainingjobs"
_IN_FLIGHT = 32
_LAUNCH_SECONDS = 180.0
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
_PAUSE_SECONDS = 1.0  # between single jobs, so that each meets an idle cluster
_RESOURCES = {"limits": {"nvidia.com/gpu": "1"}}
_POD_SPEC = {
    "restartPolicy": "Never",
    "containers": [{"name": "trainer", "image": "none", "resources": _RESOURCES}],
}
_JOB_SPEC = {"model": {"type": "linear"}, "dataset": {"builtin": "iris"}}


@dataclass(frozen=True)
class Launch:
    """When pods were seen created and bound: seconds since the first request, in their order."""

    created: list[float]
    bound: list[float]

    @property
    def seconds(self) -> float:
        """Until the last pod was bound."""
        return self.bound[-1]

    @property
    def rate(self) -> float:
        """Pods bound per second."""
        return len(self.bound) / self.seconds


@dataclass
class Sightings:
    """When each pod was first seen, and first seen bound (monotonic seconds, by name)."""

    created: dict[str, float] = field(default_factory=dict)
    bound: dict[str, float] = field(default_factory=dict)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the watch is open: what happens from now on is seen as it happens."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def see(self, pod: dict[str, Any], now: float) -> None:
        """Take note of a pod."""
        name = pod["metadata"]["name"]
        self.created.setdefault(name, now)
        if "nodeName" in pod["spec"]:
            self.bound.setdefault(name, now)
            self.changed.set()

    async def all_bound(self, count: int) -> None:
        """Wait until `count` pods have been seen bound."""
        while len(self.bound) < count:
            self.changed.clear()
            await self.changed.wait()


@dataclass(frozen=True)
class Bench:
    """A namespace to launch things in. Requests go over kept-alive connections."""

    session: aiohttp.ClientSession

    @classmethod
    @asynccontextmanager
    async def open(cls, kubeconfig: Path) -> "AsyncIterator[Bench]":
        """Connect, and make the namespace."""
        api = Api(kubeconfig)
        connector = aiohttp.TCPConnector(ssl=api.tls, limit=_IN_FLIGHT * 2)
        async with aiohttp.ClientSession(api.server, connector=connector, read_bufsize=2**20) as session:
            bench = cls(session)
            await bench._post("/api/v1/namespaces", {"metadata": {"name": _NAMESPACE}})
            await bench._present(f"/api/v1/namespaces/{_NAMESPACE}/serviceaccounts/default")
            yield bench

    async def launch_pods(self, count: int) -> Launch:
        """Create bare one-GPU pods at once and wait until all are bound."""
        pods = ({"metadata": {"name": f"pod-{number}"}, "spec": _POD_SPEC} for number in range(count))
        return await self._launch(_PODS, pods, count)

    async def launch_jobs(self, count: int) -> Launch:
        """Create one-GPU TrainingJobs at once and wait until the pods of all are bound."""
        return await self._launch(_JOBS, (_job(f"job-{number}") for number in range(count)), count)

    async def launch_single(self, number: int) -> Launch:
        """Create one TrainingJob on a cluster that does nothing else, wait for its pod, and remove both."""
        await asyncio.sleep(_PAUSE_SECONDS)
        name = f"single-{number}"
        launch = await self._launch(_JOBS, [_job(name)], 1)
        await self._request("DELETE", f"{_JOBS}/{name}")
        await self._until_empty(_PODS)
        return launch

    async def clean(self) -> None:
        """Remove all jobs, pods and Services. The operator must not run."""
        for collection in (_JOBS, _PODS, _SERVICES):
            await self._request("DELETE", f"{collection}?gracePeriodSeconds=0")
        for collection in (_JOBS, _PODS, _SERVICES):
            await self._until_empty(collection)

    async def _launch(self, path: str, bodies: Iterable[dict[str, Any]], count: int) -> Launch:
        sightings = Sightings()
        version = (await self._request("GET", f"{_PODS}?limit=1"))["metadata"]["resourceVersion"]
        try:
            async with asyncio.timeout(_LAUNCH_SECONDS), asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(version, sightings))
                await sightings.open.wait()
                started = time.monotonic()
                await self._create_all(path, bodies)
                await sightings.all_bound(count)
                watch.cancel()
        except TimeoutError:
            seen = f"{len(sightings.created)} created and {len(sightings.bound)} bound"
            raise TimeoutError(f"of {count} pods {seen} after {_LAUNCH_SECONDS:.0f} s") from None
        return Launch(
            *(sorted(at - started for at in seen.values()) for seen in (sightings.created, sightings.bound))
        )

    async def _create_all(self, path: str, bodies: Iterable[dict[str, Any]]) -> None:
        """Create objects, so many in flight at any time."""
        rest = iter(bodies)

        async def work() -> None:
            for body in rest:
                await self._post(path, body)

        async with asyncio.TaskGroup() as group:
            for _ in range(_IN_FLIGHT):
                group.create_task(work())

    async def _watch(self, version: str, sightings: Sightings) -> None:
        """See all pods until cancelled. The API server ends a watch that is not read fast enough for it, so
        each is followed by another from where the last one came to."""
        while True:
            where = {"watch": "1", "resourceVersion": version}
            async with self.session.get(_PODS, params=where, timeout=_NO_TIMEOUT) as answer:
                answer.raise_for_status()
                sightings.open.set()
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch of pods failed: {event['object'].get('message')}")
                    sightings.see(event["object"], time.monotonic())
                    version = event["object"]["metadata"]["resourceVersion"]

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        return await self._request("POST", path, body)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self.session.request(method, path, json=body) as answer:
            content = await answer.json()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {content.get('message')}")
            return content

    async def _present(self, path: str) -> None:
        async def there() -> bool:
            async with self.session.get(path) as answer:
                return answer.status == 200

        await _until(there)

    async def _until_empty(self, collection: str) -> None:
        async def empty() -> bool:
            return not (await self._request("GET", f"{collection}?limit=1"))["items"]

        await _until(empty)


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(_LAUNCH_SECONDS):
        while not await condition():
            await asyncio.sleep(0.1)


def _job(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "loadstar.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": _JOB_SPEC,
    }
