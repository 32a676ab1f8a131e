"""The client against a real API server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from loadstar.clients.connection import connect
from loadstar.clients.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.resources import NAMESPACES, PODS, SERVICES, TRAINING_JOBS
from tests.cluster.fixtures import Cluster
from tests.integration.crd import install_crd

pytestmark = pytest.mark.controlplane


@pytest.fixture
async def kube(control_plane: Cluster) -> AsyncIterator[Kube]:
    limits = Limits(page=2)
    async with Kube(await connect(str(control_plane.kubeconfig)), limits=limits) as client:
        yield client


def service(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"clusterIP": "None", "ports": [{"port": 1}]},
    }


async def test_what_is_created_can_be_read(kube: Kube, namespace: str) -> None:
    created = await kube.create(SERVICES, service("a"), namespace)
    assert (await kube.get(SERVICES, "a", namespace))["metadata"]["uid"] == created["metadata"]["uid"]


async def test_a_second_create_of_the_same_name_meets_the_first(kube: Kube, namespace: str) -> None:
    await kube.create(SERVICES, service("a"), namespace)
    with pytest.raises(AlreadyExists):
        await kube.create(SERVICES, service("a"), namespace)


async def test_a_create_whose_answer_was_lost_is_repeated_and_meets_itself(
    control_plane: Cluster, namespace: str
) -> None:
    lost: list[int] = []

    async def lose_the_first(verb: str, path: str, status: int) -> None:
        if verb == "create" and not lost:
            lost.append(status)
            raise ConnectionResetError("injected")

    connection = await connect(str(control_plane.kubeconfig))
    async with Kube(connection, after_call=lose_the_first) as kube:
        with pytest.raises(AlreadyExists):
            await kube.create(SERVICES, service("a"), namespace)
    assert lost == [201]


async def test_a_field_that_the_kind_does_not_have_is_refused(kube: Kube, namespace: str) -> None:
    body = service("a") | {"spce": {}}
    with pytest.raises(Invalid, match="unknown field"):
        await kube.create(SERVICES, body, namespace)


async def test_a_list_longer_than_a_page_is_whole(kube: Kube, namespace: str) -> None:
    names = {f"s-{number}" for number in range(5)}
    await asyncio.gather(*(kube.create(SERVICES, service(name, app="x"), namespace) for name in names))
    await kube.create(SERVICES, service("other"), namespace)
    listed = await kube.list(SERVICES, namespace, label_selector="app=x")
    assert {item["metadata"]["name"] for item in listed} == names


async def test_an_object_of_another_uid_is_not_deleted(kube: Kube, namespace: str) -> None:
    await kube.create(SERVICES, service("a"), namespace)
    assert await kube.delete(SERVICES, "a", namespace, uid=str(uuid4())) is False
    uid = (await kube.get(SERVICES, "a", namespace))["metadata"]["uid"]
    assert await kube.delete(SERVICES, "a", namespace, uid=uid) is True
    assert await kube.delete(SERVICES, "a", namespace, uid=uid) is False


async def test_a_replace_of_an_old_version_is_refused(kube: Kube, namespace: str) -> None:
    old = await kube.create(SERVICES, service("a"), namespace)
    await kube.patch(SERVICES, "a", namespace, {"metadata": {"labels": {"touched": "yes"}}})
    with pytest.raises(Conflict):
        await kube.replace(SERVICES, old, namespace)


async def test_what_admission_forbids_is_told_as_forbidden(kube: Kube, namespace: str) -> None:
    spec = {"hostNetwork": True, "containers": [{"name": "a", "image": "a"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    with pytest.raises(Forbidden, match="PodSecurity"):
        await kube.create(PODS, pod, namespace)


async def test_an_object_in_a_namespace_that_is_not_there_is_not_found(kube: Kube) -> None:
    with pytest.raises(NotFound):
        await kube.get(NAMESPACES, "no-such-namespace")


@pytest.fixture
async def job(kube: Kube, control_plane: Cluster, namespace: str) -> dict[str, Any]:
    """A TrainingJob on the server."""
    install_crd(control_plane)
    body = {
        "apiVersion": TRAINING_JOBS.api_version,
        "kind": TRAINING_JOBS.kind,
        "metadata": {"name": "iris", "namespace": namespace},
        "spec": {"model": {"type": "linear"}, "dataset": {"builtin": "iris"}},
    }
    return await kube.create(TRAINING_JOBS, body, namespace)


def applied(job: dict[str, Any], *, version: str | None = None, **status: Any) -> dict[str, Any]:
    metadata = {name: job["metadata"][name] for name in ("name", "namespace", "uid")}
    return {"metadata": metadata | ({"resourceVersion": version} if version else {}), "status": status}


async def replaced(kube: Kube, job: dict[str, Any]) -> dict[str, Any]:
    """Another job in place of `job`, of the same name."""
    namespace = job["metadata"]["namespace"]
    await kube.delete(TRAINING_JOBS, "iris", namespace)
    names = {"name": "iris", "namespace": namespace}
    return await kube.create(TRAINING_JOBS, job | {"metadata": names}, namespace)


async def test_applied_status_replaces_what_the_same_owner_applied_before(
    kube: Kube, job: dict[str, Any]
) -> None:
    await kube.apply_status(TRAINING_JOBS, applied(job, phase="Queued", attempt=1), field_manager="loadstar")
    await kube.apply_status(TRAINING_JOBS, applied(job, phase="Running"), field_manager="loadstar")
    found = await kube.get(TRAINING_JOBS, "iris", job["metadata"]["namespace"])
    assert found["status"] == {"phase": "Running"}


async def test_status_with_a_version_never_lands_on_another_job_of_that_name(
    kube: Kube, job: dict[str, Any]
) -> None:
    other = await replaced(kube, job)
    late = applied(job, version=job["metadata"]["resourceVersion"], phase="Running")
    with pytest.raises(Conflict):
        await kube.apply_status(TRAINING_JOBS, late, field_manager="loadstar")
    found = await kube.get(TRAINING_JOBS, "iris", job["metadata"]["namespace"])
    assert found["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"]


async def test_status_without_a_version_that_landed_on_another_job_is_told(
    kube: Kube, job: dict[str, Any]
) -> None:
    await replaced(kube, job)
    with pytest.raises(Conflict, match="belongs to another object"):
        await kube.apply_status(TRAINING_JOBS, applied(job, phase="Running"), field_manager="loadstar")


async def test_status_with_an_old_version_of_the_same_job_is_not_applied(
    kube: Kube, job: dict[str, Any]
) -> None:
    first = applied(job, version=job["metadata"]["resourceVersion"], phase="Queued")
    await kube.apply_status(TRAINING_JOBS, first, field_manager="loadstar")
    late = applied(job, version=job["metadata"]["resourceVersion"], phase="Running")
    with pytest.raises(Conflict):
        await kube.apply_status(TRAINING_JOBS, late, field_manager="loadstar")
    found = await kube.get(TRAINING_JOBS, "iris", job["metadata"]["namespace"])
    assert found["status"] == {"phase": "Queued"}


async def test_status_is_not_applied_to_a_job_that_is_gone(kube: Kube, job: dict[str, Any]) -> None:
    await kube.delete(TRAINING_JOBS, "iris", job["metadata"]["namespace"])
    with pytest.raises((NotFound, Conflict)):
        await kube.apply_status(TRAINING_JOBS, applied(job, phase="Queued"), field_manager="loadstar")


async def test_a_status_field_that_the_crd_does_not_know_is_refused_rather_than_dropped(
    kube: Kube, job: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match="weather"):
        await kube.apply_status(TRAINING_JOBS, applied(job, weather="fine"), field_manager="loadstar")
