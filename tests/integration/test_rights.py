"""The rights that the chart gives: the operator's suffice for all it does, people's come with the cluster's roles."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import yaml

from loadstar.api.labels import PROGRESS_CA_ANNOTATION
from tests.chart.helm import CHART, Helm
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import free_port, operator_process
from tests.cluster.processes import Process
from tests.integration.reporting import AUDIENCE, bound_token, report_body
from tests.integration.storage import CLAIM, make_claim, make_volume
from tests.waiting import until

pytestmark = pytest.mark.controlplane

NAMESPACE: Final = "loadstar-system"
_PLACE = ("--namespace", NAMESPACE)
_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/loadstar"
_JOB: dict[str, Any] = {
    "apiVersion": "loadstar.dev/v1alpha1",
    "kind": "TrainingJob",
    "spec": {
        "model": {"type": "mlp"},
        "dataset": {"builtin": "iris"},
        "trainer": {"numNodes": 2},
        "runPolicy": {"ttlSecondsAfterFinished": 1},
    },
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with two GPU nodes and the chart's release."""
    with ControlPlane.start("rights-test", kwok_nodes=2, gpus_per_node=1) as cluster:
        _helm(cluster, tmp_path_factory.mktemp("helm")).run(
            "install", "loadstar", str(CHART), *_PLACE, "--create-namespace", "--wait"
        )
        yield cluster


@pytest.fixture
def place(installed: ControlPlane) -> Iterator[str]:
    """A namespace for jobs, which takes restricted pods alone."""
    name = f"jobs-{uuid4().hex[:6]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    installed.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    until(lambda: not _gone(installed, account), "the namespace's account")
    yield name
    installed.api.delete(f"/api/v1/namespaces/{name}")


def _helm(cluster: ControlPlane, home: Path) -> Helm:
    return Helm("helm", home, cluster.kubeconfig)


@contextmanager
def _operator(cluster: ControlPlane, folder: Path, progress_port: int = 0) -> Iterator[Process]:
    """The operator with the account, the rights and the settings of the chart's pod, outside of the cluster."""
    settings = {
        **_settings(cluster),
        "LOADSTAR_KUBECONFIG": str(_kubeconfig(cluster, folder)),
        "LOADSTAR_PROGRESS_PORT": str(progress_port or free_port(cluster)),
    }
    operator = operator_process(cluster, settings, name="operator-of-the-chart")
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


def _report(cluster: ControlPlane, port: int, path: str) -> int:
    """Report as rank 0 of a job, to the address that its pod is told; the HTTP status of the answer."""
    _, namespace, _, name = path.rsplit("/", 3)
    pod = cluster.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}-1-0")
    told = {it["name"]: it.get("value", "") for it in pod["spec"]["containers"][0]["env"]}
    url = urlsplit(told["KUBEFLOW_TRAINER_SERVER_URL"])
    audience = AUDIENCE.format(namespace=namespace, name=name)
    context = ssl.create_default_context(cadata=pod["metadata"]["annotations"][PROGRESS_CA_ANNOTATION])
    connection = HTTPConnection(cluster.address, port, timeout=30)
    connection.connect()
    connection.sock = context.wrap_socket(connection.sock, server_hostname=url.hostname)
    token = bound_token(cluster, pod, audience)
    body = report_body(datetime.now(UTC), progressPercentage=50, metrics={"loss": "0.5"})
    connection.request("POST", url.path, body, {"Authorization": f"Bearer {token}"})
    with connection.getresponse() as answer:
        return answer.status


def _settings(cluster: ControlPlane) -> dict[str, str]:
    """The variables of the Deployment, with its pod's name as the kubelet would fill it in."""
    deployment = cluster.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/loadstar")
    fields = {"metadata.namespace": NAMESPACE, "metadata.name": "loadstar-0"}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {
        variable["name"]: variable.get("value") or fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for variable in container["env"]
    }


