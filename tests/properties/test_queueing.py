"""What holds of the queue over time, whatever comes: played in virtual time with the operator's own cycle."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar.core.durations import Durations
from loadstar.core.fairshare import Usage
from loadstar.core.jobs import RunPolicy, Scheduling
from loadstar.core.plan import Queues
from loadstar.core.queue import Order
from loadstar.core.running import GRACE_SECONDS
from tests.builders import NOW, make_job, make_nodes
from tests.queueing import VirtualCluster, cycle, lasting

HOUR = 3600.0
LIVES = settings(max_examples=60)
"""Each example is a whole life of a cluster, with a cycle at every event."""


@st.composite
def streams(draw: st.DrawFn, *, bounded: bool | None = None, priorities: int = 1) -> VirtualCluster:
    """Two or three nodes of four GPUs, and some jobs that come within ten minutes and last for minutes.

    `bounded` jobs have a deadline at their very end, and nothing else tells of their length; by default some have, and
    families tell nothing, tell the truth, or tell far too little.
    """
    cluster = VirtualCluster(make_nodes(draw(st.integers(2, 3)), gpus=4), {})
    for number in range(draw(st.integers(1, 8))):
        length = float(draw(st.sampled_from([60, 100, 300, 900])))
        known = draw(st.booleans()) if bounded is None else bounded
        job = make_job(
            f"job-{number:02}",
            ranks=draw(st.integers(1, len(cluster.nodes))),
            gpus=draw(st.integers(1, 4)),
            created_at=NOW + draw(st.integers(0, 10)) * 60.0,
            family=str(number) if bounded else draw(st.sampled_from(["", "truth", "wrong"])),
            scheduling=Scheduling(priority=draw(st.integers(0, priorities - 1)), protected_seconds=120.0),
            run_policy=lasting(length) if known else RunPolicy(),
        )
        cluster.submit(job)
        cluster.lengths[job.uid] = length
    return cluster


def misled() -> Durations:
    """Of the family `wrong` far too short lengths are remembered."""
    durations = Durations()
    for _ in range(20):
        durations.learn("wrong", 10.0)
    return durations


@LIVES
@given(streams(priorities=3), st.sampled_from(Order), st.booleans())
def test_the_queue_always_drains_and_no_node_is_given_away_twice(
    cluster: VirtualCluster, order: Order, wrong: bool
) -> None:
    cluster.queues = Queues(durations=misled() if wrong else Durations(), order=order)
    jobs = {job.uid for job in cluster.coming}
    cluster.run()
    assert cluster.finished.keys() == jobs


@LIVES
@given(streams(bounded=True))
def test_nobody_at_the_head_starts_later_than_was_said_when_ends_are_known(cluster: VirtualCluster) -> None:
    for at, uid, promised in heads(cluster):
        started = cluster.started.get(uid)
        assert started is None or started <= promised + 1e-6, (at, uid)
    assert not cluster.waiting


def heads(cluster: VirtualCluster) -> Iterator[tuple[float, str, float]]:
    """Whoever is first in the queue and the start that it is told, each time until it has started."""
    told: dict[str, float] = {}
    while cluster.step():
        for uid, offer in cluster.offers.items():
            if offer.position == 1 and offer.starts_at is not None:
                told.setdefault(uid, offer.starts_at)
        for uid, promised in told.items():
            assert uid in cluster.started or cluster.now <= promised + 1e-6, uid
            yield cluster.now, uid, promised


@LIVES
@given(streams(bounded=True))
def test_backfill_delays_nobody_who_is_at_the_head(cluster: VirtualCluster) -> None:
    """Whoever becomes the head starts no later than it would if nobody behind it had ever been there."""
    heads: set[str] = set()
    while cluster.step():
        head = next((uid for uid, offer in cluster.offers.items() if offer.position == 1), None)
        if head is None or head in heads:
            continue
        heads.add(head)
        alone = alone_from_here(cluster, head)
        promised = cluster.offers[head].starts_at
        assert promised is not None
        assert promised <= alone + 1e-6


def alone_from_here(cluster: VirtualCluster, head: str) -> float:
    """When the head starts if nobody else comes any more and all run for as long as they may."""
    rest = VirtualCluster(cluster.nodes, dict(cluster.lengths), now=cluster.now)
    rest.running, rest.ends = dict(cluster.running), {}
    for uid, gang in cluster.running.items():
        assert gang.started_at is not None
        assert gang.job.run_policy.active_deadline is not None
        rest.ends[uid] = gang.started_at + gang.job.run_policy.active_deadline + GRACE_SECONDS
    rest.waiting = {head: cluster.waiting[head]}
    rest.run()
    return rest.started[head]


@LIVES
@given(streams(priorities=3), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_how_jobs_and_nodes_are_listed(
    cluster: VirtualCluster, shuffle: random.Random
) -> None:
    for _ in range(3):
        cluster.step()
    jobs = [*cluster.waiting.values(), *cluster.coming]
    running = list(cluster.running.values())
    first = cycle(jobs, cluster.nodes, running, now=cluster.now)
    for listed in (jobs, running, cluster.nodes):
        shuffle.shuffle(listed)
    assert cycle(jobs, cluster.nodes, running, now=cluster.now) == first


@LIVES
@given(streams(priorities=3))
def test_nobody_is_ended_for_one_of_its_own_priority_or_below(cluster: VirtualCluster) -> None:
    priority = {job.uid: job.scheduling.priority for job in cluster.coming}
    while cluster.step():
        for uid, offer in cluster.offers.items():
            assert all(priority[one.uid] < priority[uid] for one in offer.evictions)


@pytest.mark.parametrize("bound", [None, 100.0], ids=["unknown lengths", "lengths that are exceeded"])
def test_an_endless_stream_of_small_jobs_does_not_keep_a_large_one_waiting(bound: float | None) -> None:
    """Small jobs fill the cluster before the large one comes and for ever after, and last three times too long."""
    length, gap = 300.0, 15.0
    durations = Durations()
    for _ in range(20):
        durations.learn("small", bound or 0.0)
    cluster = VirtualCluster(
        make_nodes(2, gpus=8), {}, Queues(durations=Durations() if bound is None else durations)
    )
    for number in range(270):
        small = make_job(f"small-{number:04}", family="small", created_at=NOW + number * gap)
        cluster.submit(small)
        cluster.lengths[small.uid] = length
        durations.learn(
            "small", bound or 0.0
        )  # ends are reported as they are expected, whatever really happens
    large = make_job("large", ranks=2, gpus=8, created_at=NOW + 1000.0)
    cluster.submit(large)
    cluster.lengths[large.uid] = length
    cluster.run(until=NOW + 4000.0)
    assert cluster.started[large.uid] - large.created_at <= 2 * length


@pytest.mark.parametrize(
    ("weight", "length", "gpus"), [(1.0, 100.0, 1), (1.0, 700.0, 4), (3.0, 300.0, 1), (3.0, 700.0, 2)]
)
def test_used_gpu_time_of_two_groups_comes_to_their_weights(weight: float, length: float, gpus: int) -> None:
    """Both always have more to do than fits; jobs of the one last longer or are larger than those of the other."""
    cluster = VirtualCluster(make_nodes(1, gpus=8), {}, Queues(usage=Usage({"a": weight}, half_life=HOUR)))
    for number in range(90):
        for group in "ab":
            job = make_job(
                f"{group}-{number:03}", gpus=gpus if group == "a" else 1, scheduling=Scheduling(queue=group)
            )
            cluster.submit(job)
            cluster.lengths[job.uid] = length if group == "a" else 300.0
    cluster.run(until=NOW + 1700.0)
    assert {job.group for job in cluster.waiting.values()} == {"a", "b"}, "both still have something to do"
    used = {
        group: cluster.used[group]
        + sum(g.gpus * g.ran(cluster.now) for g in cluster.running.values() if g.job.group == group)
        for group in "ab"
    }
    assert used["a"] / used["b"] == pytest.approx(weight, rel=0.2)


def test_a_group_that_had_the_cluster_to_itself_gets_less_until_the_other_has_caught_up() -> None:
    usage = Usage({}, half_life=HOUR)
    usage.settle("night", "a", 8, (NOW - HOUR, NOW))
    cluster = VirtualCluster(make_nodes(1, gpus=8), {}, Queues(usage=usage))
    for number in range(10):
        for group in "ab":
            job = make_job(
                f"{group}-{number:03}",
                scheduling=Scheduling(queue=group),
            )
            cluster.submit(job)
            cluster.lengths[job.uid] = 120.0
    cluster.step()
    running = [gang.job.group for gang in cluster.running.values()]
    assert (running.count("a"), running.count("b")) == (2, 6), (
        "eight for one half-life are worth four held now"
    )


def test_a_preempted_gang_goes_on_when_there_is_room_again() -> None:
    cluster = VirtualCluster(make_nodes(1, gpus=8), {"uid-low": 1000.0, "uid-high": 100.0})
    low = make_job("low", gpus=8)
    high = make_job("high", gpus=8, created_at=NOW + 50, scheduling=Scheduling(priority=1))
    cluster.submit(low, high)
    cluster.run()
    assert cluster.started["uid-high"] == NOW + 50 + GRACE_SECONDS
    assert cluster.attempts["uid-low"] == 2
    assert cluster.finished["uid-low"] == pytest.approx(NOW + 50 + GRACE_SECONDS + 100 + 950)
