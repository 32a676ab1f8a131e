"""The ways to the operator's metrics."""

import re
import time

import pytest

from loadstar.controller.metrics import Metrics
from tests.chart.helm import Helm, HelmError, named


def test_the_service_leads_to_the_operators_pod(helm: Helm) -> None:
    objects = helm.template({"metrics": {"service": {"port": 80, "annotations": {"note": "a"}}}})
    service = named(objects, "Service", "loadstar-metrics")
    assert service["metadata"]["annotations"] == {"note": "a"}
    assert service["spec"] == {
        "selector": named(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
    }


def test_the_test_pod_asks_the_service_for_readiness(helm: Helm) -> None:
    pod = named(helm.template({"metrics": {"service": {"port": 81}}}), "Pod")
    assert pod["spec"]["containers"][0]["command"][-1] == "http://loadstar-metrics:81/readyz"
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_without_the_service_there_is_no_test_pod(helm: Helm) -> None:
    objects = helm.template({"metrics": {"service": {"enabled": False}}})
    assert not {"loadstar-metrics", "loadstar-test-ready"} & {body["metadata"]["name"] for body in objects}


def test_nothing_that_needs_other_crds_is_installed_by_default(helm: Helm) -> None:
    groups = {body["apiVersion"].rpartition("/")[0] for body in helm.template()}
    assert groups == {
        "",
        "apps",
        "apiextensions.k8s.io",
        "coordination.k8s.io",
        "rbac.authorization.k8s.io",
    }


def test_the_service_monitor_selects_the_service(helm: Helm) -> None:
    chosen = {"enabled": True, "interval": "15s", "labels": {"release": "prometheus"}}
    objects = helm.template({"metrics": {"serviceMonitor": chosen}})
    monitor, service = named(objects, "ServiceMonitor"), named(objects, "Service", "loadstar-metrics")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["loadstar-system"]}
    assert monitor["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]


def test_a_service_monitor_without_the_service_is_refused(helm: Helm) -> None:
    values = {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}}
    with pytest.raises(HelmError, match=r"needs metrics\.service\.enabled"):
        helm.template(values)


def test_alerts_ask_for_metrics_that_the_operator_serves(helm: Helm) -> None:
    rule = named(
        helm.template({"metrics": {"prometheusRule": {"enabled": True, "labels": {"a": "b"}}}}),
        "PrometheusRule",
    )
    [group] = rule["spec"]["groups"]
    asked = {name for alert in group["rules"] for name in re.findall(r"loadstar_\w+(?=\{)", alert["expr"])}
    metrics = Metrics(time.time)
    metrics.passed(0.1, succeeded=False)
    served = metrics.exposition().decode()
    assert rule["metadata"]["labels"]["a"] == "b"
    assert [alert["alert"] for alert in group["rules"]] == [
        "LoadstarDown",
        "LoadstarWithoutLoads",
        "LoadstarPassesFail",
    ]
    assert asked == {"loadstar_metrics_age_seconds", "loadstar_reconcile_seconds_count"}
    assert [name for name in asked if f"\n{name}{{" not in served] == []
    assert 'signal="gpu"' in served
    assert 'result="failure"' in served


def test_alerts_are_about_this_release_alone(helm: Helm) -> None:
    values = {"fullnameOverride": "star", "metrics": {"prometheusRule": {"enabled": True}}}
    [group] = named(helm.template(values), "PrometheusRule")["spec"]["groups"]
    selectors = [match for alert in group["rules"] for match in re.findall(r"\{(.*?)\}", alert["expr"])]
    assert len(selectors) == 4
    assert all(it.startswith('namespace="loadstar-system",service="star-metrics"') for it in selectors)


def test_the_policy_opens_the_ports_that_are_served(helm: Helm) -> None:
    objects = helm.template({"networkPolicy": {"enabled": True}})
    assert named(objects, "NetworkPolicy")["spec"] == {
        "podSelector": named(objects, "Deployment")["spec"]["selector"],
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"port": "http", "protocol": "TCP"}]},
            {"ports": [{"port": "progress", "protocol": "TCP"}]},
        ],
    }


def test_the_policy_may_name_who_comes_in(helm: Helm) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    objects = helm.template({"networkPolicy": {"enabled": True, "from": peers}})
    assert named(objects, "NetworkPolicy")["spec"]["ingress"][0]["from"] == peers
