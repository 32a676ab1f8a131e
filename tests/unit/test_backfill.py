"""Who may start before those ahead of it: nobody for whom they would start later."""

from dataclasses import replace
from typing import Any

from loadstar.core.backfill import Promises
from loadstar.core.durations import Durations
from loadstar.core.jobs import Job, Placement, Scheduling
from loadstar.core.plan import Offer, Queues, Turn, plan
from loadstar.core.running import Running
from loadstar.core.topology import Topology
from tests.builders import NOW, make_forecaster, make_job, make_loads, make_node, make_nodes, make_snapshot
from tests.queueing import cycle, lasting, make_running, taken_by

RACK = "rack"


def small(name: str = "small", **changes: Any) -> Job:
    return make_job(name, **{"gpus": 1, "created_at": NOW + 1, **changes})


def large(**changes: Any) -> Job:
    """Needs a whole node of eight."""
    return make_job("large", **{"gpus": 8, **changes})


def starts(offer: Offer) -> bool:
    return isinstance(offer.outcome, Placement)


def occupied(until: float | None = NOW + 600, gpus: int = 6, node: str = "node-0") -> list[Running]:
    return [make_running(nodes=[node], gpus=gpus, ends_at=until)]


def test_a_job_of_unknown_length_leaves_the_nodes_of_the_job_ahead_alone() -> None:
    offers = cycle([large(), small()], make_nodes(1), occupied())
    assert not starts(offers["uid-small"])
    assert [offer.position for offer in offers.values()] == [1, 2]


def test_it_is_told_for_whom_nodes_are_kept() -> None:
    outcome = cycle([large(), small()], make_nodes(1), occupied())["uid-small"].outcome
    assert not isinstance(outcome, Placement)
    assert "Nodes are kept for research/large, ahead of it" in outcome.message
    assert [(rejection.reason, rejection.nodes) for rejection in outcome.rejected] == [("Reserved", 1)]


def test_other_nodes_are_free_to_it() -> None:
    offers = cycle([large(), small()], make_nodes(2), [*occupied(), *occupied(None, 7, "node-1")])
    outcome = offers["uid-small"].outcome
    assert isinstance(outcome, Placement)
    assert outcome.ranks[0].node == "node-1"


def test_a_job_that_is_over_in_time_may_take_them() -> None:
    in_time, too_long = small(run_policy=lasting(600)), small(run_policy=lasting(601))
    assert starts(cycle([large(), in_time], make_nodes(1), occupied())["uid-small"])
    assert not starts(cycle([large(), too_long], make_nodes(1), occupied())["uid-small"])


def test_a_family_that_is_hardly_ever_longer_counts_as_over_in_time() -> None:
    durations = Durations()
    for _ in range(20):
        durations.learn("quick", 300.0)
    queues = Queues(durations=durations)
    jobs = [large(), small("quick", family="quick"), small("other", family="other")]
    offers = cycle(jobs[:2], make_nodes(1), occupied(), queues=queues)
    assert starts(offers["uid-quick"])
    durations.learn("quick", 3000.0)
    durations.learn("quick", 3000.0)
    assert not starts(cycle(jobs[:2], make_nodes(1), occupied(), queues=queues)["uid-quick"])


def test_where_nobody_knows_when_the_nodes_are_ready_nobody_is_over_in_time() -> None:
    job = small(run_policy=lasting(100))
    assert not starts(cycle([large(), job], make_nodes(1), occupied(None))["uid-small"])


def test_what_is_left_over_beside_the_job_ahead_is_free_to_all() -> None:
    jobs = [large(gpus=6), small("a", gpus=2), small("b", gpus=1, created_at=NOW + 2)]
    offers = cycle(jobs, make_nodes(1), occupied(gpus=5))
    assert starts(offers["uid-a"]), "8 - 6 are left over, and 3 are free now"
    assert not starts(offers["uid-b"]), "the leftover is given away"


