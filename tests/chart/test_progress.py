"""The way from the pods of jobs to the operator's progress endpoint."""

from tests.chart.helm import Helm, named


def test_the_service_leads_to_the_operators_pod_at_the_address_that_pods_are_told(helm: Helm) -> None:
    objects = helm.template({"progress": {"service": {"port": 443, "annotations": {"note": "a"}}}})
    service, pod = named(objects, "Service", "loadstar-progress"), named(objects, "Deployment")["spec"]
    assert service["metadata"]["annotations"] == {"note": "a"}
    assert service["spec"] == {
        "selector": pod["selector"]["matchLabels"],
        "ports": [{"name": "progress", "port": 443, "targetPort": "progress", "protocol": "TCP"}],
    }
    variables = pod["template"]["spec"]["containers"][0]["env"]
    told = {"name": "LOADSTAR_PROGRESS_URL", "value": "https://loadstar-progress.loadstar-system.svc:443"}
    assert told in variables


def test_the_secret_of_the_certificates_is_empty_and_the_one_that_the_operator_may_use(helm: Helm) -> None:
    objects = helm.template()
    secret = named(objects, "Secret")
    assert not {"data", "stringData"} & set(secret)
    [rule] = named(objects, "Role", "loadstar-progress")["rules"]
    assert rule["resourceNames"] == [secret["metadata"]["name"]]


def test_nothing_of_it_is_left_when_it_is_turned_off(helm: Helm) -> None:
    off = {"progress": {"enabled": False}, "networkPolicy": {"enabled": True}, "crds": {"enabled": False}}
    assert "progress" not in str(helm.template(off)).lower()
