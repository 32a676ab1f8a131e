"""The usual mix of requests, and fragmentation worked out by hand."""

import numpy as np
import pytest

from loadstar.core.fragmentation import Fragmentation, Free, packing_cost
from loadstar.core.mix import MILLI, Ask, Mix, MixLearner

ONE, TWO = Ask(gpus=1), Ask(gpus=2)


def free(*devices: int, cpu: int = 100, memory: int = 100) -> Free:
    """One node of the first product."""
    return Free(np.array([cpu]), np.array([memory]), np.array([devices]), np.zeros(1, dtype=np.intp))


def of(mix: Mix, node: Free) -> float:
    return float(Fragmentation(mix, [""]).of(node)[0])


def test_an_empty_node_that_all_can_use_has_no_fragments() -> None:
    assert of(Mix.typical({ONE: 3, TWO: 1}), free(MILLI, MILLI)) == 0


def test_a_full_node_has_no_fragments() -> None:
    assert of(Mix.typical({ONE: 3, TWO: 1}), free(0, 0)) == 0


def test_a_lone_gpu_is_a_fragment_to_those_who_want_two() -> None:
    assert of(Mix.typical({ONE: 3, TWO: 1}), free(MILLI, 0)) == 250


def test_what_is_left_of_a_shared_gpu_is_a_fragment_to_those_who_want_more() -> None:
    assert of(Mix.typical({Ask(gpus=1, share=300): 1, ONE: 1}), free(400, MILLI)) == 200


def test_gpus_without_the_cpu_or_the_memory_for_a_request_are_fragments_to_it() -> None:
    hungry = Mix.typical({Ask(cpu=8, gpus=1): 1, Ask(memory=8, gpus=1): 1})
    assert of(hungry, free(MILLI, cpu=7, memory=8)) == 500
    assert of(hungry, free(MILLI, cpu=7, memory=7)) == 1000


def test_gpus_of_another_product_are_fragments() -> None:
    tables = Fragmentation(Mix.typical({Ask(gpus=1, products=frozenset({"T4"})): 1}), ["T4", "A100"])
    nodes = Free(np.array([1, 1]), np.array([1, 1]), np.full((2, 1), MILLI), tables.kinds(["T4", "A100"]))
    assert tables.of(nodes).tolist() == [0, 1000]


def test_a_product_that_the_tables_do_not_know_is_an_error() -> None:
    with pytest.raises(KeyError):
        Fragmentation(Mix.typical({ONE: 1}), ["T4"]).kinds(["A100"])


def test_growth_prefers_the_node_whose_rest_nobody_wants() -> None:
    tables = Fragmentation(Mix.typical({ONE: 1, TWO: 3}), [""])
    growth = tables.whole_growth(
        ONE, np.zeros(2, dtype=int), np.zeros(2, dtype=int), np.array([1, 2]), np.array([0, 0])
    )
    assert growth.tolist() == [-750, 750]


def test_growth_is_infinite_where_the_gpus_do_not_suffice() -> None:
    tables, zero = Fragmentation(Mix.typical({ONE: 1}), [""]), np.array([0])
    assert np.isposinf(tables.whole_growth(TWO, zero, zero, np.array([1]), zero)).all()
    assert np.isposinf(tables.growth(Ask(gpus=1, share=500), free(400, 300))[0]).all()


def test_the_typical_mix_is_the_most_popular_requests_that_cover_enough() -> None:
    mix = Mix.typical({ONE: 60, TWO: 36, Ask(gpus=8): 4}, cover=0.95)
    assert mix.parts == ((ONE, 0.625), (TWO, 0.375))


def test_a_mix_of_nothing_makes_no_fragments() -> None:
    assert of(Mix.typical({}), free(MILLI)) == 0


def test_requests_for_scarce_products_weigh_more_and_impossible_ones_nothing() -> None:
    t4, none = Ask(gpus=1, products=frozenset({"T4"})), Ask(gpus=1, products=frozenset({"H100"}))
    mix = Mix.typical({ONE: 2, t4: 1, none: 1}).by_scarcity({"T4": 10, "A100": 90})
    assert dict(mix.parts) == {ONE: 0.5, t4: 2.5}


def test_a_learner_starts_with_what_is_assumed_and_moves_to_what_it_sees() -> None:
    learner = MixLearner([ONE, TWO], remembered=100)
    assert dict(learner.mix().parts) == {ONE: 0.5, TWO: 0.5}
    for _ in range(1000):
        learner.see(TWO, times=2)
    assert dict(learner.mix().parts)[TWO] > 0.99


def test_a_learner_keeps_a_bounded_number_of_kinds() -> None:
    learner = MixLearner([ONE])
    for cpu in range(1000):
        learner.see(Ask(cpu=cpu, gpus=1))
    assert len(learner.mix().parts) == 256


def test_the_packing_cost_breaks_equal_growth_by_what_is_left_over() -> None:
    cost = packing_cost(np.zeros(3), np.array([8, 4, 0]), np.array([8000, 8000, 0]), (8, 8000))
    assert cost.tolist() == [0.1, 0.075, 0]


@pytest.mark.parametrize(("gpus", "share"), [(1, 0), (1, 1001), (2, 500)])
def test_impossible_shares_are_refused(gpus: int, share: int) -> None:
    with pytest.raises(ValueError, match="GPU"):
        Ask(gpus=gpus, share=share)
