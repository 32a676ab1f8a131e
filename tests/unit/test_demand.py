"""What jobs usually ask for, and what a placement costs those to come."""

import numpy as np

from loadstar.core.demand import fragmentation
from loadstar.core.fragmentation import Fragmentation
from loadstar.core.jobs import Scheduling
from loadstar.core.mix import Ask
from tests.builders import GIB, make_job, make_node, make_request

ROOM = np.array([64_000]), np.array([512 * GIB])


def growth(tables: Fragmentation, gpus: int, free: int) -> float:
    """The milli-GPUs that become useless on a node with so many free by taking some."""
    number = tables.kinds([""])
    return float(tables.whole_growth(Ask(gpus=gpus), *ROOM, np.array([free]), number)[0])


def test_before_anybody_asked_all_usual_sizes_are_expected_alike() -> None:
    tables = fragmentation([], [make_node()])
    # One GPU of eight taken: seven are left, of no use to a quarter of the requests, those for eight
    assert growth(tables, 1, 8) == 7000 / 4


def test_jobs_that_ask_for_whole_nodes_make_breaking_one_dearer() -> None:
    whole = [make_job(f"job-{number}", gpus=8, ranks=4) for number in range(4)]
    assert growth(fragmentation(whole, [make_node()]), 1, 8) > growth(fragmentation([], [make_node()]), 1, 8)


def test_jobs_without_gpus_don_t_count() -> None:
    cpu = make_job(request=make_request(gpus=0))
    assert growth(fragmentation([cpu], [make_node()]), 1, 8) == growth(fragmentation([], [make_node()]), 1, 8)


def test_products_that_are_asked_for_by_name_are_not_taken_by_others_for_nothing() -> None:
    wish = Scheduling(gpu_products=frozenset({"H100"}))
    jobs = [make_job(f"job-{number}", gpus=1, scheduling=wish) for number in range(8)]
    nodes = [make_node("a", gpu_product="A100"), make_node("b", gpu_product="H100")]
    tables = fragmentation(jobs, nodes)
    kinds = tables.kinds(["A100", "H100"])
    costs = tables.whole_growth(
        Ask(gpus=1), np.repeat(ROOM[0], 2), np.repeat(ROOM[1], 2), np.array([8, 8]), kinds
    )
    assert costs[1] > costs[0]
