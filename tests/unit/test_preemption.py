"""Whose nodes a job of higher priority gets."""

from dataclasses import replace
from typing import Any

from loadstar.core.durations import Durations
from loadstar.core.jobs import Job, Scheduling
from loadstar.core.plan import Offer, Queues
from loadstar.core.queue import Order
from loadstar.core.refusals import Unplaceable
from loadstar.core.resources import Resources
from loadstar.core.running import GRACE_SECONDS, Running
from loadstar.core.snapshot import Node
from loadstar.core.topology import Topology
from tests.builders import GIB, NOW, make_job, make_node, make_nodes
from tests.queueing import cycle, make_running


def urgent(ranks: int = 1, gpus: int = 8, *, preempts: bool = True, **changes: Any) -> Job:
    scheduling = Scheduling(priority=100, preempts=preempts)
    return make_job("urgent", ranks=ranks, gpus=gpus, **{"scheduling": scheduling, **changes})


def ended(offer: Offer) -> list[str]:
    return [eviction.uid.removeprefix("uid-") for eviction in offer.evictions]


def asked(job: Job, nodes: int, *running: Running, queues: Queues | None = None) -> Offer:
    return cycle([job], make_nodes(nodes), running, queues=queues)[job.uid]


def test_a_gang_of_lower_priority_is_ended_for_it() -> None:
    offer = asked(urgent(), 1, make_running("low", gpus=4))
    assert ended(offer) == ["low"]
    assert offer.starts_at == NOW + GRACE_SECONDS
    assert isinstance(offer.outcome, Unplaceable)
    assert offer.outcome.reason == "Preempting"
    assert offer.outcome.message == "waiting for research/low to save and end, then it starts on node-0"


def test_who_holds_the_part_of_a_gpu_that_it_asks_for_is_ended_and_nobody_else() -> None:
    part = Resources(1_000, GIB, 0, 1, (("nvidia.com/mig-1g.10gb", 1),))
    split = Node("split", Resources(64_000, 512 * GIB, 0, 110, part.devices))
    holder = make_running("holder", ["split"], job_request=part)
    other = make_running("other", ["node-a"], gpus=8)
    job = urgent(request=part)
    assert ended(cycle([job], [make_node(), split], [holder, other])[job.uid]) == ["holder"]


def test_the_gang_is_told_for_whom_and_what_comes_next() -> None:
    [eviction] = asked(urgent(), 1, make_running("low", gpus=4, attempt=3)).evictions
    assert eviction.attempt == 3
    assert eviction.message == (
        "ended for research/urgent of priority 100, above its 0: "
        "it goes on from its newest checkpoint as soon as it is placed again"
    )


def test_one_of_equal_priority_is_not() -> None:
    offer = asked(urgent(), 1, make_running("equal", gpus=4, priority=100))
    assert ended(offer) == []
    assert isinstance(offer.outcome, Unplaceable)
    assert offer.outcome.reason == "InsufficientResources"


def test_a_job_whose_class_never_preempts_waits() -> None:
    assert ended(asked(urgent(preempts=False), 1, make_running("low", gpus=4))) == []


def test_nobody_is_ended_before_its_protected_time_is_over() -> None:
    young = make_running("young", gpus=4, ran=599.0, protected=600.0)
    old = make_running("old", gpus=4, ran=600.0, protected=600.0)
    assert ended(asked(urgent(), 1, young)) == []
    assert ended(asked(urgent(), 1, old)) == ["old"]


def test_a_gang_that_does_not_run_yet_has_nothing_to_protect() -> None:
    starting = make_running("starting", gpus=4, protected=600.0, started_at=None)
    assert ended(asked(urgent(), 1, starting)) == ["starting"]


def test_nobody_is_ended_for_a_job_that_would_not_fit_even_then() -> None:
    low, high = make_running("low", gpus=4), make_running("high", gpus=4, priority=200)
    assert ended(asked(urgent(), 1, low, high)) == []


def test_nobody_is_ended_for_a_job_that_fits_once_others_have_ended() -> None:
    going = make_running("going", gpus=4, ending=True, ends_at=NOW + 40)
    other = make_running("other", ["node-1"], gpus=4)
    offer = asked(urgent(), 2, going, other)
    assert ended(offer) == []
    assert offer.starts_at == NOW + 40
    assert isinstance(offer.outcome, Unplaceable)
    assert offer.outcome.reason == "Preempting"


def test_nobody_is_ended_where_nodes_get_free_within_the_grace_anyway() -> None:
    done, other = (
        make_running("done", gpus=4, ends_at=NOW + 30),
        make_running("other", ["node-1"], gpus=4),
    )
    assert ended(asked(urgent(), 2, done, other)) == []


