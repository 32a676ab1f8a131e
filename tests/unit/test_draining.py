"""When nodes are expected to be whole again."""

import numpy as np
import pytest

from loadstar.core.draining import occupy, whole_in
from loadstar.core.durations import UNKNOWN_SECONDS, Durations
from loadstar.core.resources import Resources
from loadstar.core.running import Running
from tests.builders import NOW, make_job, make_node, make_placement, make_request, make_snapshot


def gang(*nodes: str, ran: float = 0.0, ends_in: float | None = None, gpus: int = 4) -> Running:
    ends_at = None if ends_in is None else NOW + ends_in
    job = make_job("one", request=make_request(gpus), ranks=len(nodes))
    return Running(job, 1, nodes, NOW - ran, NOW - ran, ends_at)


def learned(*seconds: float) -> Durations:
    durations = Durations()
    for length in seconds:
        durations.learn(make_job().family, length)
    return durations


def of(
    *running: Running, durations: Durations | None = None, taken: dict[str, int] | None = None
) -> list[float]:
    held = taken if taken is not None else {node: 4 for one in running for node in one.nodes}
    requested = {node: Resources(gpus=gpus) for node, gpus in held.items()}
    snapshot = make_snapshot([make_node(name) for name in ("a", "b", "c")], requested)
    return [float(value) for value in whole_in(snapshot, running, durations or Durations(), NOW)]


def test_a_node_without_anybody_is_whole_now() -> None:
    assert of() == [0.0, 0.0, 0.0]


def test_what_a_gang_says_of_its_end_counts_on_all_of_its_nodes() -> None:
    assert of(gang("a", "c", ends_in=120.0)) == [120.0, 0.0, 120.0]


def test_the_last_of_a_nodes_gangs_counts() -> None:
    assert of(gang("a", ends_in=120.0), gang("a", ends_in=60.0), taken={"a": 8})[0] == 120.0


def test_a_gang_that_says_nothing_goes_on_as_its_family_does() -> None:
    durations = learned(100.0, 300.0, 500.0)
    assert of(gang("a", ran=200.0), durations=durations)[0] == pytest.approx(200.0)
    assert of(gang("a", ran=2000.0), durations=durations)[0] == 2000.0


def test_pods_of_nobody_known_go_on_for_a_while() -> None:
    assert of(gang("a", ends_in=60.0), taken={"a": 5, "b": 1}) == [UNKNOWN_SECONDS, UNKNOWN_SECONDS, 0.0]


def test_who_is_placed_within_a_cycle_counts_for_those_after_it() -> None:
    placement = make_placement()
    snapshot = make_snapshot([make_node("another"), make_node(placement.ranks[0].node)])
    seconds = np.zeros(2)
    occupy(seconds, snapshot, make_job(), placement, learned(50.0))
    assert sorted(seconds) == [0.0, 50.0]


@pytest.mark.parametrize("ran", [0.0, 99.0, 100.0, 450.0, 9000.0])
def test_many_at_once_are_expected_to_last_as_each_alone(ran: float) -> None:
    durations = learned(100.0, 300.0, 500.0)
    family = make_job().family
    assert durations.remaining_of(family, np.array([ran]))[0] == pytest.approx(
        durations.remaining(family, ran)
    )
