"""What a pod mounts for its job's data, and how it is told where that is."""

from typing import Any

from loadstar.api.pods import ProgressEndpoint, build_pod
from tests.contract.jobs import job

ENDPOINT = ProgressEndpoint("https://loadstar.system.svc:10443", "-----BEGIN CERTIFICATE-----")
OWN = {"command": ["python", "train.py"]}


def pod(progress: ProgressEndpoint | None = None, **spec: Any) -> dict[str, Any]:
    return build_pod(job(**spec), attempt=1, rank=0, node="gpu-1", image="trainer:1", progress=progress)


def mounted(built: dict[str, Any]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By path: the volume's source, and the mount without its name and path."""
    sources = {volume.pop("name"): volume for volume in built["spec"]["volumes"]}
    mounts = built["spec"]["containers"][0]["volumeMounts"]
    return {mount.pop("mountPath"): (sources[mount.pop("name")], mount) for mount in mounts}


def claim(name: str) -> dict[str, Any]:
    return {"persistentVolumeClaim": {"claimName": name}}


def test_a_data_set_on_a_claim_is_mounted_read_only() -> None:
    found = mounted(pod(dataset={"builtin": ..., "uri": "pvc://data/a.csv"}))
    assert found["/mnt/dataset"] == (claim("data"), {"readOnly": True})


def test_of_a_config_map_only_the_key_is_mounted() -> None:
    found = mounted(pod(dataset={"builtin": ..., "uri": "configmap://small/a.csv"}))
    source = {"configMap": {"name": "small", "items": [{"key": "a.csv", "path": "a.csv"}]}}
    assert found["/mnt/dataset"] == (source, {"readOnly": True})


def test_data_in_a_bucket_or_the_image_is_not_mounted() -> None:
    for uri in ("s3://lake/a.csv", "file:///data/a.csv"):
        assert set(mounted(pod(dataset={"builtin": ..., "uri": uri}))) == {"/dev/shm", "/tmp"}


def test_one_claim_for_everything_is_one_volume_at_each_path() -> None:
    built = pod(
        model={"initialWeights": {"uri": "pvc://all/base"}},
        dataset={"builtin": ..., "uri": "pvc://all/a.csv"},
        checkpoint={"uri": "pvc://all/runs"},
        export={"uri": "pvc://all/models"},
    )
    assert [volume["name"] for volume in built["spec"]["volumes"]] == ["shm", "tmp", "dataset"]
    found = mounted(built)
    assert found["/mnt/dataset"] == found["/mnt/initial-weights"] == (claim("all"), {"readOnly": True})
    assert found["/mnt/checkpoint"] == found["/mnt/export"] == (claim("all"), {})


def test_an_export_without_a_place_goes_to_the_checkpoints_claim() -> None:
    found = mounted(pod(checkpoint={"uri": "pvc://runs"}, export={}))
    assert found["/mnt/export"] == (claim("runs"), {})


def test_a_program_gets_its_volumes_as_it_asks() -> None:
    volumes = [
        {"claim": "data", "mountPath": "/data", "subPath": "2026", "readOnly": False},
        {"configMap": "scripts", "mountPath": "/scripts"},
        {"secret": "keys", "mountPath": "/keys"},
    ]
    found = mounted(pod(model=..., dataset=..., trainer=OWN | {"volumes": volumes}))
    assert found["/data"] == (claim("data"), {"subPath": "2026"})
    assert found["/scripts"] == ({"configMap": {"name": "scripts"}}, {"readOnly": True})
    assert found["/keys"] == ({"secret": {"secretName": "keys"}}, {"readOnly": True})


def test_files_of_a_claim_are_given_to_the_pods_group_only_once() -> None:
    with_claim = pod(checkpoint={"uri": "pvc://runs"})["spec"]["securityContext"]
    assert (with_claim["fsGroup"], with_claim["fsGroupChangePolicy"]) == (65532, "OnRootMismatch")
    assert "fsGroupChangePolicy" not in pod()["spec"]["securityContext"]


def test_a_pod_reports_with_a_token_for_its_own_job_and_the_authority_from_its_annotation() -> None:
    built = pod(ENDPOINT)
    annotations = built["metadata"]["annotations"]
    source, mount = mounted(built)["/var/run/secrets/kubeflow/trainer"]
    token, authority = source["projected"]["sources"]
    assert annotations == {"loadstar.dev/progress-ca": ENDPOINT.ca_pem}
    assert token["serviceAccountToken"] == {
        "audience": "trainer.kubeflow.org/v1alpha1/namespaces/research/trainjobs/iris/status",
        "expirationSeconds": 3600,
        "path": "token",
    }
    (item,) = authority["downwardAPI"]["items"]
    assert item["fieldRef"] == {"fieldPath": "metadata.annotations['loadstar.dev/progress-ca']"}
    assert (item["path"], mount) == ("ca.crt", {"readOnly": True})


def test_a_pod_without_an_endpoint_has_no_token() -> None:
    built = pod()
    assert "annotations" not in built["metadata"]
    assert set(mounted(built)) == {"/dev/shm", "/tmp"}
