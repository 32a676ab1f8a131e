"""Rights: exactly these, of the operator and of people."""

import pytest

from tests.chart.helm import Helm, Object, named

_READER = [
    {"apiGroups": ["loadstar.dev"], "resources": ["trainingjobs"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["list", "watch"]},
    {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["list", "watch"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["get"]},
]
_RUNNER = [
    {"apiGroups": ["loadstar.dev"], "resources": ["trainingjobs"], "verbs": ["get", "delete"]},
    {"apiGroups": ["loadstar.dev"], "resources": ["trainingjobs/status"], "verbs": ["patch"]},
    {"apiGroups": ["loadstar.dev"], "resources": ["trainingjobs/finalizers"], "verbs": ["update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create", "delete"]},
    {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "create"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]},
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
_LEASE = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["loadstar"],
        "verbs": ["get", "update"],
    },
]
_PROGRESS = [
    {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["loadstar-progress-tls"],
        "verbs": ["get", "update"],
    }
]
_VIEW = [
    {
        "apiGroups": ["loadstar.dev"],
        "resources": ["trainingjobs", "trainingjobs/status"],
        "verbs": ["get", "list", "watch"],
    }
]
_EDIT = [
    {
        "apiGroups": ["loadstar.dev"],
        "resources": ["trainingjobs"],
        "verbs": ["create", "delete", "deletecollection", "patch", "update"],
    }
]
_SUBJECT = {"kind": "ServiceAccount", "name": "loadstar", "namespace": "loadstar-system"}


def _bindings(objects: list[Object]) -> set[tuple[str, str | None, str]]:
    """(kind of the binding, its namespace, the role) of all bindings."""
    return {
        (body["kind"], body["metadata"].get("namespace"), body["roleRef"]["name"])
        for body in objects
        if body["kind"].endswith("Binding")
    }


def test_the_rules_are_exactly_these(helm: Helm) -> None:
    rules = {
        body["metadata"]["name"]: body["rules"]
        for body in helm.template()
        if body["kind"] in {"Role", "ClusterRole"}
    }
    assert rules == {
        "loadstar-reader": _READER,
        "loadstar-runner": _RUNNER,
        "loadstar-lease": _LEASE,
        "loadstar-progress": _PROGRESS,
        "loadstar-view": _VIEW,
        "loadstar-edit": _EDIT,
    }


def test_the_operator_writes_in_all_namespaces_by_default(helm: Helm) -> None:
    assert _bindings(helm.template()) == {
        ("ClusterRoleBinding", None, "loadstar-reader"),
        ("ClusterRoleBinding", None, "loadstar-runner"),
        ("RoleBinding", "loadstar-system", "loadstar-lease"),
        ("RoleBinding", "loadstar-system", "loadstar-progress"),
    }


def test_the_operator_writes_only_in_watched_namespaces(helm: Helm) -> None:
    assert _bindings(helm.template({"watchNamespaces": ["team-a", "team-b"]})) == {
        ("ClusterRoleBinding", None, "loadstar-reader"),
        ("RoleBinding", "team-a", "loadstar-runner"),
        ("RoleBinding", "team-b", "loadstar-runner"),
        ("RoleBinding", "loadstar-system", "loadstar-lease"),
        ("RoleBinding", "loadstar-system", "loadstar-progress"),
    }


@pytest.mark.parametrize("watched", [[], ["team-a"]])
def test_every_binding_is_for_the_operators_account_alone(helm: Helm, watched: list[str]) -> None:
    objects = helm.template({"watchNamespaces": watched})
    assert [body["subjects"] for body in objects if "subjects" in body] == [[_SUBJECT]] * 4
    assert named(objects, "ServiceAccount")["metadata"]["name"] == "loadstar"
    pod = named(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "loadstar"


def test_the_test_pod_has_no_token(helm: Helm) -> None:
    assert named(helm.template(), "Pod")["spec"]["automountServiceAccountToken"] is False


def test_the_cluster_roles_view_and_edit_take_the_roles_for_people_in(helm: Helm) -> None:
    objects = helm.template()
    for role in ("view", "edit"):
        labels = named(objects, "ClusterRole", f"loadstar-{role}")["metadata"]["labels"]
        aggregated = [label for label in labels if label.startswith("rbac.authorization.k8s.io/")]
        assert aggregated == [f"rbac.authorization.k8s.io/aggregate-to-{role}"]


def test_the_roles_for_people_can_be_left_out(helm: Helm) -> None:
    objects = helm.template({"rbac": {"aggregate": False}})
    roles = [body["metadata"]["name"] for body in objects if body["kind"] == "ClusterRole"]
    assert roles == ["loadstar-reader", "loadstar-runner"]


def test_all_rights_can_be_left_out(helm: Helm) -> None:
    kinds = {body["kind"] for body in helm.template({"rbac": {"create": False}})}
    assert not {kind for kind in kinds if "Role" in kind}


@pytest.mark.parametrize(
    ("account", "name", "made"),
    [({"create": False}, "default", 0), ({"create": False, "name": "x"}, "x", 0), ({"name": "x"}, "x", 1)],
)
def test_another_account_can_be_used(helm: Helm, account: Object, name: str, made: int) -> None:
    objects = helm.template({"serviceAccount": account})
    pod = named(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == name
    assert {body["subjects"][0]["name"] for body in objects if "subjects" in body} == {name}
    assert len([body for body in objects if body["kind"] == "ServiceAccount"]) == made


def test_the_account_can_have_annotations(helm: Helm) -> None:
    objects = helm.template({"serviceAccount": {"annotations": {"role": "arn"}}})
    assert named(objects, "ServiceAccount")["metadata"]["annotations"] == {"role": "arn"}
