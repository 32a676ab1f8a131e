"""What is told of the nodes that were not chosen."""

import numpy as np

from loadstar.core.explain import alternatives
from loadstar.core.jobs import Alternative
from loadstar.core.score import NodeLoads, Scores
from tests.builders import make_node_loads

NAMES = ["a", "b", "c", "d", "e"]
SCORES = Scores(np.array([-0.5, -0.4, -0.3, -0.2, -0.1]), {"load": np.array([-0.5, -0.4, -0.3, -0.2, -0.1])})


def make_loads() -> NodeLoads:
    return make_node_loads([0.5, 0.4, 0.3, 0.2, 0.1], current=[0.6] * 5, band=[0.05] * 5)


def test_the_three_best_that_were_not_chosen_are_told_best_first() -> None:
    found = alternatives([4, 3, 2, 1, 0], [3], make_loads(), SCORES, NAMES)
    assert [other.node for other in found] == ["e", "c", "b"]
    assert found[0] == Alternative("e", 0.6, 0.1, 0.05, -0.1, {"load": -0.1})


def test_there_may_be_fewer_or_none() -> None:
    assert [other.node for other in alternatives([1, 0], [0], make_loads(), SCORES, NAMES)] == ["b"]
    assert alternatives([0], [0], make_loads(), SCORES, NAMES) == ()


def test_of_a_node_that_is_not_measured_no_load_is_told() -> None:
    loads = make_loads()
    loads.measured[2] = False
    [found] = alternatives([2], [], loads, SCORES, NAMES)
    assert (found.load, found.band, found.forecast) == (None, None, 0.3)
