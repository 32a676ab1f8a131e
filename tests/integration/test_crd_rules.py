"""Each rule of the CRD, judged by a real API server with the field validation that kubectl asks for."""

from typing import Any

import pytest
import yaml

from tests.cluster.api import ApiError
from tests.cluster.fixtures import Cluster
from tests.contract.jobs import raw_job
from tests.contract.refusals import CASES, Case, merged
from tests.integration.crd import install_crd

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster) -> Cluster:
    """The cluster with the CRD in it."""
    install_crd(control_plane)
    return control_plane


def _path(namespace: str) -> str:
    return f"/apis/loadstar.dev/v1alpha1/namespaces/{namespace}/trainingjobs"


@pytest.fixture
def jobs(namespace: str) -> str:
    """The path of the TrainingJobs of a fresh namespace."""
    return _path(namespace)


def _bare(name: str = "iris", **spec: Any) -> dict[str, Any]:
    return raw_job(name, **spec) | {"metadata": {"name": name}}


def _create(cluster: Cluster, jobs: str, job: dict[str, Any]) -> Any:
    return cluster.api.post(f"{jobs}?fieldValidation=Strict", job)


def _try(cluster: Cluster, job: dict[str, Any]) -> Any:
    """The job as the server would store it."""
    return cluster.api.post(f"{_path('default')}?fieldValidation=Strict&dryRun=All", job)


def _refusal(cluster: Cluster, job: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as refusal:
        _try(cluster, job)
    return str(refusal.value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_spec_that_keeps_the_rule_is_accepted(cluster: Cluster, case: Case) -> None:
    _try(cluster, _bare(**case.accept))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_spec_that_breaks_the_rule_is_refused_with_what_to_change(cluster: Cluster, case: Case) -> None:
    refusal = _refusal(cluster, _bare(**case.refuse))
    assert case.field in refusal
    assert case.says in refusal


@pytest.mark.parametrize("name", ["a", "a-1", "a" * 40])
def test_a_name_that_fits_into_a_host_name_is_accepted(cluster: Cluster, name: str) -> None:
    _try(cluster, _bare(name))


@pytest.mark.parametrize("name", ["1a", "a.b", "a" * 41])
def test_a_name_that_does_not_fit_is_refused_with_how_to_write_it(cluster: Cluster, name: str) -> None:
    assert "use at most 40 lower-case letters" in _refusal(cluster, _bare(name))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"trainig": {}}, "spec.trainig"),
        ({"training": {"learningrate": 0.1}}, "spec.training.learningrate"),
        ({"model": {"depth": [1]}}, "spec.model.depth"),
        ({"trainer": {"env": [{"name": "A", "valu": "1"}]}}, "spec.trainer.env[0].valu"),
    ],
)
def test_an_unknown_field_is_refused_by_its_name(cluster: Cluster, spec: dict[str, Any], field: str) -> None:
    assert f'unknown field "{field}"' in _refusal(cluster, _bare(**spec))


def test_a_resource_that_is_not_known_is_refused_for_lenient_clients_too(cluster: Cluster) -> None:
    misspelt = _bare(trainer={"resourcesPerNode": {"nvidia.com/mig-1g.10bg": 1}})
    with pytest.raises(ApiError, match="correct the name or remove it"):
        cluster.api.post(f"{_path('default')}?fieldValidation=Ignore&dryRun=All", misspelt)


def test_a_whole_gpu_is_not_stored_beside_a_part_of_one(cluster: Cluster) -> None:
    spec = _try(cluster, _bare(trainer={"resourcesPerNode": {"nvidia.com/mig-1g.10gb": 1}}))["spec"]
    assert spec["trainer"]["resourcesPerNode"] == {"nvidia.com/mig-1g.10gb": 1}


def test_defaults_are_stored_where_a_user_sees_them(cluster: Cluster) -> None:
    spec = _try(cluster, _bare())["spec"]
    assert "training" not in spec
    assert spec["dataset"]["split"] == {"validation": 0.1, "test": 0.2, "seed": 0}
    assert spec["trainer"] == {
        "numNodes": 1,
        "resourcesPerNode": {"nvidia.com/gpu": 1},
        "terminationGracePeriodSeconds": 60,
    }
    assert spec["scheduling"] == {"policy": "predictive", "horizonSeconds": 300}


def test_the_defaults_of_training_are_stored_with_what_is_given_of_it(cluster: Cluster) -> None:
    training = _try(cluster, _bare(training={"optimizer": "sgd"}))["spec"]["training"]
    assert (training["epochs"], training["schedule"]) == (10, {"type": "constant", "warmupEpochs": 0})


def test_a_part_written_in_part_gets_its_other_defaults(cluster: Cluster) -> None:
    trainer = _try(cluster, _bare(trainer={"numNodes": 2}))["spec"]["trainer"]
    assert trainer["resourcesPerNode"] == {"nvidia.com/gpu": 1}


MUTABLE = (
    {"suspend": True},
    {"runPolicy": {"activeDeadlineSeconds": 60}},
    {"runPolicy": {"ttlSecondsAfterFinished": 60}},
)
FIXED = (
    ("model", {"model": {"dropout": 0.5}}),
    ("dataset", {"dataset": {"builtin": "wine"}}),
    ("training", {"training": {"epochs": 11}}),
    ("trainer", {"trainer": {"numNodes": 2}}),
    ("scheduling", {"scheduling": {"maxLoad": 0.5}}),
    ("runPolicy.backoffLimit", {"runPolicy": {"backoffLimit": 0}}),
    ("training", {"training": None}),
    ("training", {"training": {"schedule": {"type": "cosine"}}}),
    ("evaluation", {"evaluation": {"goal": {"metric": "f1", "min": 0.5}}}),
    ("checkpoint", {"checkpoint": {"uri": "pvc://results"}}),
    ("export", {"export": {"uri": "pvc://models"}}),
    ("trainer", {"trainer": {"env": [{"name": "A", "value": "1"}]}}),
)


@pytest.mark.parametrize("change", MUTABLE, ids=str)
def test_what_may_change_can_be_changed(cluster: Cluster, jobs: str, change: dict[str, Any]) -> None:
    before = _create(cluster, jobs, _bare())["spec"]
    changed = cluster.api.merge(f"{jobs}/iris", {"spec": change})["spec"]
    assert changed == merged(before, change)


@pytest.mark.parametrize(("field", "change"), FIXED)
def test_what_may_not_change_is_refused_with_what_to_do_instead(
    cluster: Cluster, jobs: str, field: str, change: dict[str, Any]
) -> None:
    _create(cluster, jobs, _bare(training={}))
    with pytest.raises(ApiError) as refusal:
        cluster.api.merge(f"{jobs}/iris", {"spec": change})
    assert f"{field} can't change once the job exists: delete the TrainingJob and apply it again" in str(
        refusal.value
    )


def test_applying_the_same_manifest_again_changes_nothing(cluster: Cluster, namespace: str) -> None:
    manifest = yaml.safe_dump(_bare(training={"epochs": 5}))
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)
    assert "unchanged" in cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)


def test_a_name_can_be_generated(cluster: Cluster) -> None:
    job = _bare() | {"metadata": {"generateName": "iris-"}}
    assert _try(cluster, job)["metadata"]["name"].startswith("iris-")
