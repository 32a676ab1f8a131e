"""What the operator decides on a real cluster, seen on real pods."""

import time

import pytest

from tests.cluster.monitoring import (
    Constant,
    Ramp,
    SimulatedLoad,
    query,
    start_prometheus,
    stop_prometheus,
)
from tests.e2e.installation import Installation
from tests.e2e.jobs import Jobs, Object, iris_job, on_gpus

pytestmark = pytest.mark.kind

CALM = 0.3
FAR = 0.1
"""A difference of the weighted load that says which node will be the busier one; half of it are GPUs."""
RAMP_SECONDS = 300.0
"""The loads cross after 131 s; that they will is plain to a forecast half a minute before."""


def nodes_of(jobs: Jobs, name: str) -> list[str]:
    return [pod["spec"]["nodeName"] for pod in jobs.pods(name)]


@pytest.fixture
def load(operator: Installation, jobs: Jobs) -> SimulatedLoad:
    """The simulated load of the workers, calm at the start, also in the operator's eyes."""
    simulated = SimulatedLoad(operator.cluster)
    simulated.set({node: Constant(0.1) for node in workers(operator)})

    def calm() -> bool:
        forecasts = operator.forecasts()
        return all(forecasts.get(node, 1.0) < CALM for node in workers(operator))

    jobs.wait_for("all is calm", calm)
    return simulated


def workers(operator: Installation) -> tuple[str, str]:
    listed = operator.cluster.api.get("/api/v1/nodes?labelSelector=nvidia.com/gpu.present%3Dtrue")["items"]
    first, second = sorted(str(node["metadata"]["name"]) for node in listed)
    return first, second


def load_now(operator: Installation) -> dict[str, float]:
    """Each node's GPU activity as Prometheus has it now, whichever way its label is spelt."""
    activity = query(operator.cluster, "last_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE[1m])")
    return {point.labels.get("Hostname") or point.labels["hostname"]: point.value for point in activity}


def foreseen(operator: Installation, *, busy: str, calm: str, jobs: Jobs) -> None:
    """Wait until the operator itself expects more load of one node than of the other, by far."""

    def apart() -> bool:
        forecasts = operator.forecasts()
        return forecasts.get(busy, 0.0) > forecasts.get(calm, 1.0) + FAR

    jobs.wait_for(f"more load is expected on {busy} than on {calm}", apart)


def test_a_job_goes_where_load_will_be_low_not_where_it_is_low_now(
    operator: Installation, load: SimulatedLoad, jobs: Jobs
) -> None:
    will_be_busy, will_be_calm = workers(operator)  # by name and by the load of now it would be the first
    load.set({will_be_calm: Ramp(0.95, 0.05, RAMP_SECONDS), will_be_busy: Ramp(0.25, 0.95, RAMP_SECONDS)})
    foreseen(operator, busy=will_be_busy, calm=will_be_calm, jobs=jobs)
    current = load_now(operator)
    assert current[will_be_calm] > current[will_be_busy], "the ramps have crossed already"

    jobs.apply(iris_job("ahead", trainer=on_gpus(1)))
    status = jobs.wait_for_phase("ahead", "Succeeded")

    assert nodes_of(jobs, "ahead") == [will_be_calm]
    placed = status["placement"]["nodes"][0]
    assert float(placed["forecast"]) < float(placed["load"])
    assert status["placement"]["policy"] == "predictive"
    assert sum(map(float, placed["terms"].values())) == pytest.approx(float(placed["score"]), abs=3e-4)


def test_least_loaded_goes_by_the_load_of_now(
    operator: Installation, load: SimulatedLoad, jobs: Jobs
) -> None:
    calm, busy = workers(operator)
    load.set({busy: Constant(0.9), calm: Constant(0.1)})
    foreseen(operator, busy=busy, calm=calm, jobs=jobs)
    jobs.apply(iris_job("calm", trainer=on_gpus(1), scheduling={"policy": "leastLoaded"}))
    jobs.wait_for_phase("calm", "Succeeded")
    assert nodes_of(jobs, "calm") == [calm]


