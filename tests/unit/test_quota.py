"""ResourceQuotas, honoured before any pod is tried."""

from typing import Any

import pytest

from loadstar.core.jobs import Job
from loadstar.core.quota import Allowance, Quota
from loadstar.core.refusals import Unplaceable
from loadstar.core.resources import Resources
from tests.builders import GIB, make_job, make_request

GPUS = "requests.nvidia.com/gpu"


def make_quota(hard: dict[str, int], used: dict[str, int] | None = None, **changes: object) -> Quota:
    values: dict[str, Any] = {"namespace": "research", "name": "team", "hard": hard, "used": used or {}}
    return Quota(**{**values, **changes})


def refusal(job: Job, *quotas: Quota) -> Unplaceable | None:
    return Allowance(quotas).refusal(job)


def test_a_job_within_its_quota_is_not_refused() -> None:
    assert refusal(make_job(ranks=2, gpus=2), make_quota({GPUS: 8}, {GPUS: 4})) is None


def test_a_job_beyond_what_is_left_waits_and_is_told_for_what() -> None:
    refused = refusal(make_job(ranks=2, gpus=2), make_quota({GPUS: 8}, {GPUS: 5}))
    assert refused is not None
    assert (refused.reason, refused.infeasible, refused.frees_up) == ("QuotaExceeded", False, False)
    assert "the job needs 4 requests.nvidia.com/gpu" in refused.message
    assert "of the 8 that ResourceQuota team allows namespace research 3 are left" in refused.message


def test_a_job_that_asks_for_more_than_the_whole_quota_is_told_what_to_change() -> None:
    refused = refusal(make_job(ranks=3, gpus=4), make_quota({GPUS: 8}))
    assert refused is not None
    assert refused.infeasible
    assert "only 8: raise the quota, or lower spec.trainer.numNodes" in refused.message


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("pods", 1),
        ("count/pods", 1),
        ("cpu", 1999),
        ("requests.cpu", 1999),
        ("memory", 2 * GIB - 1),
        ("requests.memory", 2 * GIB - 1),
        ("limits.memory", 2 * GIB - 1),
        (GPUS, 1),
    ],
)
def test_every_resource_that_its_pods_use_is_counted(name: str, limit: int) -> None:
    assert refusal(make_job(ranks=2), make_quota({name: limit})) is not None
    assert refusal(make_job(ranks=2), make_quota({name: limit + 1})) is None


def test_parts_of_gpus_are_counted_by_their_names() -> None:
    slices = Resources(1000, GIB, 0, 1, (("nvidia.com/mig-1g.5gb", 2),))
    job = make_job(request=slices)
    assert refusal(job, make_quota({"requests.nvidia.com/mig-1g.5gb": 1})) is not None
    assert refusal(job, make_quota({GPUS: 0})) is None


@pytest.mark.parametrize("name", ["services", "limits.cpu", "requests.ephemeral-storage", "count/jobs.batch"])
def test_what_its_pods_do_not_ask_for_is_left_to_the_api_server(name: str) -> None:
    assert refusal(make_job(), make_quota({name: 0})) is None


def test_other_namespaces_quotas_do_not_count() -> None:
    assert refusal(make_job(namespace="other"), make_quota({GPUS: 0})) is None


@pytest.mark.parametrize(
    ("scopes", "counts"),
    [
        (set(), True),
        ({"NotTerminating"}, True),
        ({"NotBestEffort", "NotTerminating"}, True),
        ({"Terminating"}, False),
        ({"BestEffort"}, False),
        ({"PriorityClass"}, False),
    ],
)
def test_scopes_say_whether_a_quota_counts(scopes: set[str], counts: bool) -> None:
    quota = make_quota({GPUS: 0}, scopes=frozenset(scopes))
    assert (refusal(make_job(), quota) is not None) is counts


def test_pods_without_cpu_and_memory_are_best_effort() -> None:
    job = make_job(request=make_request(1, cpu=0, memory=0))
    assert refusal(job, make_quota({"pods": 0}, scopes=frozenset({"BestEffort"}))) is not None
    assert refusal(job, make_quota({"pods": 0}, scopes=frozenset({"NotBestEffort"}))) is None


def test_the_tightest_of_several_quotas_decides() -> None:
    wide, tight = make_quota({GPUS: 9}, name="wide"), make_quota({GPUS: 1}, name="tight")
    refused = refusal(make_job(gpus=2), wide, tight)
    assert refused is not None
    assert "ResourceQuota tight" in refused.message


def test_what_is_given_within_a_cycle_is_not_given_again() -> None:
    allowance = Allowance([make_quota({GPUS: 3})])
    allowance.take(make_job("a", gpus=2))
    assert allowance.refusal(make_job("b", gpus=2)) is not None
    assert allowance.refusal(make_job("c", gpus=1)) is None


def test_pods_that_are_decided_and_not_counted_yet_are_counted() -> None:
    allowance = Allowance([make_quota({GPUS: 8})], unseen=[(make_job("a", ranks=4, gpus=2), 3)])
    assert allowance.refusal(make_job("b", gpus=3)) is not None
    assert allowance.refusal(make_job("c", gpus=2)) is None


def test_amounts_are_told_in_the_units_that_people_write() -> None:
    refused = refusal(make_job(ranks=3), make_quota({"requests.cpu": 2500}))
    assert refused is not None
    assert "needs 3 requests.cpu" in refused.message
    assert "only 2.5" in refused.message
    refused = refusal(make_job(ranks=3), make_quota({"limits.memory": 2 * GIB}))
    assert refused is not None
    assert "needs 3Gi limits.memory" in refused.message
