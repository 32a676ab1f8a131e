"""Installing, killing and removing the operator on a real cluster."""

import os
import subprocess

import pytest

from tests.cluster.engine import engine
from tests.cluster.kind import KindCluster
from tests.e2e.installation import NAMESPACE, ROOT, Installation
from tests.e2e.jobs import Jobs, iris_job, on_gpus

pytestmark = pytest.mark.kind

LONG = {"epochs": 400, "batchSize": 4}
"""Long enough to be killed in the middle of."""


def kill_operator(operator: Installation) -> None:
    """SIGKILL to the operator's process, from inside of its node."""
    assert isinstance(operator.cluster, KindCluster)
    node = operator.pod()["spec"]["nodeName"]
    environment = {**os.environ, **engine.ensure()}
    script = "kill -9 $(pgrep -f '[l]oadstar run')"
    subprocess.run(["docker", "exec", node, "sh", "-c", script], env=environment, check=True)


def test_a_killed_operator_changes_no_result_and_launches_nothing_twice(
    operator: Installation, kind_cluster: object, jobs: Jobs
) -> None:
    if not isinstance(kind_cluster, KindCluster):
        pytest.skip(
            "killing the operator's process needs the node's container, which only kind's clusters have"
        )
    names = ["one", "two", "three"]
    before = operator.restarts()
    jobs.apply(*(iris_job(name, trainer=on_gpus(2), training=LONG) for name in names))
    jobs.wait_for("two jobs run", lambda: sum(jobs.status(n).get("phase") == "Running" for n in names) == 2)
    kill_operator(operator)
    for name in names:
        jobs.wait_for_phase(name, "Succeeded", seconds=240)
    assert operator.restarts() == before + 1
    for name in names:
        assert [pod["metadata"]["name"] for pod in jobs.pods(name)] == [f"{name}-1-0"]
        assert jobs.status(name)["attempt"] == 1
        assert jobs.status(name)["accuracy"] == jobs.record(name)["accuracy"]


def test_an_upgrade_leaves_a_running_job_alone(operator: Installation, jobs: Jobs) -> None:
    jobs.apply(iris_job("steady", trainer=on_gpus(1), training=LONG))
    jobs.wait_for_phase("steady", "Running")
    operator.install(**{"log.level": "debug"})
    status = jobs.wait_for_phase("steady", "Succeeded")
    assert status["attempt"] == 1
    operator.install()


def test_uninstalling_leaves_only_the_crd_and_install_yaml_does_the_same_job(
    operator: Installation, jobs: Jobs
) -> None:
    install = ROOT / "manifests" / "install.yaml"
    try:
        operator.uninstall()
        kinds = "clusterroles,clusterrolebindings"
        selector = "--selector=app.kubernetes.io/part-of=loadstar,app.kubernetes.io/managed-by=Helm"
        assert operator.cluster.kubectl("get", kinds, selector, "--output=name") == ""
        left = ("-n", NAMESPACE, "get", "all,leases", "--output=name")
        jobs.wait_for("nothing is left", lambda: operator.cluster.kubectl(*left) == "")
        assert "trainingjobs.loadstar.dev" in operator.cluster.kubectl("get", "crds", "--output=name")

        operator.cluster.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={install}")
        operator.cluster.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/loadstar", "--timeout=90s")
        jobs.apply(iris_job("plain", trainer=on_gpus(1)))
        jobs.wait_for_phase("plain", "Succeeded")
    finally:
        operator.cluster.kubectl("delete", f"--filename={install}", "--wait=true", "--ignore-not-found")
        operator.install()
