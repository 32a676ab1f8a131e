"""The queue on a real cluster: bursts, priorities, fair shares, estimated starts and quotas, seen on real pods."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.cluster.kind import KindCluster
from tests.cluster.monitoring import Constant, SimulatedLoad, workers
from tests.e2e.installation import WEIGHT, Installation
from tests.e2e.jobs import Jobs, Object, iris_job, on_gpus
from tests.e2e.scripted import Script, Span, nap
from tests.e2e.volumes import make_claim

pytestmark = pytest.mark.kind

# --- a burst ------------------------------------------------------------------------------------------------------


GPUS = 8
"""Of each node while a burst comes; they are simulated, so there may be any number of them."""


@pytest.fixture
def many_gpus(own_kind_cluster: KindCluster, operator: Installation) -> Iterator[None]:
    """Workers with GPUS each; afterwards they have as many as before."""
    own_kind_cluster.advertise_gpus(GPUS)
    yield
    own_kind_cluster.advertise_gpus()


def burst(jobs: Jobs, policy: str) -> Counter[str]:
    """Apply GPUS jobs of one GPU at once; how many each node is given. They are gone afterwards."""
    names = [f"{policy.lower()}-{number}" for number in range(GPUS)]
    jobs.apply(*(nap(name, 600, scheduling={"policy": policy}) for name in names))

    def nodes() -> list[str]:
        placements = (job.get("status", {}).get("placement", {}) for job in jobs.all())
        return [node["name"] for placement in placements for node in placement.get("nodes", ())]

    jobs.wait_for("all are placed", lambda: len(nodes()) == len(names))
    found = Counter(nodes())
    jobs.kubectl("delete", "trainingjobs", "--all", "--wait=true")
    jobs.wait_for("their pods are gone", lambda: jobs.kubectl("get", "pods", "--output=name") == "")
    return found


def test_jobs_that_come_at_once_do_not_herd_onto_the_node_that_looks_calm(
    operator: Installation, jobs: Jobs, many_gpus: None
) -> None:
    first, second = (node.name for node in workers(operator.cluster))
    # The simulated load stays as it is, whatever runs: metrics lag behind for ever. Each job is expected to add 0.1, so
    # all of them would bring the first node to 1.1; five and three make 0.8 and 0.7.
    SimulatedLoad(operator.cluster).set({first: Constant(0.3), second: Constant(0.4)})
    jobs.wait_for("the operator sees it", lambda: apart(operator.forecasts(), first, second))
    assert burst(jobs, "leastLoaded") == {first: GPUS}, "so it is by measured load alone"
    spread = burst(jobs, "predictive")
    assert 2 <= spread[second] <= 5, spread


def apart(forecasts: dict[str, float], calm: str, busy: str) -> bool:
    """Whether the one is expected to be busier than the other, by the shares of signals in a node's load."""
    return forecasts.keys() >= {calm, busy} and 0.04 < forecasts[busy] - forecasts[calm] < 0.12


# --- priorities ---------------------------------------------------------------------------------------------------


@pytest.fixture
def urgent(jobs: Jobs) -> Iterator[str]:
    """A PriorityClass above that of jobs which name none."""
    name = f"urgent-{uuid4().hex[:8]}"
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    body = {**kind, "metadata": {"name": name}, "value": 1000}
    jobs.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(body))
    yield name
    jobs.kubectl("delete", "priorityclass", name)


def patient(jobs: Jobs, name: str, **scheduling: Any) -> Object:
    """A job on a whole node that ends after some 10 s and, as nobody can know, not after an hour: it stops early.

    All that it writes to its claim is what it saves when it is told to end.
    """
    make_claim(jobs, name)
    training = {
        "epochs": 100_000,
        "batchSize": 4,
        "seed": 5,
        "earlyStopping": {"metric": "accuracy", "patience": 250},
    }
    checkpoint = {"uri": f"pvc://{name}/checkpoints", "everyEpochs": 100_000}
    spec = {"training": training, "checkpoint": checkpoint, "scheduling": scheduling}
    return iris_job(name, trainer=on_gpus(2), runPolicy={"backoffLimit": 0}, **spec)


def test_a_job_that_is_ended_for_an_urgent_one_saves_and_ends_as_if_nothing_had_been(
    jobs: Jobs, urgent: str
) -> None:
    jobs.apply(patient(jobs, "victim"), patient(jobs, "undisturbed", priorityClassName=urgent))
    for name in ("victim", "undisturbed"):
        jobs.wait_for_phase(name, "Running")
    jobs.wait_for("some progress", lambda: "trainerStatus" in jobs.status("victim"))
    scheduling = {"priorityClassName": urgent}
    jobs.apply(iris_job("urgent", trainer=on_gpus(2), scheduling=scheduling))

    jobs.wait_for("the victim's end", lambda: jobs.status("victim").get("phase") == "Queued")
    jobs.wait_for_phase("urgent", "Succeeded")
    for name in ("victim", "undisturbed"):
        jobs.wait_for_phase(name, "Succeeded")

    victim, undisturbed = jobs.status("victim"), jobs.status("undisturbed")
    assert victim["restarts"] == {"counted": 0, "infrastructure": 1}
    assert victim["lastFailure"]["reason"] == "Preempted"
    assert victim["attempt"] == 2
    assert victim["result"]["resumedFrom"]["attempt"] == 1
    assert victim["result"]["metrics"] == undisturbed["result"]["metrics"]
    assert undisturbed["attempt"] == 1


# --- fair shares and estimates ------------------------------------------------------------------------------------


def test_groups_get_gpu_time_by_their_weights_and_jobs_start_when_it_was_said(jobs: Jobs) -> None:
    script = Script(jobs)
    script.flood("students", 8, seconds=6)
    jobs.wait_for("they have all GPUs", lambda: script.count("Running") == 4)
    script.flood("research", 9, seconds=6)
    script.finish()

    students, research = (script.spans(script.groups[group]) for group in ("students", "research"))
    both = Span(min(it.begin for it in research), max(it.begin for it in research))
    shares = [sum(span.within(both) for span in spans) for spans in (students, research)]
    assert shares[1] / sum(shares) == pytest.approx(WEIGHT / (WEIGHT + 1), abs=0.1), shares
    assert script.error() <= 0.3


# --- quotas -------------------------------------------------------------------------------------------------------


def quota(gpus: int) -> str:
    spec = {"hard": {"requests.nvidia.com/gpu": str(gpus)}}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": spec}
    )


def test_a_job_waits_for_quota_without_a_pod_and_starts_when_it_is_raised(jobs: Jobs) -> None:
    jobs.kubectl("apply", "--filename=-", stdin=quota(1))
    jobs.apply(nap("first", 600))
    jobs.wait_for_phase("first", "Running")
    jobs.apply(nap("second", 1))
    jobs.wait_for("a reason", lambda: jobs.condition("second", "Placed").get("reason") == "QuotaExceeded")
    assert jobs.status("second")["phase"] == "Queued"
    assert jobs.pods("second") == []

    jobs.kubectl("apply", "--filename=-", stdin=quota(2))
    status = jobs.wait_for_phase("second", "Succeeded")
    assert status["attempt"] == 1, "no pod was refused by the API server"
    assert jobs.status("first")["phase"] == "Running"
