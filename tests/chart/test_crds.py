"""The CRD in the chart."""

import yaml

from tests.chart.helm import ROOT, Helm, named

_KIND = "CustomResourceDefinition"


def test_the_chart_installs_the_generated_crd(helm: Helm) -> None:
    generated = yaml.safe_load((ROOT / "manifests" / "crd.yaml").read_text())
    rendered = named(helm.template(), _KIND)
    assert rendered["spec"] == generated["spec"]
    assert rendered["metadata"]["name"] == generated["metadata"]["name"]


def test_the_crd_outlives_the_release_by_default(helm: Helm) -> None:
    assert named(helm.template(), _KIND)["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_crd_goes_with_the_release_on_request(helm: Helm) -> None:
    assert "annotations" not in named(helm.template({"crds": {"keep": False}}), _KIND)["metadata"]


def test_the_crd_can_be_left_out(helm: Helm) -> None:
    assert _KIND not in {body["kind"] for body in helm.template({"crds": {"enabled": False}})}