def test_the_nodes_that_are_ready_first_are_kept() -> None:
    running = [*occupied(NOW + 600), *occupied(NOW + 300, node="node-1")]
    offers = cycle([large(), small()], make_nodes(2), running)
    outcome = offers["uid-small"].outcome
    assert isinstance(outcome, Placement)
    assert outcome.ranks[0].node == "node-0"
    assert offers["uid-large"].starts_at == NOW + 300


def test_nothing_is_kept_where_something_else_is_in_the_way() -> None:
    nodes = [make_node("node-0", 8)]
    foreign = replace(make_running(gpus=6), nodes=())
    offers = cycle([large(gpus=9), small()], nodes, [foreign])
    assert starts(offers["uid-small"])


def test_the_first_job_of_every_group_is_kept_nodes_for() -> None:
    def of(group: str, age: float) -> Job:
        scheduling = Scheduling(queue=group)
        return make_job(group, gpus=8, created_at=NOW - age, scheduling=scheduling)

    running = [*occupied(node="node-0"), *occupied(node="node-1"), *occupied(None, node="node-2")]
    jobs = [of("a", 9), of("b", 8), small(scheduling=Scheduling(queue="a"))]
    outcome = cycle(jobs, make_nodes(3), running)["uid-small"].outcome
    assert isinstance(outcome, Placement)
    assert outcome.ranks[0].node == "node-2"


def test_a_gang_that_has_to_stay_together_is_kept_nodes_of_one_domain() -> None:
    racks = ["near", "far", "near", "far"]
    nodes = [make_node(f"node-{n}", 8, labels={RACK: rack}) for n, rack in enumerate(racks)]
    ends = [100, 200, 900, 300]
    running = [make_running(f"r{n}", [f"node-{n}"], gpus=6, ends_at=NOW + end) for n, end in enumerate(ends)]
    gang = large(ranks=2, scheduling=Scheduling(topology=Topology(RACK, required=True)))
    offers = cycle([gang, small("a"), small("b", created_at=NOW + 2)], nodes, running)
    assert offers["uid-large"].starts_at == NOW + 300
    placed = {offers[uid].outcome.ranks[0].node for uid in ("uid-a", "uid-b")}  # type: ignore[union-attr]
    assert placed <= {"node-0", "node-2"}


def test_a_promise_that_was_broken_is_not_left_to_expectations_again() -> None:
    queues = Queues(promises=Promises())
    quick = small(run_policy=lasting(60))
    assert starts(cycle([large(), quick], make_nodes(1), occupied(NOW + 100), queues=queues)["uid-small"])
    late = NOW + 111
    offers = cycle([large(), quick], make_nodes(1), occupied(late + 100), now=late, queues=queues)
    assert not starts(offers["uid-small"])


def test_a_job_that_left_the_queue_takes_its_promise_with_it() -> None:
    queues, late = Queues(promises=Promises()), NOW + 500
    quick = small(run_policy=lasting(60))
    cycle([large()], make_nodes(1), occupied(NOW + 100), queues=queues)
    cycle([quick], make_nodes(1), occupied(NOW + 100, gpus=8), queues=queues)
    offers = cycle([large(), quick], make_nodes(1), occupied(late + 100), now=late, queues=queues)
    assert starts(offers["uid-small"])


def test_nothing_is_kept_for_a_job_that_waits_for_an_end_of_a_cordon() -> None:
    offers = cycle([large(), small()], [make_node("node-0", 8, cordoned=True), make_node("node-1", 4)])
    assert starts(offers["uid-small"])


def test_a_node_that_is_too_loaded_for_a_job_is_not_kept_for_it() -> None:
    calm = large(scheduling=Scheduling(max_load=0.5))
    running = occupied()
    snapshot = make_snapshot(make_nodes(1), taken_by(running))
    loads = make_loads(make_forecaster({"node-0": [0.9] * 5}))
    queues = Queues(running=tuple(running))
    offers = plan([calm, small()], snapshot, [], loads, Turn(), NOW, queues)
    assert starts(offers["uid-small"])
