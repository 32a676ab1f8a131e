"""What holds of every placement and every cycle, whatever the cluster and the queue look like."""

import random
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loadstar.core.commitments import expected_use
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.newcomers import Newcomers, newcomers
from loadstar.core.placement import Given, Placer, Unplaceable
from loadstar.core.plan import Loads, Offer, Turn, plan
from loadstar.core.resources import Resources
from loadstar.core.score import predictive
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Node
from tests.builders import (
    GPU_ONLY,
    NOW,
    make_forecaster,
    make_job,
    make_loads,
    make_node,
    make_node_loads,
    make_nodes,
    make_request,
    make_snapshot,
)
from tests.queueing import make_running

HOUR = 3600.0
SHARE = st.floats(0.0, 1.0)


@st.composite
def clusters(draw: st.DrawFn) -> list[Node]:
    sizes = draw(st.lists(st.sampled_from([0, 1, 2, 4, 8]), min_size=1, max_size=8))
    return [
        make_node(f"node-{number}", gpus, cordoned=draw(st.booleans()) and draw(st.booleans()))
        for number, gpus in enumerate(sizes)
    ]


@st.composite
def queues(draw: st.DrawFn) -> list[Job]:
    return [
        make_job(
            f"job-{number}",
            ranks=draw(st.integers(1, 4)),
            request=make_request(draw(st.integers(0, 8)), cpu=draw(st.sampled_from([100, 30_000]))),
            created_at=NOW - draw(st.sampled_from([0.0, 1.0, HOUR])),
            scheduling=Scheduling(
                policy=draw(st.sampled_from(Policy)),
                max_load=draw(st.sampled_from([None, 0.7])),
                horizon=draw(st.sampled_from([30.0, 300.0])),
            ),
        )
        for number in range(draw(st.integers(1, 8)))
    ]


@st.composite
def known_loads(draw: st.DrawFn) -> Loads:
    series = st.lists(SHARE, min_size=1, max_size=4)
    measured = draw(st.dictionaries(st.sampled_from([f"node-{n}" for n in range(8)]), series))
    return make_loads(make_forecaster(measured))


def planned(nodes: list[Node], jobs: list[Job], loads: Loads) -> dict[str, Offer]:
    return plan(jobs, make_snapshot(nodes), [], loads, Turn(), NOW)


@given(clusters(), queues(), known_loads())
def test_no_node_is_ever_given_away_twice(nodes: list[Node], jobs: list[Job], loads: Loads) -> None:
    offers = planned(nodes, jobs, loads)
    taken: dict[str, Resources] = defaultdict(Resources)
    for job in jobs:
        outcome = offers[job.uid].outcome
        for rank in outcome.ranks if isinstance(outcome, Placement) else ():
            taken[rank.node] += job.request
    by_name = {node.name: node for node in nodes}
    for name, amount in taken.items():
        assert amount.fits(by_name[name].allocatable)
        assert not by_name[name].cordoned


@given(clusters(), queues(), known_loads())
def test_a_gang_gets_a_node_for_every_rank_or_none(nodes: list[Node], jobs: list[Job], loads: Loads) -> None:
    offers = planned(nodes, jobs, loads)
    assert offers.keys() == {job.uid for job in jobs}
    for job in jobs:
        outcome = offers[job.uid].outcome
        if isinstance(outcome, Placement):
            assert [rank.rank for rank in outcome.ranks] == list(range(job.ranks))
            assert len({rank.node for rank in outcome.ranks}) == job.ranks
        else:
            assert outcome.reason
            assert outcome.message


@given(clusters(), queues(), known_loads(), st.randoms(use_true_random=False))
def test_the_same_cluster_gives_the_same_answer_in_whatever_order_it_is_seen(
    nodes: list[Node], jobs: list[Job], loads: Loads, shuffle: random.Random
) -> None:
    first = planned(nodes, jobs, loads)
    shuffle.shuffle(nodes)
    shuffle.shuffle(jobs)
    assert planned(nodes, jobs, loads) == first


@given(clusters(), queues(), known_loads())
def test_who_stays_waiting_is_numbered_in_order_of_creation(
    nodes: list[Node], jobs: list[Job], loads: Loads
) -> None:
    offers = planned(nodes, jobs, loads)
    waiting = sorted(
        (job for job in jobs if isinstance(offers[job.uid].outcome, Unplaceable)), key=lambda job: job.order
    )
    assert [offers[job.uid].position for job in waiting] == list(range(1, len(waiting) + 1))


