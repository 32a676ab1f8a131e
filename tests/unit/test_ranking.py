"""The total order of nodes: score, best fit, name."""

import numpy as np

from loadstar.core.ranking import REFUSED, best, keys, rows_of


def ordered(
    totals: list[float], free: list[int], refused: tuple[int, ...] = (), count: int = 99
) -> list[int]:
    rows = np.arange(len(totals))
    made = keys(rows, np.array(totals), np.array(free), np.isin(rows, refused))
    return [int(row) for row in rows_of(best(made, count))]


def test_the_better_score_is_first() -> None:
    assert ordered([-0.3, 0.1, -0.2], [8, 8, 8]) == [1, 2, 0]


def test_of_equal_scores_the_tighter_fit_is_first_and_then_the_name() -> None:
    assert ordered([-0.5, -0.5, -0.5], [8, 2, 8]) == [1, 0, 2]


def test_scores_that_differ_by_rounding_alone_are_equal() -> None:
    assert ordered([-0.5, -0.5 + 1e-12], [1, 2]) == [0, 1]


def test_refused_nodes_are_left_out() -> None:
    assert ordered([0.0, -1.0, -2.0], [1, 1, 1], refused=(0, 2)) == [1]


def test_only_as_many_as_are_asked_for_are_given() -> None:
    assert ordered([-3.0, -1.0, -2.0], [1, 1, 1], count=2) == [1, 2]
    assert ordered([0.0, 0.0, 0.0], [1, 1, 1], refused=(0, 1), count=2) == [2]


def test_nodes_of_more_gpus_than_can_be_told_apart_are_alike() -> None:
    assert ordered([0.0, 0.0], [5000, 4000]) == [0, 1]


def test_no_node_has_the_key_of_a_refusal() -> None:
    worst = keys(np.array([(1 << 20) - 1]), np.array([-80.0]), np.array([5000]), np.array([False]))
    assert worst[0] < REFUSED
