"""Kubernetes' rules of taints and tolerations."""

import pytest

from loadstar.core.taints import Effect, Taint, Toleration, untolerated

TAINT = Taint("team", Effect.NO_SCHEDULE, "vision")

TOLERATED = {
    "the key with any value": (Toleration("team"), True),
    "the key with that value": (Toleration("team", "vision"), True),
    "the key with another value": (Toleration("team", "speech"), False),
    "another key": (Toleration("maintenance"), False),
    "every key": (Toleration(), True),
    "the same effect": (Toleration("team", effect=Effect.NO_SCHEDULE), True),
    "another effect": (Toleration("team", effect=Effect.NO_EXECUTE), False),
}


@pytest.mark.parametrize("case", TOLERATED)
def test_a_toleration_names_what_it_tolerates_when_it_is(case: str) -> None:
    toleration, tolerated = TOLERATED[case]
    assert toleration.tolerates(TAINT) is tolerated


def test_each_taint_needs_a_toleration_of_its_own() -> None:
    other = Taint("maintenance", Effect.NO_EXECUTE)
    assert untolerated((TAINT, other), (Toleration("team"),)) == (other,)
    assert untolerated((TAINT, other), (Toleration("team"), Toleration("maintenance"))) == ()


def test_a_taint_reads_as_kubectl_writes_it() -> None:
    assert (str(TAINT), str(Taint("team"))) == ("team=vision:NoSchedule", "team:NoSchedule")
