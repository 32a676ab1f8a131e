"""Track C on a small made-up trace: what jobs take, and what each order makes of a queue."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from loadstar.core.durations import Durations
from loadstar.core.queue import Order
from loadstar.simulator.cells import TraceError, TracesMissing
from loadstar.simulator.pollux import orders
from loadstar.simulator.pollux.cluster import (
    GPUS_PER_NODE,
    NODES,
    Allocation,
    Life,
    Replayed,
    Scheduler,
    replay,
)
from loadstar.simulator.pollux.product import Product
from loadstar.simulator.pollux.speed import Speeds, steps
from loadstar.simulator.pollux.tiresias import Tiresias
from loadstar.simulator.pollux.trace import PolluxJob, published, workloads

ALL = NODES * GPUS_PER_NODE
STEP = 0.5
"""Seconds per step of the made-up measurements where nothing is accumulated, on one node."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trace in which every placement of bert takes STEP seconds on one node and twice that on several."""
    there = tmp_path / "traces" / "bert"
    there.mkdir(parents=True)
    header = "local_bsz,step_time,sync_time\n"
    rows = [
        f"{shares},{size},{STEP * (1 + (len(shares) > 1))},0.1\n"
        for shares in ("1", "4", "44")
        for size in (4, 64)
    ]
    (there / "placements.csv").write_text("placement," + header + "".join(rows))
    wide = [
        f"{nodes},{gpus},{size},{STEP * 4},0.1\n" for nodes, gpus in ((8, 8), (16, 64)) for size in (4, 64)
    ]
    (there / "scalability.csv").write_text("num_nodes,num_replicas," + header + "".join(wide))
    return tmp_path


def bert(name: str, gpus: int, arrival: float = 0.0) -> PolluxJob:
    return PolluxJob(name, arrival, "bert", gpus, 384)


class Fixed:
    """Speeds of jobs that each take what their name says, wherever they run."""

    def seconds(self, job: PolluxJob, _: Sequence[int]) -> float:
        return float(job.name.split("-")[0])


def run(jobs: Sequence[PolluxJob], scheduler: Scheduler) -> Replayed:
    return replay(jobs, Fixed(), scheduler)  # type: ignore[arg-type]


def test_a_job_takes_its_steps_times_what_a_step_takes(folder: Path) -> None:
    assert Speeds(folder).seconds(bert("a", 8), (4, 4)) == pytest.approx(steps("bert", 384) * 2 * STEP)


def test_what_does_not_fit_the_gpus_is_accumulated_without_synchronising(folder: Path) -> None:
    # 384 samples on 4 GPUs of at most 64: two rounds, the gradients are exchanged once.
    assert Speeds(folder).seconds(bert("a", 4), (4,)) == pytest.approx(steps("bert", 384) * (2 * STEP - 0.1))


def test_between_measured_placements_times_are_interpolated(folder: Path) -> None:
    # 12 nodes: halfway between 8 (4 × STEP) and 16 (4 × STEP); 4 nodes: between 2 (2 × STEP) and 8 (4 × STEP).
    speeds = Speeds(folder)
    assert speeds.seconds(bert("a", 12), (1,) * 12) == pytest.approx(steps("bert", 384) * 4 * STEP)
    assert speeds.seconds(bert("a", 8), (2, 2, 2, 2)) == pytest.approx(
        steps("bert", 384) * (2 + 2 / 3) * STEP
    )


def test_more_samples_per_step_need_fewer_steps() -> None:
    assert steps("cifar10", 4096) < steps("cifar10", 3000) < steps("cifar10", 2048)


def test_an_application_that_nobody_knows_is_refused_by_its_name() -> None:
    with pytest.raises(TraceError, match="how long vgg trains; known: bert"):
        steps("vgg", 256)