def test_a_job_goes_to_its_claim_though_less_load_is_expected_elsewhere(
    operator: Installation, load: SimulatedLoad, jobs: Jobs
) -> None:
    home, elsewhere = workers(operator)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}
    trainer = on_gpus(1) | {"volumes": [{"claim": "data", "mountPath": "/data"}]}

    load.set({home: Constant(0.1), elsewhere: Constant(0.9)})
    foreseen(operator, busy=elsewhere, calm=home, jobs=jobs)
    jobs.apply(claim, iris_job("first", trainer=trainer))  # its node gets the volume
    jobs.wait_for_phase("first", "Succeeded")
    assert nodes_of(jobs, "first") == [home]

    load.set({home: Constant(0.9), elsewhere: Constant(0.1)})
    foreseen(operator, busy=home, calm=elsewhere, jobs=jobs)
    jobs.apply(iris_job("second", trainer=trainer))
    status = jobs.wait_for_phase("second", "Succeeded")
    assert nodes_of(jobs, "second") == [home]
    refused = {it["reason"]: it["example"] for it in status["placement"]["rejected"]}
    assert refused["VolumeElsewhere"] == elsewhere


def test_jobs_run_without_prometheus_and_say_so(operator: Installation, jobs: Jobs) -> None:
    stop_prometheus(operator.cluster)
    try:
        jobs.wait_for("the operator has no load of any node", lambda: not operator.has_load())
        jobs.apply(iris_job("blind", trainer=on_gpus(1)))
        jobs.wait_for_phase("blind", "Succeeded")
        condition = jobs.condition("blind", "MetricsAvailable")
        assert condition["status"] == "False"
        assert condition["reason"] == "PrometheusUnavailable"
    finally:
        start_prometheus(operator.cluster)


def blocker(node: str, gpus: int) -> Object:
    """A pod of somebody else's that takes GPUs of one node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "somebody-else"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "pause",
                    "image": "loadstar/trainer:0.1.0",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "600"],
                    "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
                }
            ],
        },
    }


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_gang_starts_whole_or_not_at_all(gpus: int, operator: Installation, jobs: Jobs) -> None:
    taken, _ = workers(operator)
    jobs.apply(blocker(taken, 2))
    jobs.kubectl("wait", "pod/somebody-else", "--for=condition=Ready", "--timeout=60s")

    jobs.apply(iris_job("gang", trainer=on_gpus(gpus, nodes=2)))
    jobs.wait_for("the gang is queued", lambda: jobs.status("gang").get("phase") == "Queued")
    assert jobs.condition("gang", "Placed")["reason"] == "InsufficientResources"
    time.sleep(5)  # real time: several cycles, in any of which half of it could have started
    assert jobs.pods("gang") == []

    jobs.kubectl("delete", "pod", "somebody-else", "--wait=true")
    jobs.wait_for_phase("gang", "Succeeded")
    assert sorted(nodes_of(jobs, "gang")) == sorted(workers(operator))


def test_five_jobs_on_gpus_for_two_wait_with_a_reason_and_all_succeed(jobs: Jobs) -> None:
    names = [f"job-{number}" for number in range(5)]
    long = {"epochs": 400, "batchSize": 4}  # so that the queue stands still while it is looked at
    jobs.apply(*(iris_job(name, trainer=on_gpus(2), training=long) for name in names[:2]))
    jobs.apply(*(iris_job(name, trainer=on_gpus(2)) for name in names[2:]))

    def waiting() -> list[str]:
        return [name for name in names if jobs.status(name).get("phase") == "Queued"]

    jobs.wait_for("three jobs wait", lambda: len(waiting()) == 3)
    queued = waiting()
    for name in queued:
        condition = jobs.condition(name, "Placed")
        assert (condition["status"], condition["reason"]) == ("False", "InsufficientResources")
        assert "InsufficientGPUs" in condition["message"]
    jobs.wait_for(
        "each has its own place in the queue",
        lambda: sorted(jobs.status(name).get("queue", {}).get("position", 0) for name in queued) == [1, 2, 3],
    )
    for name in names:
        jobs.wait_for_phase(name, "Succeeded", seconds=180)