def test_whoever_has_the_lowest_priority_goes_first() -> None:
    lowest = make_running("lowest", gpus=4, ran=9000.0)
    low = make_running("low", ["node-1"], gpus=4, ran=1.0, priority=50)
    assert ended(asked(urgent(), 2, low, lowest)) == ["lowest"]


def test_of_equals_who_loses_least_goes_first() -> None:
    long = make_running("long", gpus=4, ran=9000.0)
    saved = make_running("saved", ["node-1"], gpus=4, ran=90_000.0, saved_at=NOW - 10)
    assert ended(asked(urgent(), 2, long, saved)) == ["saved"]


def test_one_gang_goes_rather_than_several() -> None:
    several = [make_running(f"single-{n}", [f"node-{n}"], gpus=8, ran=10.0) for n in range(2)]
    one = make_running("gang", ["node-2", "node-3"], gpus=8, ran=5000.0)
    assert ended(asked(urgent(ranks=2), 4, *several, one)) == ["gang"]


def test_several_go_where_one_is_not_enough_and_no_more_than_needed() -> None:
    running = [make_running(f"r{n}", ["node-0"], gpus=2, ran=10.0 + n) for n in range(4)]
    assert ended(asked(urgent(gpus=5), 1, *running)) == ["r0", "r1", "r2"]


def test_a_gang_that_is_in_the_way_on_one_node_goes_as_a_whole_and_its_other_nodes_are_used() -> None:
    gang = make_running("gang", ["node-0", "node-1"], gpus=8, ran=900.0)
    single = make_running("single", ["node-2"], gpus=8, ran=10.0)
    assert ended(asked(urgent(ranks=2), 3, gang, single)) == ["gang"]


def test_who_is_ended_in_this_cycle_is_not_ended_again_and_its_nodes_are_kept() -> None:
    jobs = [urgent(), make_job("next", gpus=8, created_at=NOW + 1, scheduling=Scheduling(priority=50))]
    jobs.append(make_job("small", created_at=NOW + 2))
    offers = cycle(jobs, make_nodes(1), [make_running("low", gpus=4)])
    assert [ended(offers[job.uid]) for job in jobs] == [["low"], [], []]
    assert isinstance(offers["uid-small"].outcome, Unplaceable)


def test_several_jobs_of_a_group_each_have_others_ended() -> None:
    jobs = [replace(urgent(), uid=f"uid-{n}", name=f"urgent-{n}") for n in range(2)]
    running = [make_running(f"low-{n}", [f"node-{n}"], gpus=4) for n in range(3)]
    offers = cycle(jobs, make_nodes(3), running)
    assert sorted(name for offer in offers.values() for name in ended(offer)) == ["low-0", "low-1"]


def test_a_gang_that_has_to_stay_together_has_others_ended_in_one_domain() -> None:
    nodes = [make_node(f"node-{n}", 8, labels={"rack": f"rack-{n % 2}"}) for n in range(4)]
    losses = [10.0, 5000.0, 900.0, 10.0]
    running = [make_running(f"r{n}", [f"node-{n}"], gpus=8, ran=ran) for n, ran in enumerate(losses)]
    wishes = Scheduling(priority=100, topology=Topology("rack", required=True))
    offers = cycle([urgent(ranks=2, scheduling=wishes)], nodes, running)
    assert ended(offers["uid-urgent"]) == ["r0", "r2"]


def short_and_long() -> Queues:
    durations = Durations()
    for _ in range(3):
        durations.learn("short", 60.0)
        durations.learn("long", 36_000.0)
    return Queues(durations=durations, order=Order.SHORTEST)


def test_by_shortest_expected_a_job_with_less_work_ahead_goes_before_one_of_its_group() -> None:
    queues = short_and_long()
    quick = make_job("quick", gpus=8, family="short")
    long = make_running("long", gpus=8, job_family="long")
    assert ended(asked(quick, 1, long, queues=queues)) == ["long"]
    assert "with less work ahead" in asked(quick, 1, long, queues=queues).evictions[0].message
    assert ended(asked(quick, 1, long, queues=replace(queues, order=Order.FIRST_COME))) == []


def test_by_shortest_expected_other_groups_gangs_are_left_alone() -> None:
    quick = make_job("quick", gpus=8, family="short")
    other = make_running("long", gpus=8, job_family="long", job_namespace="other")
    assert ended(asked(quick, 1, other, queues=short_and_long())) == []
