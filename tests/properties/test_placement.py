"""What holds of every placement and every cycle, whatever the cluster and the queue look like."""

import random
from collections import defaultdict
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.placement import Unplaceable
from loadstar.core.plan import Loads, Offer, Turn, plan
from loadstar.core.resources import Resources
from loadstar.core.score import MOST_WELCOME, Filled, predictive
from loadstar.core.snapshot import Node
from tests.builders import (
    GPU_ONLY,
    NOW,
    make_forecaster,
    make_job,
    make_loads,
    make_node,
    make_node_loads,
    make_request,
    make_snapshot,
)

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


@given(SHARE, SHARE, st.floats(0.0, 1.0), st.floats(0.0, 0.8), st.floats(0.0, 0.8), SHARE)
def test_headroom_is_never_better_for_more_load_where_the_rank_uses_no_less_than_newcomers(
    low: float, high: float, band: float, more: float, displaced: float, coming: float
) -> None:
    loads = make_node_loads(sorted([low, high]), band=[band, band])
    terms = predictive(
        loads, _all(displaced + more), np.zeros(2), GPU_ONLY, {}, _filled(coming, displaced)
    ).terms
    assert terms["headroom"][0] >= terms["headroom"][1] - 1e-6


@given(SHARE, SHARE, st.floats(0.0, 1.0), st.floats(0.0, 0.8), st.floats(0.0, 0.8), SHARE)
def test_no_score_is_better_for_more_load_by_more_than_a_light_rank_is_welcome(
    low: float, high: float, band: float, own_use: float, displaced: float, coming: float
) -> None:
    loads = make_node_loads(sorted([low, high]), band=[band, band])
    total = predictive(loads, _all(own_use), np.zeros(2), GPU_ONLY, {}, _filled(coming, displaced)).total
    assert total[0] >= total[1] - MOST_WELCOME - 1e-6


@given(SHARE, st.floats(0.0, 1.0), st.floats(0.0, 0.8), st.floats(0.0, 0.8), SHARE)
def test_headroom_is_worth_no_more_than_the_difference_of_the_rank_to_the_newcomers_it_displaces(
    load: float, band: float, own_use: float, displaced: float, coming: float
) -> None:
    loads = make_node_loads([load, load], band=[band, band])
    terms = predictive(loads, _all(own_use), np.zeros(2), GPU_ONLY, {}, _filled(coming, displaced)).terms
    assert abs(terms["headroom"][0]) <= abs(own_use - displaced) + 1e-6
    assert terms["headroom"][0] <= MOST_WELCOME
    assert terms["headroom"][0] * (displaced - own_use) >= -1e-6, "it is above 0 for a lighter rank alone"


def _all(value: float) -> NDArray[np.float64]:
    return np.full((2, len(SIGNALS)), value)


def _filled(coming: float, displaced: float) -> Filled:
    """Newcomers who add `coming` beside a rank, and in its place as much more as it displaces."""
    return Filled(_all(coming + displaced), _all(coming), _all(0.01 * coming))


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
