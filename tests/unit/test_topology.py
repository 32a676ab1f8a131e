"""Gangs that stay together: which domains they get, and what it costs to be split."""

import numpy as np
import pytest

from loadstar.core.topology import Rows, near, split, together


def rows(*numbers: int) -> Rows:
    return np.array(numbers, dtype=np.intp)


def test_a_rank_is_split_from_the_ranks_in_other_domains() -> None:
    assert split(rows(0, 0, 0, 1)).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    assert split(rows(0, 0)).tolist() == [0, 0]


def test_nodes_without_a_domain_are_near_to_no_other() -> None:
    assert split(rows(-1, -1, 0)).tolist() == [1, 1, 1]


def test_a_single_rank_is_never_split() -> None:
    assert split(rows(-1)).tolist() == [0]


def test_all_together_takes_the_domain_whose_best_nodes_are_best() -> None:
    order, values = rows(9, 8, 7, 6, 5), np.array([0.0, -1.0, -1.5, -2.0, -3.0])
    chosen = together(order, values, rows(0, 1, 1, 0, 1), 2)
    assert chosen is not None
    assert chosen.tolist() == [9, 6], "-2 in all, against -2.5 of the other"


def test_of_equal_domains_the_fuller_one_is_taken() -> None:
    chosen = together(rows(0, 1, 2, 3, 4), np.zeros(5), rows(0, 0, 0, 1, 1), 2)
    assert chosen is not None
    assert chosen.tolist() == [3, 4]


def test_nodes_without_a_domain_are_not_together() -> None:
    assert together(rows(0, 1), np.zeros(2), rows(-1, -1), 2) is None


def test_no_domain_may_be_large_enough() -> None:
    assert together(rows(0, 1, 2), np.zeros(3), rows(0, 0, 1), 3) is None


def test_a_gang_rather_takes_slightly_worse_nodes_than_be_split() -> None:
    order, values, domains = rows(0, 1, 2), np.array([-0.1, -0.11, -0.12]), rows(0, 1, 0)
    assert near(order, values, domains, 2, weight=0.1).tolist() == [0, 2]


def test_nodes_that_are_much_worse_are_not_worth_staying_together() -> None:
    order, values, domains = rows(0, 1, 2), np.array([-0.1, -0.11, -0.9]), rows(0, 1, 0)
    assert near(order, values, domains, 2, weight=0.1).tolist() == [0, 1]


def test_a_gang_that_no_domain_holds_is_split_over_few() -> None:
    domains = rows(0, 1, 2, 0, 1, 2, 0, 1)
    chosen = near(np.arange(8), np.linspace(-0.1, -0.11, 8), domains, 5, weight=0.1)
    assert len(set(domains[chosen].tolist())) == 2


def test_the_ranks_of_a_gang_are_on_its_best_nodes_first() -> None:
    chosen = near(rows(4, 3, 2, 1), np.array([0.0, -0.1, -0.2, -0.3]), rows(0, 1, 0, 1), 3, weight=1.0)
    assert chosen.tolist() == [4, 3, 2]
