"""Claims and volumes as the API server hands them out, and which claims a job names."""

from typing import Any

import pytest

from loadstar.api.claims import observe_bound, observe_unbound, volume_name
from loadstar.core.volumes import Operator, Presence, Requirement, Volume
from tests.contract.jobs import job


def claim(*modes: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "data", **metadata}, "spec": {"accessModes": list(modes)}}


def volume(*modes: str, affinity: Any = None) -> dict[str, Any]:
    spec = {"accessModes": list(modes), **({"nodeAffinity": affinity} if affinity else {})}
    return {"metadata": {"name": "pv-1"}, "spec": spec}


def terms(*raw: Any) -> dict[str, Any]:
    return {"required": {"nodeSelectorTerms": list(raw)}}


def test_the_volume_of_a_claim_is_the_one_it_names() -> None:
    assert volume_name(claim()) == ""
    assert volume_name({**claim(), "spec": {"volumeName": "pv-1"}}) == "pv-1"


def test_a_claim_without_a_volume_goes_where_its_first_pod_goes() -> None:
    assert observe_unbound(claim("ReadWriteMany")) == Volume("data")


def test_a_claim_whose_volume_is_being_made_goes_to_that_node() -> None:
    found = observe_unbound(claim(annotations={"volume.kubernetes.io/selected-node": "node-b"}))
    assert found.node == "node-b"


@pytest.mark.parametrize(
    ("modes", "shared"),
    [
        (["ReadWriteOnce"], False),
        (["ReadWriteOncePod"], False),
        (["ReadWriteOnce", "ReadWriteMany"], True),
        (["ReadOnlyMany"], True),
        ([], True),
    ],
)
def test_what_several_nodes_can_mount_at_once_follows_from_the_access_modes(
    modes: list[str], shared: bool
) -> None:
    assert observe_unbound(claim(*modes)).shared is shared
    assert observe_bound(claim("ReadWriteOnce"), volume(*modes)).shared is shared


def test_a_claim_being_deleted_is_told_apart() -> None:
    leaving = claim(deletionTimestamp="2026-11-22T05:00:00Z")
    assert observe_unbound(leaving).presence is Presence.DELETING
    assert observe_bound(leaving, volume()).presence is Presence.DELETING


def test_a_volume_without_affinity_is_mounted_anywhere() -> None:
    assert observe_bound(claim(), volume()).everywhere


def test_affinity_is_read_term_by_term() -> None:
    affinity = terms(
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
        {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]},
    )
    assert observe_bound(claim(), volume(affinity=affinity)).places == (
        (Requirement("zone", Operator.IN, ("a", "b")),),
        (Requirement("spot", Operator.DOES_NOT_EXIST),),
    )


def test_terms_by_fields_hold_nowhere_as_for_kube_scheduler() -> None:
    fields = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-a"]}]}
    found = observe_bound(claim(), volume(affinity=terms(fields)))
    assert not found.everywhere
    assert not found.reaches("node-a", {"metadata.name": "node-a"})


def test_a_job_names_each_of_its_claims_once() -> None:
    named = job(
        dataset={"builtin": None, "uri": "pvc://data/iris.csv"},
        checkpoint={"uri": "pvc://runs/runs"},
        export={"uri": "pvc://models"},
        model={"initialWeights": {"uri": "pvc://runs/base.safetensors"}},
        trainer={"volumes": [{"claim": "extra", "mountPath": "/a"}, {"secret": "key", "mountPath": "/b"}]},
    )
    assert named.spec.claims == ("data", "extra", "models", "runs")


def test_places_that_are_no_claims_are_not_named() -> None:
    assert job(dataset={"builtin": None, "uri": "s3://bucket/iris.csv"}).spec.claims == ()
    assert job().spec.claims == ()
