"""The queue on a real control plane: who is ended for whom, what quotas hold back, and how little is written of it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from loadstar.api.labels import GROUP, PLURAL, VERSION
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import OPERATOR_NAMESPACE, free_port, operator_process
from tests.cluster.processes import Process
from tests.integration.crd import install_crd
from tests.integration.reporting import Site
from tests.waiting import at_rest, until

pytestmark = pytest.mark.controlplane

Json = dict[str, Any]

_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
_CYCLES = "loadstar_cycle_seconds_count"
_WHOLE = {"numNodes": 2, "resourcesPerNode": {"nvidia.com/gpu": 2}}
"""All of the cluster: two nodes of two GPUs."""
_NODE = {"numNodes": 1, "resourcesPerNode": {"nvidia.com/gpu": 2}}


class Queue:
    """The jobs of one namespace and, as far as they are about the queue, their statuses."""

    def __init__(self, site: Site, namespace: str) -> None:
        self.site, self.api, self.namespace = site, site.cluster.api, namespace
        self.jobs = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"

    def apply(self, name: str, trainer: Json, **spec: Any) -> None:
        """Create a job; what is not given of its spec is as small as can be."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "TrainingJob",
            "metadata": {"name": name},
            "spec": {"model": {"type": "mlp"}, "dataset": {"builtin": "iris"}, "trainer": trainer, **spec},
        }
        self.api.post(self.jobs, body)

    def apply_later(self, name: str, trainer: Json, **spec: Any) -> None:
        """Create a job that is younger than all others: those of one second are in no order of people's."""
        begun = int(time.time())
        until(lambda: int(time.time()) > begun, "the next second")
        self.apply(name, trainer, **spec)

    def status(self, name: str) -> Json:
        return dict(self.api.get(f"{self.jobs}/{name}").get("status") or {})

    def runs(self, name: str, attempt: int = 1) -> None:
        """Wait until all pods of this attempt run and the status says so."""
        until(
            lambda: (it := self.status(name)).get("phase") == "Running" and it["attempt"] == attempt,
            f"{name} runs attempt {attempt}",
        )

    def end(self, name: str) -> None:
        """Have all running pods of a job end well, and wait until it has succeeded."""
        for pod in self.pods(name):
            ending = {"metadata": {"annotations": {"testbed.loadstar.dev/exit-code": "0"}}}
            self.api.merge(f"/api/v1/namespaces/{self.namespace}/pods/{pod}", ending)
        until(lambda: self.status(name)["phase"] == "Succeeded", f"{name} succeeds")

    def pods(self, name: str) -> list[str]:
        """The names of a job's pods that run or may yet run."""
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=loadstar.dev%2Fjob-name%3D{name}"
        items = self.api.get(path)["items"]
        return [it["metadata"]["name"] for it in items if it["status"]["phase"] in {"Pending", "Running"}]

    def order(self) -> list[str]:
        """The waiting jobs in the order of their places."""
        items = self.api.get(self.jobs)["items"]
        places = {
            it["metadata"]["name"]: it.get("status", {}).get("queue", {}).get("position") for it in items
        }
        return sorted((name for name, place in places.items() if place), key=lambda name: places[name])

    def statuses(self) -> dict[str, Json]:
        """What the jobs' statuses hold, with the version of each: a write that changes nothing changes that."""
        items = self.api.get(self.jobs)["items"]
        return {
            it["metadata"]["name"]: {"version": it["metadata"]["resourceVersion"], **it.get("status", {})}
            for it in items
        }


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Two nodes of two GPUs, and an operator that protects nobody from being ended for others."""
    with ControlPlane.start("queue-test", kwok_nodes=2, gpus_per_node=2) as cluster:
        install_crd(cluster)
        cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        port = free_port(cluster)
        settings = {"LOADSTAR_SERVING_PORT": str(port), "LOADSTAR_PREEMPTION_PROTECTED_SECONDS": "0"}
        operator: Process = operator_process(cluster, settings)
        operator.start()
        yield Site(cluster, operator, 0, port)
        operator.stop()


@pytest.fixture
def queue(site: Site) -> Iterator[Queue]:
    """A namespace for jobs. Afterwards they are gone, with their pods."""
    name, api = f"queue-{uuid4().hex[:6]}", site.cluster.api
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    until(partial(_answers, site, f"/api/v1/namespaces/{name}/serviceaccounts/default"), "its account")
    queue = Queue(site, name)
    yield queue
    api.delete(queue.jobs)
    until(lambda: not api.get(queue.jobs)["items"], "no job is left")
    api.delete(f"/api/v1/namespaces/{name}/pods")
    until(lambda: not api.get(f"/api/v1/namespaces/{name}/pods")["items"], "no pod is left")
    api.delete(f"/api/v1/namespaces/{name}")


def _answers(site: Site, path: str) -> bool:
    try:
        site.cluster.api.get(path)
    except ApiError:
        return False
    return True


def _more_than(site: Site, cycles: float) -> bool:
    return site.metric(_CYCLES) > cycles


@pytest.fixture
def make_class(site: Site) -> Iterator[Callable[[str, int], str]]:
    """Makes PriorityClasses of the names' beginnings and values given, for the time of the test; their names."""
    made = []

    def make(name: str, value: int) -> str:
        made.append(f"{name}-{uuid4().hex[:6]}")
        site.cluster.api.post(_CLASSES, {"metadata": {"name": made[-1]}, "value": value})
        return made[-1]

    yield make
    for name in made:
        site.cluster.api.delete(f"{_CLASSES}/{name}")


