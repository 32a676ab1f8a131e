"""What the chart refuses, and that its schema knows every value."""

import json
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, Helm, HelmError, Object

_SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
_VALUES: Object = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"replicas": 2}, "replicas"),
        ({"image": {"name": "x"}}, "image.*name"),
        ({"image": {"digest": "abc"}}, "image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "image/pullPolicy"),
        ({"imagePullSecrets": ["registry"]}, "imagePullSecrets/0"),
        ({"trainer": {"image": {"repository": ""}}}, "trainer/image/repository"),
        ({"crds": {"keep": "yes"}}, "crds/keep"),
        ({"watchNamespaces": "team-a"}, "watchNamespaces"),
        ({"watchNamespaces": ["Team A"]}, "watchNamespaces/0"),
        ({"prometheus": {"url": "prometheus:9090"}}, "prometheus/url"),
        ({"prometheus": {"timeoutSeconds": 0}}, "prometheus/timeoutSeconds"),
        ({"load": {"freshScrapes": 1.5}}, "load/freshScrapes"),
        ({"load": {"weights": {"gpu": 1.1}}}, "load/weights/gpu"),
        ({"load": {"weights": {"network": 1}}}, "load/weights"),
        ({"pinTimeoutSeconds": "15s"}, "pinTimeoutSeconds"),
        ({"relistSeconds": 86401}, "relistSeconds"),
        ({"api": {"concurrency": 129}}, "api/concurrency"),
        ({"log": {"level": "trace"}}, "log/level"),
        ({"extraEnv": [{"name": "LOADSTAR_LOG_LEVEL", "value": "debug"}]}, "extraEnv/0/name"),
        ({"podLabels": {"number": 1}}, "podLabels/number"),
        ({"metrics": {"service": {"port": 0}}}, "metrics/service/port"),
        ({"progress": {"enabled": "no"}}, "progress/enabled"),
        ({"metrics": {"serviceMonitor": {"interval": "often"}}}, "metrics/serviceMonitor/interval"),
        ({"resources": {"limits": {"memory": []}}}, "resources/limits/memory"),
        ({"fullnameOverride": "No_Name"}, "fullnameOverride"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, values: Object, where: str) -> None:
    with pytest.raises(HelmError, match=where):
        helm.template(values)


def test_the_chart_passes_lint(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), "--kube-version", "1.36.3")


def _paths(value: Any, at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of all leaves; an empty object is a leaf."""
    if not isinstance(value, dict) or not value:
        return {at}
    return {path for key, inner in value.items() for path in _paths(inner, (*at, key))}


def _closed_objects(schema: Object, at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of all that the schema lists by name."""
    properties = schema.get("properties")
    if not properties:
        return {at}
    assert schema["additionalProperties"] is False, f"{'.'.join(at)} takes unknown values"
    return {path for key, inner in properties.items() for path in _closed_objects(inner, (*at, key))}


def test_the_schema_and_the_values_name_the_same() -> None:
    without_defaults = {("global",), ("resources", "claims")}  # Helm's own, and an option of Kubernetes
    values = {path[:2] if path[0] == "resources" else path for path in _paths(_VALUES)}
    assert _closed_objects(_SCHEMA) - without_defaults == values
