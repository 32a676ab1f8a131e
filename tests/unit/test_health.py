"""Which nodes' GPUs are fit to train on."""

import pytest

from loadstar.core.health import BLOCKING_XIDS, PROGRAM_XIDS, Health, Illness


@pytest.mark.parametrize("xid", sorted(BLOCKING_XIDS))
def test_an_error_of_the_device_keeps_jobs_away(xid: int) -> None:
    assert Health(xids=frozenset({31, xid})).illness is Illness.XID_ERROR


@pytest.mark.parametrize("xid", sorted(PROGRAM_XIDS))
def test_an_error_of_a_program_says_nothing_of_the_node(xid: int) -> None:
    health = Health(xids=frozenset({xid}))
    assert (health.illness, health.unease) == (None, 0.0)


def test_an_error_that_nobody_can_place_makes_a_node_the_last_choice() -> None:
    health = Health(xids=frozenset({119}))
    assert (health.illness, health.unease) == (None, 1.0)


def test_a_failed_row_remap_keeps_jobs_away() -> None:
    assert Health(row_remap_failed=True).illness is Illness.ROW_REMAP_FAILED


@pytest.mark.parametrize(
    ("temperature", "illness", "unease"),
    [
        (40.0, None, 0.0),
        (75.0, None, 0.0),
        (80.0, None, 0.5),
        (85.0, None, 1.0),
        (85.1, Illness.TOO_HOT, 1.0),
    ],
)
def test_warm_gpus_are_worse_and_those_above_85_degrees_are_left_alone(
    temperature: float, illness: Illness | None, unease: float
) -> None:
    health = Health(temperature=temperature)
    assert health.illness is illness
    assert health.unease == pytest.approx(unease)


def test_a_node_of_which_nothing_is_known_is_well() -> None:
    assert (Health().illness, Health().unease, Health().working_watts) == (None, 0.0, None)


def test_what_work_costs_is_what_is_drawn_beyond_rest() -> None:
    assert Health(idle_watts=60.0, full_watts=400.0).working_watts == 340.0
    assert Health(idle_watts=60.0).working_watts is None