def test_a_gang_is_ended_whole_for_an_urgent_job_and_goes_on_after_it(
    queue: Queue, make_class: Callable[[str, int], str]
) -> None:
    queue.apply("victim", _WHOLE, runPolicy={"backoffLimit": 0})
    queue.runs("victim")
    queue.apply("urgent", _NODE, scheduling={"priorityClassName": make_class("urgent", 1000)})
    queue.runs("urgent")
    assert queue.pods("victim") == []
    until(lambda: queue.status("victim")["phase"] == "Queued", "the victim is back in the queue")
    victim = queue.status("victim")
    assert victim["restarts"] == {"counted": 0, "infrastructure": 1}
    assert victim["lastFailure"]["reason"] == "Preempted"
    assert f"{queue.namespace}/urgent" in victim["lastFailure"]["message"]

    queue.end("urgent")
    queue.runs("victim", attempt=2)
    assert sorted(queue.pods("victim")) == ["victim-2-0", "victim-2-1"]


def test_nobody_is_ended_for_a_job_whose_class_never_preempts(queue: Queue, site: Site) -> None:
    name = f"polite-{uuid4().hex[:6]}"
    body = {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"}
    site.cluster.api.post(_CLASSES, body)
    queue.apply("running", _WHOLE)
    queue.runs("running")
    queue.apply("usual", _NODE)
    until(lambda: queue.order() == ["usual"], "the usual job waits")
    queue.apply("polite", _NODE, scheduling={"priorityClassName": name})
    until(lambda: queue.order() == ["polite", "usual"], "it goes before others in the queue")
    assert queue.status("running")["phase"] == "Running"
    site.cluster.api.delete(f"{_CLASSES}/{name}")


def test_a_class_that_is_made_or_goes_changes_the_order_of_those_who_wait(queue: Queue, site: Site) -> None:
    name = f"soon-{uuid4().hex[:6]}"
    body = {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"}
    queue.apply("running", _WHOLE)
    queue.runs("running")
    queue.apply("first", _NODE)
    until(lambda: queue.order() == ["first"], "the first one waits")
    queue.apply_later("second", _NODE, scheduling={"priorityClassName": name})
    until(lambda: queue.order() == ["first", "second"], "who came first is first")
    site.cluster.api.post(_CLASSES, body)
    until(lambda: queue.order() == ["second", "first"], "the class counts as soon as it is there")
    site.cluster.api.delete(f"{_CLASSES}/{name}")
    until(lambda: queue.order() == ["first", "second"], "and no more when it is gone")


def test_a_gang_waits_for_its_namespaces_quota_without_any_pod_and_starts_when_it_is_raised(
    queue: Queue,
) -> None:
    quotas = f"/api/v1/namespaces/{queue.namespace}/resourcequotas"
    hard = {"requests.nvidia.com/gpu": "3"}
    queue.api.post(quotas, {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    until(lambda: queue.api.get(f"{quotas}/few").get("status", {}).get("hard") == hard, "the quota holds")
    queue.apply("gang", _WHOLE)
    until(lambda: queue.status("gang").get("reason") == "QuotaExceeded", "it waits for quota")
    assert "ResourceQuota few allows" in queue.status("gang")["message"]
    assert queue.pods("gang") == []
    queue.api.merge(f"{quotas}/few", {"spec": {"hard": {"requests.nvidia.com/gpu": "4"}}})
    queue.runs("gang")
    assert queue.status("gang")["attempt"] == 1


def test_of_two_hundred_who_wait_no_status_is_written_when_nothing_changes_for_them(
    queue: Queue, site: Site, make_class: Callable[[str, int], str]
) -> None:
    lasting = {"runPolicy": {"activeDeadlineSeconds": 3600}}  # so that all have an expected start
    queue.apply("running", _WHOLE, **lasting)
    queue.runs("running")
    for number in range(200):
        queue.apply(f"waits-{number}", _NODE, **lasting)
    until(lambda: len(queue.order()) == 200, "all wait in their places")
    before = at_rest(queue.statuses, seconds=10.0)
    assert "estimatedStartTime" in queue.status("waits-199")["queue"]

    for number in range(5):
        cycles = site.metric(_CYCLES)
        make_class(f"unused-{number}", number)
        until(partial(_more_than, site, cycles), "another cycle")
    after = at_rest(queue.statuses, seconds=5.0)
    assert {name: (before[name], after[name]) for name in after if after[name] != before[name]} == {}


def test_an_operator_that_starts_again_keeps_the_order_and_what_groups_have_used(
    queue: Queue, site: Site
) -> None:
    hungry, modest = ({"queue": f"{name}-{queue.namespace}"} for name in ("hungry", "modest"))
    queue.apply("used", _WHOLE, scheduling=hungry)
    queue.runs("used")
    queue.apply("running", _WHOLE)
    until(lambda: queue.order() == ["running"], "somebody waits")
    since = datetime.fromisoformat(queue.status("used")["startTime"])
    until(lambda: datetime.now(UTC) - since > timedelta(seconds=2), "times in whole seconds tell of some use")
    queue.end("used")
    queue.runs("running")
    for name, group in (("more", hungry), ("yet-more", hungry), ("less", modest)):
        queue.apply_later(name, _NODE, scheduling=group)
    until(lambda: queue.order() == ["less", "more", "yet-more"], "those who used less come first")
    before = at_rest(queue.statuses)

    site.operator.kill()
    site.operator.start()
    until(partial(_more_than, site, 0), "a cycle of the new one")
    after = at_rest(queue.statuses, seconds=4.0)
    assert queue.order() == ["less", "more", "yet-more"]
    assert after["running"] == before["running"]
