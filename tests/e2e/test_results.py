"""What a job reports while it runs and at its end, and that nothing of it is lost."""

import os
import subprocess
from typing import Any

import pytest

from tests.cluster.engine import engine
from tests.cluster.kind import KindCluster
from tests.e2e.installation import NAMESPACE, Installation
from tests.e2e.jobs import Jobs, iris_job, on_gpus
from tests.e2e.volumes import make_claim

pytestmark = pytest.mark.kind

LONG = {"epochs": 2000, "batchSize": 4}


def kill_trainer(jobs: Jobs, name: str) -> None:
    """SIGKILL to all training processes of the job's first pod, from inside of its node."""
    assert isinstance(jobs.cluster, KindCluster)
    (pod,) = jobs.pods(name)
    script = f"kill -9 $(pgrep -f '[l]oadstar_trainer' -d ' ') # {pod['metadata']['name']}"
    command = ["docker", "exec", pod["spec"]["nodeName"], "sh", "-c", script]
    subprocess.run(command, env={**os.environ, **engine.ensure()}, check=True)


def replicas(jobs: Jobs, count: int) -> None:
    jobs.cluster.kubectl("-n", NAMESPACE, "scale", "deployment/loadstar", f"--replicas={count}")


def test_progress_is_in_the_resource_while_it_runs_and_in_its_column(jobs: Jobs) -> None:
    jobs.apply(iris_job("watched", trainer=on_gpus(1), training=LONG))

    def reported() -> dict[str, Any]:
        status: dict[str, Any] = jobs.status("watched").get("trainerStatus") or {}
        return status

    jobs.wait_for("progress", lambda: 0 < reported().get("progressPercentage", 0) < 100)
    assert {metric["name"] for metric in reported()["metrics"]} >= {
        "epoch",
        "trainLoss",
        "validationAccuracy",
    }
    assert "PROGRESS" in jobs.kubectl("get", "tj").splitlines()[0]
    jobs.wait_for_phase("watched", "Succeeded")
    jobs.wait_for("the last report", lambda: reported()["progressPercentage"] == 100)


def test_a_result_of_a_job_that_ended_while_no_operator_ran_is_not_lost(
    operator: Installation, jobs: Jobs
) -> None:
    jobs.apply(iris_job("alone", trainer=on_gpus(1), training={"epochs": 1500, "batchSize": 4}))
    jobs.wait_for_phase("alone", "Running")
    replicas(jobs, 0)
    try:
        selector = "--selector=app.kubernetes.io/name=loadstar"
        jobs.cluster.kubectl("-n", NAMESPACE, "wait", "pod", selector, "--for=delete", "--timeout=60s")
        jobs.wait_for("the end of its pod", lambda: jobs.pods("alone")[0]["status"]["phase"] == "Succeeded")
        assert jobs.status("alone")["phase"] == "Running"
    finally:
        replicas(jobs, 1)
        jobs.cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/loadstar", "--timeout=90s")
    status = jobs.wait_for_phase("alone", "Succeeded")
    assert status["accuracy"] == jobs.record("alone")["accuracy"]
    assert status["result"]["metrics"] == jobs.record("alone")["metrics"]


def test_a_goal_that_is_not_met_fails_the_job_and_keeps_its_metrics(jobs: Jobs) -> None:
    goal = {"metric": "accuracy", "min": 0.999}
    training = {"epochs": 1, "learningRate": 0.0001}
    jobs.apply(iris_job("ambitious", trainer=on_gpus(1), training=training, evaluation={"goal": goal}))
    status = jobs.wait_for_phase("ambitious", "Failed")
    assert jobs.condition("ambitious", "Succeeded")["reason"] == "GoalNotMet"
    assert status["accuracy"] == jobs.record("ambitious")["accuracy"]


def test_a_killed_job_goes_on_from_its_checkpoint_and_ends_as_if_nothing_had_been(
    kind_cluster: object, jobs: Jobs
) -> None:
    if not isinstance(kind_cluster, KindCluster):
        pytest.skip("killing a training process needs the node's container, which only kind's clusters have")
    training = {"epochs": 1000, "batchSize": 4, "seed": 5}
    for name in ("killed", "undisturbed"):
        make_claim(jobs, name)
        checkpoint = {"uri": f"pvc://{name}/checkpoints", "everyEpochs": 5}
        # All GPUs of a node each: one of them is killed with all that trains on its node.
        jobs.apply(iris_job(name, trainer=on_gpus(2), training=training, checkpoint=checkpoint))
    jobs.wait_for("some progress", lambda: 20 < _percent(jobs, "killed") < 100)
    kill_trainer(jobs, "killed")
    for name in ("killed", "undisturbed"):
        jobs.wait_for_phase(name, "Succeeded", seconds=240)
    killed, undisturbed = jobs.status("killed"), jobs.status("undisturbed")
    assert killed["attempt"] == 2
    assert killed["result"]["resumedFrom"]["attempt"] == 1
    assert killed["result"]["metrics"] == undisturbed["result"]["metrics"]


def _percent(jobs: Jobs, name: str) -> int:
    reported = jobs.status(name).get("trainerStatus") or {}
    return int(reported.get("progressPercentage", 0))