@given(SHARE, SHARE, st.floats(0.0, 1.0), st.floats(0.0, 0.8), SHARE)
def test_the_score_is_bounded_and_never_better_for_more_load(
    low: float, high: float, band: float, own_use: float, free: float
) -> None:
    loads = make_node_loads(sorted([low, high]), band=[band, band])
    scores = predictive(loads, np.full((2, len(SIGNALS)), own_use), np.full(2, free), GPU_ONLY)
    assert scores.total[0] >= scores.total[1] - 1e-9
    assert (scores.total <= 0).all()
    assert (scores.total > -4).all()
    assert np.allclose(scores.total, sum(scores.terms.values()))


@given(
    *(SHARE, SHARE, st.integers(0, 4), st.integers(1, 4)),
    *(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 0.1), st.floats(0.0, 0.5)),
)
def test_of_two_nodes_with_the_same_jobs_nobody_goes_to_the_one_with_more_load(
    low: float,
    high: float,
    held: int,
    asked: int,
    used_by_them: float,
    used_by_it: float,
    band: float,
    usual: float,
) -> None:
    """Whatever a job is known to use, whatever newcomers are like, and whatever else is usual there."""
    assume(abs(high - low) > 0.01)
    families, nodes = Families(), make_nodes(2)
    for family, use in (("theirs", used_by_them), ("its", used_by_it)):
        for _ in range(50):
            families.learn_use(family, np.full(len(SIGNALS), use))
    request = make_request(held, cpu=8000 * held)
    gangs = [make_running(it.name, [it.name], job_request=request, job_family="theirs") for it in nodes]
    snapshot = make_snapshot(nodes, {it.name: request for it in nodes} if held else {})
    background = np.full((2, len(SIGNALS)), usual)
    coming = newcomers(gangs if held else [], snapshot, families, background)
    criteria = Criteria(GPU_ONLY, newcomers=coming)
    expected = _Known(make_node_loads([high, low], band=[band, band]), snapshot, families)
    job = make_job(request=make_request(asked, cpu=8000 * asked), family="its")
    outcome = Placer(snapshot, expected, criteria, NOW).place(job)
    assert isinstance(outcome, Placement)
    assert outcome.ranks[0].node == ("node-1" if low < high else "node-0")


@dataclass(frozen=True, slots=True)
class _Known(Given):
    """Loads that are given, of jobs whose families are known."""

    families: Families

    def own_use(self, job: Job) -> NDArray[np.float64]:
        return expected_use(job.request, self.snapshot, self.families.use(job.family))


@given(SHARE, SHARE, st.floats(0.0, 2.0), st.integers(1, 8), st.integers(0, 8))
def test_headroom_is_worth_no_more_than_the_difference_of_the_rank_to_the_newcomers_it_displaces(
    held: float, own_use: float, coming: float, asked: int, more: int
) -> None:
    free = min(asked + more, 8)
    some = Newcomers(_all(coming), np.full(2, 8.0), _all(held))
    shares = np.full(2, free / 8), np.full(2, asked / 8)
    found = some.headroom(np.arange(2), *shares, _all(own_use), GPU_ONLY)
    displaced = coming * asked / 8
    assert abs(found[0]) <= abs(own_use - displaced) + 1e-6
    assert found[0] * (displaced - own_use) >= -1e-6, "it is above 0 for a lighter rank alone"


def _all(value: float) -> NDArray[np.float64]:
    return np.full((2, len(SIGNALS)), value)


@given(clusters(), queues())
def test_a_queue_always_drains_when_what_was_placed_ends(nodes: list[Node], jobs: list[Job]) -> None:
    """Every job that could run on the empty cluster runs within as many rounds as there are jobs."""
    jobs = [replace(job, scheduling=replace(job.scheduling, max_load=None)) for job in jobs]
    waiting = {job.uid: job for job in jobs}
    for _ in range(len(jobs)):
        offers = planned(nodes, list(waiting.values()), make_loads())
        for uid, offer in offers.items():
            if isinstance(offer.outcome, Placement):
                del waiting[uid]
    for job in waiting.values():
        [offer] = planned(nodes, [job], make_loads()).values()
        assert isinstance(offer.outcome, Unplaceable)
