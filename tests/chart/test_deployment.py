"""The operator's pod."""

from typing import Any

import pytest

from loadstar.settings import Settings
from tests.chart.helm import Helm, Object, named

_DIGEST = "sha256:" + "a" * 64


def _pod(helm: Helm, values: Object | None = None) -> Object:
    pod: Object = named(helm.template(values), "Deployment")["spec"]["template"]
    return pod


def _container(helm: Helm, values: Object | None = None) -> Object:
    [container] = _pod(helm, values)["spec"]["containers"]
    return dict(container)


def test_one_pod_at_a_time(helm: Helm) -> None:
    spec = named(helm.template(), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_selector_finds_the_pod_and_not_the_test_pod(helm: Helm) -> None:
    objects = helm.template()
    deployment = named(objects, "Deployment")["spec"]
    wanted = deployment["selector"]["matchLabels"].items()
    assert wanted <= deployment["template"]["metadata"]["labels"].items()
    assert not wanted <= named(objects, "Pod")["metadata"]["labels"].items()


@pytest.mark.parametrize("kind", ["Deployment", "Pod"])
def test_pods_are_restricted(helm: Helm, kind: str) -> None:
    body = named(helm.template(), kind)
    spec = body["spec"] if kind == "Pod" else body["spec"]["template"]["spec"]
    pod = spec["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"]) == (True, 65532, 65532)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_only_tmp_can_be_written(helm: Helm) -> None:
    pod = _pod(helm)["spec"]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")],
)
def test_probes_ask_the_port_that_the_operator_serves(helm: Helm, probe: str, path: str) -> None:
    container = _container(helm)
    assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    assert container["ports"] == [
        {"name": "http", "containerPort": Settings().serving_port, "protocol": "TCP"},
        {"name": "progress", "containerPort": Settings().progress_port, "protocol": "TCP"},
    ]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "loadstar/operator:0.1.0"),
        ({"repository": "here/it", "tag": "x"}, "here/it:x"),
        ({"tag": "x", "digest": _DIGEST}, f"loadstar/operator@{_DIGEST}"),
    ],
)
def test_a_digest_wins_over_a_tag_and_a_tag_over_the_version(
    helm: Helm, image: Object, reference: str
) -> None:
    objects = helm.template({"image": image})
    assert named(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == reference
    assert named(objects, "Pod")["spec"]["containers"][0]["image"] == reference


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ("nodeSelector", {"role": "infra"}),
        ("tolerations", [{"operator": "Exists"}]),
        ("affinity", {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}),
        ("priorityClassName", "system-cluster-critical"),
        ("imagePullSecrets", [{"name": "registry"}]),
    ],
)
def test_a_value_for_the_pod_reaches_it(helm: Helm, value: str, given: Any) -> None:
    assert value not in _pod(helm)["spec"]
    assert _pod(helm, {value: given})["spec"][value] == given


def test_resources_pull_policy_and_further_variables_reach_the_container(helm: Helm) -> None:
    resources = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    extra = {"name": "HTTPS_PROXY", "value": "http://proxy"}
    values = {"resources": resources, "image": {"pullPolicy": "Always"}, "extraEnv": [extra]}
    container = _container(helm, values)
    assert container["resources"] == resources
    assert container["imagePullPolicy"] == "Always"
    assert extra in container["env"]


def test_labels_and_annotations_reach_the_pod_but_not_its_selector(helm: Helm) -> None:
    values = {
        "podLabels": {"team": "a", "app.kubernetes.io/component": "other"},
        "podAnnotations": {"note": "b"},
        "commonLabels": {"cost": "c"},
    }
    deployment = named(helm.template(values), "Deployment")
    metadata = deployment["spec"]["template"]["metadata"]
    assert metadata["annotations"] == {"note": "b"}
    assert (metadata["labels"]["team"], metadata["labels"]["cost"]) == ("a", "c")
    assert metadata["labels"]["app.kubernetes.io/component"] == "operator"
    assert set(deployment["spec"]["selector"]["matchLabels"]) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/component",
    }


def test_common_labels_are_on_every_object(helm: Helm) -> None:
    everything = {
        "commonLabels": {"cost": "c"},
        "networkPolicy": {"enabled": True},
        "metrics": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    }
    objects = helm.template(everything)
    assert len(objects) == 21
    assert {body["metadata"]["labels"].get("cost") for body in objects} == {"c"}


def test_an_upgrade_that_changes_only_labels_of_the_chart_restarts_nothing(helm: Helm) -> None:
    labels = _pod(helm)["metadata"]["labels"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)


@pytest.mark.parametrize(
    ("value", "volume"),
    [
        (
            {"tokenSecret": {"name": "s", "key": "k"}},
            {
                "name": "prometheus-token",
                "secret": {"secretName": "s", "items": [{"key": "k", "path": "token"}]},
            },
        ),
        (
            {"caConfigMap": {"name": "c", "key": "k"}},
            {
                "name": "prometheus-ca",
                "configMap": {"name": "c", "items": [{"key": "k", "path": "ca.crt"}]},
            },
        ),
    ],
)
def test_a_credential_is_mounted_where_its_setting_points(helm: Helm, value: Object, volume: Object) -> None:
    pod = _pod(helm, {"prometheus": value})["spec"]
    assert pod["volumes"][1:] == [volume]
    [mount] = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == volume["name"]]
    source = volume.get("secret") or volume["configMap"]
    file = f"{mount['mountPath']}/{source['items'][0]['path']}"
    assert mount["readOnly"] is True
    assert file in [variable.get("value") for variable in pod["containers"][0]["env"]]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "loadstar"),
        ({"nameOverride": "trains"}, "loadstar-trains"),
        ({"fullnameOverride": "other"}, "other"),
    ],
)
def test_names_can_be_overridden(helm: Helm, values: Object, name: str) -> None:
    assert named(helm.template(values), "Deployment")["metadata"]["name"] == name
