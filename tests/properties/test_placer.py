"""What holds of gang after gang placed on one snapshot, with undo, whatever the cluster and the jobs look like."""

import random
from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar.core.commitments import COLUMNS, Committed, committed
from loadstar.core.forecast import SIGNALS
from loadstar.core.fragmentation import Ask, Fragmentation, Mix
from loadstar.core.health import Health
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.placement import Placer
from loadstar.core.refusals import Unplaceable
from loadstar.core.resources import Resources, devices_of
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Node, Snapshot
from loadstar.core.taints import Effect, Taint, Toleration
from loadstar.core.topology import Topology, near, split, together
from loadstar.core.view import LoadView
from tests.builders import GIB, NOW, WEIGHTS, make_commitment, make_forecaster, make_job, make_loads

ZONE, SLICE = "zone", "nvidia.com/mig-1g.5gb"
TABLES = Fragmentation(Mix.typical({Ask(1_000, GIB, 1): 3.0, Ask(1_000, GIB, 4): 1.0}), [""])
SHARE = st.floats(0.0, 1.0)


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    return [
        Node(
            f"node-{number}",
            Resources(
                64_000,
                512 * GIB,
                draw(st.sampled_from([0, 2, 8])),
                110,
                devices_of({SLICE: draw(st.integers(0, 3))}),
            ),
            ready=draw(st.integers(0, 9)) > 0,
            taints=frozenset(
                draw(st.sets(st.builds(Taint, st.just("t"), st.sampled_from(Effect)), max_size=1))
            ),
            labels=draw(
                st.sampled_from([{}, {ZONE: "a"}, {ZONE: "b"}, {ZONE: "b", "nvidia.com/gpu.replicas": "2"}])
            ),
        )
        for number in range(draw(st.integers(1, 8)))
    ]


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    slices = draw(st.integers(0, 2))
    return make_job(
        ranks=draw(st.integers(1, 4)),
        request=Resources(
            draw(st.sampled_from([0, 1_000, 30_000])),
            GIB,
            0 if slices else draw(st.integers(0, 4)),
            1,
            devices_of({SLICE: slices}),
        ),
        scheduling=Scheduling(
            policy=draw(st.sampled_from(Policy)),
            max_load=draw(st.sampled_from([None, 0.7])),
            horizon=draw(st.sampled_from([30.0, 300.0])),
            tolerations=draw(st.sampled_from([(), (Toleration("t"),)])),
            topology=draw(st.sampled_from([None, Topology(ZONE), Topology(ZONE, required=True)])),
        ),
        family=draw(st.sampled_from(["", "vision"])),
    )


@st.composite
def clusters(draw: st.DrawFn) -> "Cluster":
    found = draw(nodes())
    names = st.sampled_from([node.name for node in found])
    series = draw(st.dictionaries(names, st.lists(SHARE, min_size=1, max_size=3)))
    warm = draw(st.dictionaries(names, st.floats(60.0, 90.0)))
    return Cluster(found, series, {name: Health(temperature=degrees) for name, degrees in warm.items()})


class Cluster:
    """All of a cluster's picture, from which placers can be made anew."""

    def __init__(self, nodes: list[Node], series: dict[str, list[float]], health: dict[str, Health]) -> None:
        self.nodes, self.health = nodes, health
        self.loads = make_loads(make_forecaster(series), WEIGHTS)
        self.committed: Committed | None = None

    def __repr__(self) -> str:
        return f"Cluster({self.nodes}, health={self.health})"

    def placer(self) -> Placer:
        some = {"node-0": Resources(gpus=1)} if self.nodes[0].allocatable.gpus else {}
        snapshot = Snapshot(self.nodes, some, self.health)
        self.committed = committed([make_commitment("node-0", age=200)], snapshot, NOW)
        view = LoadView(snapshot, self.loads, self.committed, NOW)
        return Placer(snapshot, view, Criteria(WEIGHTS, TABLES, (ZONE,)), NOW)


def standing(placer: Placer, cluster: Cluster) -> tuple[bytes, ...]:
    """All that placements change, to the last bit."""
    assert cluster.committed is not None
    parts = placer.snapshot.free, cluster.committed.coming, cluster.committed.variance
    return tuple(part.tobytes() for part in parts)


@settings(max_examples=50)
@given(clusters(), st.lists(jobs(), min_size=1, max_size=4))
def test_a_placer_that_remembers_answers_as_one_that_does_not(cluster: Cluster, queue: list[Job]) -> None:
    remembering, placed = cluster.placer(), list[tuple[Job, Placement]]()
    for job in [*queue, queue[0]]:
        outcome = remembering.place(job, last_turn=0)
        fresh = cluster.placer()
        for other, placement in placed:
            fresh.assume(other, placement)
        assert fresh.place(job, last_turn=0) == outcome
        if isinstance(outcome, Placement):
            remembering.assume(job, outcome)
            placed.append((job, outcome))


