"""Packing of arrivals: what each policy chooses on nodes small enough to see it, and one published figure."""

import numpy as np
import pytest

from loadstar.core.mix import MILLI, Ask
from loadstar.simulator.packers import (
    AnyNode,
    BestFit,
    Board,
    DotProduct,
    Fgd,
    GpuClustering,
    GpuPacking,
    MostAllocated,
    Ours,
    Packer,
)
from loadstar.simulator.packing import Course, Ties, pack, policies
from loadstar.simulator.traces import (
    TraceJob,
    TraceNode,
    TracesMissing,
    inflated,
    read_jobs,
    read_nodes,
    trace_file,
)

ONE, HALF = Ask(gpus=1), Ask(gpus=1, share=500)


def nodes(*gpus: int, product: str = "") -> tuple[TraceNode, ...]:
    return tuple(
        TraceNode(f"n{number}", 64_000, 1 << 40, count, product) for number, count in enumerate(gpus)
    )


def jobs(*asks: Ask) -> tuple[TraceJob, ...]:
    return tuple(TraceJob(f"j{number}", ask) for number, ask in enumerate(asks))


def board(found: tuple[TraceNode, ...], *taken: tuple[int, Ask, int]) -> Board:
    made = Board.of(found)
    for row, ask, device in taken:
        made.take(row, ask, device)
    return made


def preferred(packer: Packer, ask: Ask, on: Board) -> int:
    return int(np.where(on.fits(ask), packer.score(ask, on), -np.inf).argmax())


@pytest.mark.parametrize(
    "packer", [BestFit(), GpuPacking(), MostAllocated()], ids=lambda packer: type(packer).__name__
)
def test_packing_heuristics_prefer_the_node_in_use(packer: Packer) -> None:
    assert preferred(packer, ONE, board(nodes(8, 8), (1, ONE, 0))) == 1


def test_the_dot_product_prefers_the_node_with_least_of_what_is_asked_for() -> None:
    assert preferred(DotProduct(), Ask(gpus=2), board(nodes(8, 8), (1, Ask(gpus=4), 0))) == 1


def test_clustering_keeps_like_with_like() -> None:
    assert preferred(GpuClustering(), HALF, board(nodes(4, 4, 4), (1, ONE, 0), (2, HALF, 0))) == 2


def test_gpu_packing_fills_shared_devices_first() -> None:
    assert preferred(GpuPacking(), HALF, board(nodes(4, 4), (0, Ask(gpus=3), 0), (1, HALF, 0))) == 1


def test_shared_devices_are_filled_the_fullest_first() -> None:
    packed = board(nodes(2), (0, Ask(gpus=1, share=300), 1))
    assert AnyNode().device(HALF, packed) == 1


def test_fgd_and_ours_leave_whole_what_larger_requests_will_want() -> None:
    usual = jobs(ONE, *[Ask(gpus=2)] * 3)
    some = nodes(2, 2)
    used = board(some, (1, ONE, 0))
    assert preferred(Fgd(usual, some), ONE, used) == 1
    assert preferred(Ours(usual, some), ONE, used) == 1


def test_ours_keeps_off_scarce_products_that_others_need() -> None:
    scarce = (*nodes(8, 8, product="G2"), TraceNode("t", 64_000, 1 << 40, 2, "T4"))
    usual = jobs(*[ONE] * 9, Ask(gpus=1, products=frozenset({"T4"})))
    assert preferred(Ours(usual, scarce), ONE, board(scarce)) != 2


def test_a_node_without_the_cpu_the_memory_the_gpus_or_the_product_does_not_fit() -> None:
    some = board(nodes(1, product="T4"))
    for ask in (
        Ask(cpu=64_001),
        Ask(memory=(1 << 40) + 1),
        Ask(gpus=2),
        Ask(gpus=1, products=frozenset({"A100"})),
    ):
        assert not some.fits(ask).any()
    assert some.fits(Ask(64_000, 1 << 40, 1, products=frozenset({"T4"}))).all()


def test_what_does_not_fit_is_refused_for_good() -> None:
    course = pack(nodes(2), jobs(Ask(gpus=2), ONE, ONE), AnyNode(), Ties.NAME, seed=0)
    assert course.arrived.tolist() == [2000, 3000, 4000]
    assert course.allocated.tolist() == [2000, 2000, 2000]


def test_every_rank_of_a_job_asks_for_itself() -> None:
    gang = (TraceJob("j", ONE, ranks=3),)
    assert pack(nodes(2), gang, AnyNode(), Ties.NAME, seed=0).allocated.tolist() == [1000, 2000, 2000]


def test_the_unallocated_share_is_a_mean_over_the_arrivals_that_round_to_it() -> None:
    course = Course(np.array([500, 996, 1004]), np.array([500, 900, 800]), capacity=1000)
    assert course.unallocated(100) == pytest.approx(15.0)
    assert np.isnan(course.unallocated(130))


@pytest.mark.parametrize("ties", Ties)
def test_a_seed_gives_the_same_course_again(ties: Ties) -> None:
    found, arrivals = nodes(8, 4, 2), inflated(jobs(ONE, HALF, Ask(gpus=2)), 14 * MILLI, seed=3)
    for name in policies(found, arrivals, seed=5):
        packers = [policies(found, arrivals, seed=5)[name][0] for _ in range(2)]
        first, again = (pack(found, arrivals, packer, ties, seed=5).allocated for packer in packers)
        assert np.array_equal(first, again)


def test_no_policy_gives_out_more_than_there_is() -> None:
    found = nodes(4, 2, 1)
    arrivals = inflated(jobs(ONE, HALF, Ask(gpus=1, share=700), Ask(cpu=40_000)), 20 * MILLI, seed=1)
    for packer, ties in policies(found, arrivals, seed=1).values():
        course = pack(found, arrivals, packer, ties, seed=1)
        assert course.allocated.max() <= course.capacity == 7 * MILLI


def openb(name: str) -> tuple[tuple[TraceNode, ...], tuple[TraceJob, ...], float]:
    try:
        found = read_nodes(trace_file("openb", "openb_node_list_gpu_node.csv"))
        arrivals = read_jobs(trace_file("openb", f"openb_pod_list_{name}.csv"))
    except TracesMissing as missing:
        pytest.skip(str(missing))
    return found, arrivals, 1.3 * MILLI * sum(node.gpus for node in found)


@pytest.mark.parametrize(("policy", "published", "within"), [("random", 13.70, 1.0), ("BestFit", 7.14, 0.7)])
def test_fgds_published_baselines_come_out_again(policy: str, published: float, within: float) -> None:
    """Means of ten orders in their figure 9; `within` is three of its standard deviations."""
    found, arrivals, wanted = openb("default")
    packer, ties = policies(found, arrivals, 42)[policy]
    course = pack(found, inflated(arrivals, wanted, 42), packer, ties, seed=42)
    assert course.unallocated(100) == pytest.approx(published, abs=within)


def test_ours_is_as_good_whatever_the_rule_for_ties() -> None:
    found, arrivals, wanted = openb("default")
    ours, order = Ours(arrivals, found), inflated(arrivals, wanted, 42)
    by_name, by_chance = (pack(found, order, ours, ties, seed=42).unallocated(100) for ties in Ties)
    assert by_name < 4.8
    assert by_chance == pytest.approx(by_name, abs=0.2)