def _kubeconfig(cluster: ControlPlane, folder: Path) -> Path:
    """A kubeconfig with a token of the chart's ServiceAccount, as its pod would have one."""
    token = cluster.kubectl("create", "token", "loadstar", *_PLACE, "--duration=1h").strip()
    settings = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in settings["users"]:
        user["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(settings))
    return path


def _jobs(namespace: str) -> str:
    return f"/apis/loadstar.dev/v1alpha1/namespaces/{namespace}/trainingjobs"


def _apply(cluster: ControlPlane, namespace: str, name: str, **spec: Any) -> str:
    """Create a job, with these parts of its spec besides; its path."""
    metadata = {"name": name, "namespace": namespace}
    cluster.api.post(_jobs(namespace), {**_JOB, "metadata": metadata, "spec": _JOB["spec"] | spec})
    return f"{_jobs(namespace)}/{name}"


def _condition(cluster: ControlPlane, path: str, kind: str) -> str:
    """The status of a condition; "" where the job has none."""
    conditions = cluster.api.get(path).get("status", {}).get("conditions", [])
    return next((str(it["status"]) for it in conditions if it["type"] == kind), "")


def _finish(cluster: ControlPlane, path: str) -> None:
    """End all pods of a job in order, rank 0 with its record."""
    job = cluster.api.get(path)
    namespace, name, attempt = job["metadata"]["namespace"], job["metadata"]["name"], job["status"]["attempt"]
    record = {
        "version": 1,
        "jobUid": job["metadata"]["uid"],
        "attempt": attempt,
        "worldSize": 2,
        "seed": 0,
        "dataHash": "sha256:" + "0" * 64,
        "device": "cpu",
        "backend": "gloo",
        "torch": "2.6.0",
        "samples": {"train": 105, "validation": 15, "test": 30},
        "epochs": 10,
        "durationSeconds": 1.5,
        "accuracy": "0.9667",
        "metrics": [{"name": "accuracy", "value": "0.9667"}, {"name": "loss", "value": "0.1"}],
    }
    for rank in range(2):
        pod = f"/api/v1/namespaces/{namespace}/pods/{name}-{attempt}-{rank}"
        until(partial(_runs, cluster, pod), f"{pod} runs")
        ending = {"testbed.loadstar.dev/exit-code": "0"}
        if rank == 0:
            ending["testbed.loadstar.dev/termination-message"] = json.dumps(record)
        cluster.api.merge(pod, {"metadata": {"annotations": ending}})


def _runs(cluster: ControlPlane, pod: str) -> bool:
    return not _gone(cluster, pod) and bool(cluster.api.get(pod)["status"].get("phase") == "Running")


def _gone(cluster: ControlPlane, path: str) -> bool:
    try:
        cluster.api.get(path)
    except ApiError as error:
        return error.code == 404
    return False


def _reasons(cluster: ControlPlane, namespace: str, name: str) -> set[str]:
    """The reasons of all Events on a job."""
    events = cluster.api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    return {it["reason"] for it in events if it["regarding"]["name"] == name}


def test_the_operators_rights_suffice_from_the_lease_to_the_deletion_of_a_finished_job(
    installed: ControlPlane, place: str, tmp_path: Path
) -> None:
    cluster = installed
    with _operator(cluster, tmp_path) as operator:
        until(lambda: cluster.api.get(_LEASE).get("spec", {}).get("holderIdentity") == "loadstar-0", "Lease")
        make_volume(cluster, place, "ReadWriteMany")
        make_claim(cluster, place, "ReadWriteMany")
        path = _apply(cluster, place, "whole", checkpoint={"uri": f"pvc://{CLAIM}/runs"})
        until(lambda: _condition(cluster, path, "Placed") == "True", "placed")
        _finish(cluster, path)
        until(lambda: {"Placed", "Succeeded"} <= _reasons(cluster, place, "whole"), "Events")
        until(lambda: _gone(cluster, path), "the job is deleted after its time to live")
        assert "orbidden" not in operator.log.read_text()
    assert cluster.api.get(_LEASE)["spec"].get("holderIdentity", "") == ""
    # Kopf says so where it has taken the signal, and then waits for five seconds for what is not its own.
    assert "SIGTERM is received" not in operator.log.read_text()


def test_the_operators_rights_suffice_for_reports_and_keep_its_certificates(
    installed: ControlPlane, place: str, tmp_path: Path
) -> None:
    cluster = installed
    secret = f"/api/v1/namespaces/{NAMESPACE}/secrets/loadstar-progress-tls"
    port = free_port(cluster)
    with _operator(cluster, tmp_path, port) as operator:
        path = _apply(cluster, place, "reports", runPolicy={})
        until(lambda: _condition(cluster, path, "Running") == "True", "running")
        assert _report(cluster, port, path) == 200
        until(lambda: "trainerStatus" in cluster.api.get(path)["status"], "the report in the status")
        _finish(cluster, path)
        curves = f"/api/v1/namespaces/{place}/configmaps/reports-curves"
        until(lambda: not _gone(cluster, curves), "the curves, which the end of the job has written at once")
        kept = cluster.api.get(secret)["data"]
        assert set(kept) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
        assert "orbidden" not in operator.log.read_text()
    with _operator(cluster, tmp_path):
        assert cluster.api.get(secret)["data"] == kept


def test_the_operator_makes_a_deleted_lease_again(installed: ControlPlane, tmp_path: Path) -> None:
    with _operator(installed, tmp_path):
        until(lambda: installed.api.get(_LEASE).get("spec", {}).get("holderIdentity"), "Lease")
        installed.api.delete(_LEASE)
        until(lambda: not _gone(installed, _LEASE), "a new Lease")


def test_with_watched_namespaces_the_operator_runs_jobs_in_them_and_may_do_nothing_elsewhere(
    installed: ControlPlane, place: str, tmp_path: Path
) -> None:
    cluster, helm = installed, _helm(installed, tmp_path)
    upgrade = ("upgrade", "loadstar", str(CHART), *_PLACE)
    helm.run(*upgrade, *helm.given({"watchNamespaces": [place]}))
    elsewhere = _apply(cluster, "default", "elsewhere")
    with _operator(cluster, tmp_path) as operator:
        path = _apply(cluster, place, "watched")
        until(lambda: _condition(cluster, path, "Placed") == "True", "placed")
        _finish(cluster, path)
        until(lambda: _gone(cluster, path), "the job is deleted after its time to live")
        assert "status" not in cluster.api.get(elsewhere)
        assert "orbidden" not in operator.log.read_text()
    account = f"--as=system:serviceaccount:{NAMESPACE}:loadstar"
    allowed = cluster.kubectl("auth", "can-i", "--list", account, "--namespace=default", "--no-headers")
    verbs = {
        line.split()[0]: line.rpartition("[")[2] for line in allowed.splitlines() if ".loadstar.dev" in line
    }
    assert verbs == {"trainingjobs.loadstar.dev": "list watch]"}
    cluster.api.delete(elsewhere)
    helm.run(*upgrade)


@pytest.mark.parametrize(
    ("role", "verb", "what", "allowed"),
    [
        ("view", "watch", "trainingjobs", True),
        ("view", "create", "trainingjobs", False),
        ("edit", "create", "trainingjobs", True),
        ("edit", "delete", "trainingjobs", True),
        ("edit", "patch", "trainingjobs/status", False),
        ("admin", "create", "trainingjobs", True),
    ],
)
def test_people_get_rights_on_jobs_with_the_clusters_roles(
    installed: ControlPlane, role: str, verb: str, what: str, allowed: bool
) -> None:
    cluster, user = installed, f"somebody-{role}"
    binding = ("rolebinding", user, f"--clusterrole={role}", f"--user={user}")
    manifest = cluster.kubectl("create", *binding, "--dry-run=client", "-o", "yaml")
    cluster.kubectl("apply", "-f", "-", stdin=manifest)

    def as_expected() -> bool:
        review = {
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "namespace": "default",
                    "group": "loadstar.dev",
                    "verb": verb,
                    "resource": what.partition("/")[0],
                    "subresource": what.partition("/")[2],
                },
            }
        }
        answer = cluster.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"]) is allowed

    until(as_expected, f"{role} {'may' if allowed else 'may not'} {verb} {what}")