def test_workloads_are_read_in_the_order_of_arrival(tmp_path: Path) -> None:
    (tmp_path / "workloads").mkdir()
    rows = "name,time,application,num_replicas,batch_size\nb,20,bert,4,384\na,10,bert,8,384\n"
    (tmp_path / "workloads" / "workload-7.csv").write_text(rows)
    assert [job.name for job in workloads(tmp_path)["workload-7"]] == ["a", "b"]


def test_no_workloads_are_told_as_missing_traces(tmp_path: Path) -> None:
    with pytest.raises(TracesMissing, match="no workload"):
        workloads(tmp_path)


def test_published_times_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="tiresias-1"):
        published(tmp_path, "tiresias")


def test_a_start_costs_its_delay_and_a_decision_comes_each_minute() -> None:
    # It arrives at 10 s, is decided on at 60 s, and runs for 100 s after a start of 30 s.
    assert run([bert("100", 4, 10.0)], Tiresias()).completion == {"100": 50.0 + 30.0 + 100.0}


def test_tiresias_lets_a_job_with_much_service_give_way() -> None:
    long, late = bert("90000", ALL), bert("60", ALL, 3600.0)
    done = run([long, late], Tiresias())
    assert done.completion["60"] < 1000.0
    assert done.restarts == 1


def test_without_preemption_who_runs_is_never_stopped() -> None:
    long, late = bert("9000", ALL), bert("60", 4, 600.0)
    done = run([long, late], orders.InOrder(orders.first_come))
    assert done.completion["60"] > 8000.0
    assert done.restarts == 0


def shortest() -> Product:
    return Product(Order.SHORTEST)


def test_less_expected_work_goes_first_and_takes_the_place_of_more() -> None:
    long, late = bert("90000", ALL), bert("60", 4, 3600.0)
    done = run([long, late], shortest())
    assert done.completion["60"] < 200.0
    assert done.restarts == 1


def test_alike_jobs_do_not_displace_each_other_in_turns() -> None:
    done = run([bert(f"3000-{number}", ALL) for number in range(4)], shortest())
    assert done.restarts <= 4


def test_the_product_does_not_let_those_behind_delay_who_waits_first() -> None:
    # The head needs all nodes and can start at about 1000 s; fillers of 9000 s would keep it from that.
    jobs = [bert("1000", ALL - 4), bert("500", ALL, 60.0), bert("9000", 4, 120.0)]
    product = run(jobs, Product(Order.FIRST_COME))
    greedy = run(jobs, orders.InOrder(orders.first_come))
    assert product.completion["500"] < 1700.0 < greedy.completion["500"]


def test_a_job_that_gave_way_does_not_pass_for_a_short_one_while_it_waits() -> None:
    long, first, second = bert("90000", ALL), bert("600-a", ALL, 10_800.0), bert("600-b", ALL, 10_900.0)
    done = run([long, first, second], shortest())
    assert done.completion["600-b"] < 1500.0
    assert done.restarts == 1


def test_shortest_expected_goes_by_what_ended() -> None:
    durations = Durations()
    rank = orders.shortest_first(durations)
    assert rank(Life(bert("a", 4))) > rank(Life(bert("b", 2)))
    durations.learn("bert", 60.0)
    assert rank(Life(bert("a", 4))) == (240.0,)


def test_a_gang_shares_its_gpus_evenly_over_as_few_nodes_as_can() -> None:
    assert [orders.gang(gpus) for gpus in (1, 4, 6, 12, 48)] == [(1, 1), (1, 4), (2, 3), (3, 4), (12, 4)]


def test_a_scheduler_that_gives_a_node_away_twice_is_found_out() -> None:
    class Careless:
        def decide(self, jobs: Sequence[Life], _: float) -> Mapping[str, Allocation]:
            return {life.job.name: {0: GPUS_PER_NODE} for life in jobs}

        def ended(self, _: Life) -> None: ...

    with pytest.raises(AssertionError, match="given away twice"):
        run([bert("100-a", 4), bert("100-b", 4)], Careless())
