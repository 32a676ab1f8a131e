"""Installing on a real API server: with both versions of Helm, and with kubectl; what comes, and what stays."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.chart.helm import CHART, PROGRAMS, ROOT, Helm
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.integration.crd import await_served
from tests.integration.inventory import Identity, Inventory, difference, inventory
from tests.waiting import until

pytestmark = pytest.mark.controlplane

_NAMESPACE: Final = "loadstar-system"
_PLACE: Final = ("--namespace", _NAMESPACE)
_CRD: Final[Identity] = (
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    "",
    "trainingjobs.loadstar.dev",
)
_CRD_PATH: Final = f"/apis/{_CRD[0]}/v1/{_CRD[1]}/{_CRD[3]}"
_LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{_NAMESPACE}/leases/loadstar"
_JOB: Final = {
    "apiVersion": "loadstar.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "kept"},
    "spec": {"model": {"type": "mlp"}, "dataset": {"builtin": "iris"}},
}
_JOBS: Final = "/apis/loadstar.dev/v1alpha1/namespaces/default/trainingjobs"
_NOT_INSTALLED: Final = {"secrets", "endpoints", "ipaddresses"}
"""Helm's own records, and what the server and its controllers make of a Service."""
_OF_THE_SERVER: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
_OF_A_TOOL: Final = (
    "helm.sh/",
    "meta.helm.sh/",
    "app.kubernetes.io/managed-by",
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """A control plane on which nobody else has installed anything, with the operator's namespace."""
    with ControlPlane.start("install-test") as it:
        _make_namespace(it)
        yield it


def _make_namespace(cluster: ControlPlane) -> None:
    """The namespace takes restricted pods alone; it is complete when the controllers have filled it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.api.post("/api/v1/namespaces", {"metadata": {"name": _NAMESPACE, "labels": labels}})
    parts = [
        f"/api/v1/namespaces/{_NAMESPACE}/{it}"
        for it in ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
    ]
    until(lambda: all(_exists(cluster, path) for path in parts), "a complete namespace")


@pytest.fixture(scope="module")
def bare(cluster: ControlPlane) -> Inventory:
    """What is in the control plane before anything is installed."""
    return inventory(cluster)


@pytest.fixture(params=PROGRAMS)
def helm(
    request: pytest.FixtureRequest, cluster: ControlPlane, bare: Inventory, tmp_path: Path
) -> Iterator[Helm]:
    """One major version of Helm on the control plane; what it installs is removed after the test."""
    it = Helm(cast(str, request.param), tmp_path, cluster.kubeconfig)
    yield it
    it.run("uninstall", "loadstar", *_PLACE, "--ignore-not-found")
    _delete_crd(cluster)
    _settles(cluster, bare, set())


def _delete_crd(cluster: ControlPlane) -> None:
    """Delete the CRD, if it was kept.

    One that is deleted before its storage is ready ("storage is (re)initializing") may stay for five minutes: the API
    server's finalizer fails, and where its next try meets an old copy of the CRD, it waits for a full resync.
    """
    if _exists(cluster, _CRD_PATH):
        await_served(cluster)
        cluster.api.delete(_CRD_PATH)
    until(lambda: not _exists(cluster, _CRD_PATH), "the CRD is gone")


def _exists(cluster: ControlPlane, path: str) -> bool:
    try:
        cluster.api.get(path)
    except ApiError as error:
        if error.code not in {404, 429}:  # 429: the storage of a new CRD is not ready yet
            raise
        return False
    return True


def _install(helm: Helm, **values: Any) -> None:
    helm.run("install", "loadstar", str(CHART), *_PLACE, *helm.given(values))


def _upgrade(helm: Helm, **values: Any) -> None:
    helm.run("upgrade", "loadstar", str(CHART), *_PLACE, *helm.given(values))


def _uninstall(helm: Helm) -> None:
    helm.run("uninstall", "loadstar", *_PLACE)


def _settles(cluster: ControlPlane, before: Inventory, left: set[Identity]) -> None:
    """Nothing differs from before but `left`, once the garbage collector is through."""
    last: list[set[Identity]] = []

    def settled() -> bool:
        last[:] = [difference(before, inventory(cluster))]
        return last == [left]

    with suppress(AssertionError):
        until(settled, "settled")
    assert last == [left]


def test_install_upgrade_and_uninstall_leave_the_crd_alone_behind(
    cluster: ControlPlane, bare: Inventory, helm: Helm
) -> None:
    _install(helm)
    until(lambda: _pods(cluster), "the operator's pod")
    _upgrade(helm, networkPolicy={"enabled": True}, watchNamespaces=["default"], log={"level": "debug"})
    _uninstall(helm)
    _settles(cluster, bare, {_CRD})


def _pods(cluster: ControlPlane) -> list[dict[str, Any]]:
    return list(cluster.api.get(f"/api/v1/namespaces/{_NAMESPACE}/pods")["items"])


def test_nothing_is_left_behind_where_the_crd_is_not_kept(
    cluster: ControlPlane, bare: Inventory, helm: Helm
) -> None:
    _install(helm, crds={"keep": False})
    await_served(cluster)
    _uninstall(helm)
    _settles(cluster, bare, set())


def test_jobs_outlive_the_release_and_are_there_for_the_next_one(cluster: ControlPlane, helm: Helm) -> None:
    _install(helm)
    await_served(cluster)
    cluster.api.post(_JOBS, _JOB)
    _uninstall(helm)
    _install(helm)
    assert [job["metadata"]["name"] for job in cluster.api.get(_JOBS)["items"]] == ["kept"]


def test_the_pod_is_accepted_in_a_restricted_namespace(cluster: ControlPlane, helm: Helm) -> None:
    _install(helm, prometheus={"tokenSecret": {"name": "token"}, "caConfigMap": {"name": "ca"}})
    [pod] = until(lambda: _pods(cluster), "the operator's pod")
    assert pod["spec"]["serviceAccountName"] == "loadstar"


def test_an_upgrade_leaves_the_holder_of_the_lease_alone(cluster: ControlPlane, helm: Helm) -> None:
    _install(helm)
    held = {"holderIdentity": "somebody", "leaseDurationSeconds": 12}
    cluster.api.merge(_LEASE, {"spec": held})
    _upgrade(helm, log={"level": "debug"})
    assert cluster.api.get(_LEASE)["spec"] == held


def test_an_upgrade_with_the_same_values_restarts_nothing(cluster: ControlPlane, helm: Helm) -> None:
    _install(helm)
    _upgrade(helm)
    deployment = cluster.api.get(f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments/loadstar")
    assert deployment["metadata"]["generation"] == 1


def test_the_first_job_of_the_notes_is_accepted(cluster: ControlPlane, helm: Helm) -> None:
    _install(helm)
    await_served(cluster)
    notes = helm.run("get", "notes", "loadstar", *_PLACE)
    job = re.search(r"<<EOF\n(.*?)^EOF$", notes, re.MULTILINE | re.DOTALL)
    assert job
    created = cluster.kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=job[1])
    assert created == "trainingjob.loadstar.dev/iris\n"
    assert "trainingjob/iris --for=condition=Succeeded" in notes


def test_kubectl_apply_does_the_same_as_the_chart(cluster: ControlPlane, bare: Inventory, helm: Helm) -> None:
    manifest = str(ROOT / "manifests" / "install.yaml")
    _install(helm)
    by_helm = _installed(cluster, bare)
    _uninstall(helm)
    _delete_crd(cluster)
    _settles(cluster, bare, set())
    cluster.kubectl("apply", "-f", manifest)
    by_kubectl = _installed(cluster, bare)
    cluster.kubectl("delete", "-f", manifest)
    _make_namespace(cluster)
    assert by_kubectl == by_helm
    assert len(by_helm) == 16


def _installed(cluster: ControlPlane, bare: Inventory) -> Inventory:
    """What was installed, without what differs by time or by the tool that installed it."""
    return {
        identity: _comparable(body)
        for identity, body in inventory(cluster).items()
        if identity not in bare
        and identity[1] not in _NOT_INSTALLED
        and not body["metadata"].get("ownerReferences")
    }


def _comparable(body: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _OF_THE_SERVER}
    for field in ("labels", "annotations"):
        kept = {
            key: value for key, value in metadata.get(field, {}).items() if not key.startswith(_OF_A_TOOL)
        }
        metadata[field] = kept
    addresses = ("clusterIP", "clusterIPs")
    spec = {key: value for key, value in (body.get("spec") or {}).items() if key not in addresses}
    return {**body, "metadata": metadata, "spec": spec, "status": None}
