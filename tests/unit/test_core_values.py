"""Resources, freshness of samples, and conditions."""

from dataclasses import replace
from typing import Any

import pytest

from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.load import Freshness, FreshnessPolicy
from loadstar.core.resources import Resources
from tests.builders import GIB


def test_resources_add_and_subtract_part_by_part() -> None:
    a, b = Resources(1500, 3 * GIB, 2, 1), Resources(500, GIB, 1, 1)
    assert a + b == Resources(2000, 4 * GIB, 3, 2)
    assert a - b == Resources(1000, 2 * GIB, 1, 0)


@pytest.mark.parametrize("part", ["cpu", "memory", "gpus", "pods"])
def test_a_request_fits_only_if_every_part_does(part: str) -> None:
    available = Resources(cpu=4, memory=4, gpus=4, pods=4)
    changes: dict[str, Any] = {part: 5}
    assert available.fits(available)
    assert not replace(Resources(), **changes).fits(available)


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (0.0, Freshness.FRESH),
        (90.0, Freshness.FRESH),
        (90.1, Freshness.STALE),
        (300.0, Freshness.STALE),
        (300.1, Freshness.MISSING),
        (float("nan"), Freshness.MISSING),
    ],
)
def test_a_sample_is_fresh_then_stale_then_missing(age: float, state: Freshness) -> None:
    assert FreshnessPolicy(fresh_seconds=90.0, missing_seconds=300.0).judge(age) is state


def condition(status: Status, since: float, message: str = "") -> Condition:
    return Condition("Placed", status, "Reason", message, since, 1)


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    before = Conditions().with_(condition(Status.FALSE, 10.0, "one"))
    after = before.with_(condition(Status.FALSE, 20.0, "two"))
    found = after.get("Placed")
    assert found is not None
    assert (found.since, found.message) == (10.0, "two")


def test_a_condition_takes_a_new_time_when_its_status_changes() -> None:
    conditions = Conditions().with_(condition(Status.FALSE, 10.0)).with_(condition(Status.TRUE, 20.0))
    found = conditions.get("Placed")
    assert found is not None
    assert found.since == 20.0
    assert conditions.is_true("Placed")


def test_setting_what_holds_already_gives_the_same_conditions() -> None:
    before = Conditions().with_(condition(Status.TRUE, 10.0))
    assert before.with_(condition(Status.TRUE, 99.0)) is before


def test_a_condition_that_was_never_set_is_not_true() -> None:
    assert Conditions().get("Placed") is None
    assert not Conditions().is_true("Placed")


def test_conditions_come_in_the_order_of_their_types() -> None:
    names = ["Running", "Accepted", "Placed"]
    conditions = Conditions()
    for name in names:
        conditions = conditions.with_(Condition(name, Status.TRUE, "R", "", 0.0, 1))
    assert [found.type for found in conditions] == sorted(names)