@settings(max_examples=50)
@given(clusters(), st.lists(jobs(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_what_is_undone_never_was_in_whatever_order(
    cluster: Cluster, queue: list[Job], shuffle: random.Random
) -> None:
    placer = cluster.placer()
    before, first = standing(placer, cluster), [placer.place(job) for job in queue]
    undos = []
    for job in queue:
        outcome = placer.place(job)
        if isinstance(outcome, Placement):
            undos.append(placer.assume(job, outcome))
    shuffle.shuffle(undos)
    for undo in undos:
        undo()
    assert standing(placer, cluster) == before
    assert [placer.place(job) for job in queue] == first


@given(clusters(), st.lists(jobs(), min_size=1, max_size=8))
def test_no_device_is_given_twice_and_no_gang_in_part(cluster: Cluster, queue: list[Job]) -> None:
    placer = cluster.placer()
    for job in queue:
        outcome = placer.place(job)
        if isinstance(outcome, Placement):
            assert len({rank.node for rank in outcome.ranks}) == job.ranks == len(outcome.ranks)
            placer.assume(job, outcome)
            topology = job.scheduling.topology
            if topology is not None and topology.required and job.ranks > 1:
                labels = {node.name: node.labels.get(ZONE) for node in cluster.nodes}
                assert len({labels[rank.node] for rank in outcome.ranks}) == 1
                assert labels[outcome.ranks[0].node] is not None
        else:
            assert isinstance(outcome, Unplaceable)
            assert outcome.message
    assert (placer.snapshot.free >= 0).all()


@given(clusters(), jobs())
def test_who_is_told_to_wait_for_others_to_end_is_placed_when_they_have(cluster: Cluster, job: Job) -> None:
    """And who is told that waiting never helps is not placed on the empty cluster either."""
    job = replace(job, scheduling=replace(job.scheduling, max_load=None))
    full = {node.name: node.allocatable for node in cluster.nodes}
    snapshot = Snapshot(cluster.nodes, full)
    view = LoadView(snapshot, cluster.loads, committed([], snapshot, NOW), NOW)
    outcome = Placer(snapshot, view, Criteria(WEIGHTS), NOW).place(job)
    empty = Snapshot(cluster.nodes, {})
    view = LoadView(empty, cluster.loads, committed([], empty, NOW), NOW)
    later = Placer(empty, view, Criteria(WEIGHTS), NOW).place(job)
    if isinstance(outcome, Unplaceable):
        assert isinstance(later, Placement) or not outcome.frees_up
        assert isinstance(later, Unplaceable) or not outcome.infeasible


@given(clusters(), jobs())
def test_shares_of_a_node_add_up_to_what_is_allocated(cluster: Cluster, job: Job) -> None:
    placer = cluster.placer()
    before = placer.snapshot.allocated_share()
    outcome = placer.place(job)
    if isinstance(outcome, Placement):
        placer.assume(job, outcome)
        rows = [placer.snapshot.fleet.rows[rank.node] for rank in outcome.ranks]
        added = placer.snapshot.share_of(job.request)[rows]
        assert np.allclose(placer.snapshot.allocated_share()[rows], before[rows] + added)
        assert (placer.snapshot.allocated_share()[:, COLUMNS].shape) == (len(cluster.nodes), len(SIGNALS))


gangs = st.lists(st.tuples(st.integers(-1, 2), st.floats(-1.0, 0.0)), min_size=2, max_size=7)


def worth(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], domains: list[int], chosen: list[int]
) -> float:
    """What `near` wants much of, with the weight 0.3."""
    return float(values[chosen].sum() - 0.3 * split(np.array([domains[place] for place in chosen])).sum())


@given(gangs, st.integers(2, 4))
def test_nearness_is_never_worth_less_than_the_best_nodes_or_the_best_domain(
    candidates: list[tuple[int, float]], ranks: int
) -> None:
    candidates = sorted(candidates, key=lambda candidate: -candidate[1])
    ranks = min(ranks, len(candidates))
    domains, values = [domain for domain, _ in candidates], np.array([value for _, value in candidates])
    order = np.arange(len(candidates))
    chosen = near(order, values, np.array(domains), ranks, weight=0.3).tolist()
    assert len(set(chosen)) == ranks
    assert chosen == sorted(chosen)
    found = worth(values, domains, chosen)
    assert found >= worth(values, domains, list(range(ranks))) - 1e-9
    best = together(order, values, np.array(domains), ranks)
    if best is not None:
        complete = [set_ for set_ in combinations(range(len(candidates)), ranks) if _one(domains, set_)]
        assert values[best].sum() >= max(values[list(set_)].sum() for set_ in complete) - 1e-9


def _one(domains: list[int], chosen: tuple[int, ...]) -> bool:
    return len({domains[place] for place in chosen}) == 1 and domains[chosen[0]] >= 0
