"""Filter → score → choose: every refusal, every policy, gangs, ties, and what a refusal says."""

from typing import Any

import numpy as np
import pytest

from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.placement import Request, Unplaceable, place
from loadstar.core.resources import Resources
from loadstar.core.score import NodeLoads, expected_excess
from loadstar.core.snapshot import Node, Snapshot
from loadstar.core.taints import Taint
from loadstar.core.volumes import Operator, Presence, Requirement, Volume
from tests.builders import (
    GIB,
    GPU_ONLY,
    NOW,
    make_job,
    make_node,
    make_node_loads,
    make_nodes,
    make_request,
    make_snapshot,
)


def tried(
    job: Job, snapshot: Snapshot, loads: NodeLoads | None = None, last_turn: int | None = None
) -> Placement | Unplaceable:
    calm = loads or make_node_loads([0.0] * len(snapshot.nodes))
    return place(Request(job, calm, GPU_ONLY, last_turn, NOW), snapshot)


def placed(
    job: Job, snapshot: Snapshot, loads: NodeLoads | None = None, last: int | None = None
) -> list[str]:
    """The nodes of the gang in rank order."""
    outcome = tried(job, snapshot, loads, last)
    assert isinstance(outcome, Placement), outcome
    assert [rank.rank for rank in outcome.ranks] == list(range(job.ranks))
    return [rank.node for rank in outcome.ranks]


def refused(job: Job, snapshot: Snapshot, loads: NodeLoads | None = None) -> Unplaceable:
    outcome = tried(job, snapshot, loads)
    assert isinstance(outcome, Unplaceable), outcome
    return outcome


def by(policy: Policy, **wishes: Any) -> Scheduling:
    return Scheduling(policy=policy, **wishes)


GOOD = make_node("good")
NEAR = Volume("data", places=((Requirement("zone", Operator.IN, ("near",)),),))
REFUSALS: dict[str, tuple[Node, Resources]] = {
    "NotReady": (make_node("bad", ready=False), Resources()),
    "Cordoned": (make_node("bad", cordoned=True), Resources()),
    "Tainted": (make_node("bad", taints=frozenset({Taint("maintenance")})), Resources()),
    "OtherGPUProduct": (make_node("bad", gpu_product="old"), Resources()),
    "VolumeElsewhere": (make_node("bad", labels={"zone": "far"}), Resources()),
    "InsufficientGPUs": (make_node("bad"), Resources(gpus=8)),
    "InsufficientCPU": (make_node("bad"), Resources(cpu=63_001)),
    "InsufficientMemory": (make_node("bad"), Resources(memory=512 * GIB)),
    "TooManyPods": (make_node("bad"), Resources(pods=110)),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_node_is_refused_for(reason: str) -> None:
    bad, taken = REFUSALS[reason]
    wishes = Scheduling(gpu_products=frozenset({"new"})) if reason == "OtherGPUProduct" else Scheduling()
    volumes = (NEAR,) if reason == "VolumeElsewhere" else ()
    good = make_node("good", gpu_product="new", labels={"zone": "near"})
    job = make_job(scheduling=wishes, volumes=volumes)
    outcome = tried(job, make_snapshot([bad, good], {"bad": taken}))
    assert isinstance(outcome, Placement)
    assert [rank.node for rank in outcome.ranks] == ["good"]
    assert [(r.reason, r.nodes, r.example) for r in outcome.rejected] == [(reason, 1, "bad")]


def test_a_node_above_max_load_is_refused() -> None:
    job = make_job(scheduling=Scheduling(max_load=0.5))
    snapshot, loads = make_snapshot(make_nodes(2)), make_node_loads([0.51, 0.5])
    assert placed(job, snapshot, loads) == ["node-1"]
    outcome = refused(make_job(ranks=2, scheduling=Scheduling(max_load=0.5)), snapshot, loads)
    assert [(r.reason, r.example) for r in outcome.rejected] == [("TooLoaded", "node-0")]


def test_max_load_says_nothing_of_nodes_that_nobody_measured() -> None:
    loads = make_node_loads([0.9])
    loads.measured[:] = False
    assert placed(make_job(scheduling=Scheduling(max_load=0.5)), make_snapshot(make_nodes(1)), loads) == [
        "node-0"
    ]


def test_gpu_pods_tolerate_the_gpu_taint_and_others_do_not() -> None:
    snapshot = make_snapshot([make_node("a", taints=frozenset({Taint("nvidia.com/gpu")}))])
    assert placed(make_job(gpus=1), snapshot) == ["a"]
    assert refused(make_job(gpus=0), snapshot).rejected[0].reason == "Tainted"


def test_the_first_reason_counts_where_several_apply() -> None:
    snapshot = make_snapshot([make_node("a", cordoned=True, ready=False)], {"a": Resources(gpus=8)})
    assert [r.reason for r in refused(make_job(), snapshot).rejected] == ["NotReady"]


def test_refused_nodes_are_counted_by_reason_with_the_first_as_example() -> None:
    nodes = [make_node("a", cordoned=True), make_node("b", cordoned=True), make_node("c", ready=False)]
    found = refused(make_job(), make_snapshot(nodes)).rejected
    assert [(r.reason, r.nodes, r.example) for r in found] == [("NotReady", 1, "c"), ("Cordoned", 2, "a")]


def test_a_gang_takes_one_node_per_rank_best_first() -> None:
    loads = make_node_loads([0.5, 0.1, 0.9, 0.3])
    assert placed(make_job(ranks=3), make_snapshot(make_nodes(4)), loads) == ["node-1", "node-3", "node-0"]


def test_a_gang_that_lacks_one_node_gets_none() -> None:
    snapshot = make_snapshot(make_nodes(3), {"node-1": Resources(gpus=8)})
    outcome = refused(make_job(ranks=3), snapshot)
    assert outcome.reason == "InsufficientResources"
    assert not outcome.infeasible
    assert outcome.message.startswith(
        "waiting for 3 nodes with 1 free nvidia.com/gpu each: 2 of 3 nodes fit; "
        "refused: 1 InsufficientGPUs (such as node-1)."
    )


def test_placing_takes_nothing_from_the_snapshot() -> None:
    snapshot = make_snapshot(make_nodes(2))
    before = snapshot.free.copy()
    placed(make_job(ranks=2), snapshot)
    assert (snapshot.free == before).all()


def test_predictive_goes_where_load_will_be_low_though_it_is_high_now() -> None:
    loads = make_node_loads([0.2, 0.6], current=[0.9, 0.3])
    assert placed(make_job(), make_snapshot(make_nodes(2)), loads) == ["node-0"]


def test_least_loaded_goes_where_load_is_low_now() -> None:
    loads = make_node_loads([0.2, 0.6], current=[0.9, 0.3])
    job = make_job(scheduling=by(Policy.LEAST_LOADED))
    assert placed(job, make_snapshot(make_nodes(2)), loads) == ["node-1"]


def test_feedback_goes_by_the_plain_rule() -> None:
    loads = make_node_loads([0.9, 0.1], current=[0.1, 0.9], plain_feedback=[0.8, 0.7])
    job = make_job(scheduling=by(Policy.FEEDBACK))
    assert placed(job, make_snapshot(make_nodes(2)), loads) == ["node-1"]


def test_round_robin_goes_to_the_next_node_that_fits() -> None:
    job = make_job(scheduling=by(Policy.ROUND_ROBIN))
    snapshot = make_snapshot(make_nodes(4), {"node-2": Resources(gpus=8)})
    assert placed(job, snapshot, last=1) == ["node-3"]
    assert placed(job, snapshot, last=3) == ["node-0"]


def test_equal_scores_go_to_the_tightest_fit() -> None:
    job = make_job(scheduling=by(Policy.LEAST_LOADED))
    assert placed(job, make_snapshot(make_nodes(3), {"node-2": Resources(gpus=7)})) == ["node-2"]


def test_equal_scores_and_fits_go_by_name() -> None:
    job = make_job(ranks=2, scheduling=by(Policy.LEAST_LOADED))
    assert placed(job, make_snapshot(list(reversed(make_nodes(3))))) == ["node-0", "node-1"]


def test_the_predictive_policy_keeps_whole_nodes_free() -> None:
    snapshot = make_snapshot(
        [make_node("big", gpus=8), make_node("small", gpus=8)], {"small": Resources(gpus=4)}
    )
    assert placed(make_job(gpus=4), snapshot) == ["small"]


def test_a_placement_tells_the_numbers_it_was_made_by() -> None:
    loads = make_node_loads([0.7], current=[0.4], band=[0.0])
    outcome = tried(make_job(gpus=2), make_snapshot(make_nodes(1)), loads)
    assert isinstance(outcome, Placement)
    [rank] = outcome.ranks
    assert (rank.load, rank.forecast, rank.band) == (0.4, 0.7, 0.0)
    # L = 0.7 + 0.2 = 0.9 ± 0.3·0.2 of what the rank itself is expected to use (0.8·2/8); 6 of 8 GPUs stay free, and
    # with none taken these weigh as in a cluster that is 40 % full: 0.2·0.4⁴
    before, after = expected_excess(np.array([0.7, 0.9]), np.array([0.06, 0.06]), 0.8)
    overload = float(before - after)
    assert rank.terms == pytest.approx({"overload": overload, "load": -0.0009, "fragmentation": -0.00384})
    assert rank.score == outcome.score == pytest.approx(overload - 0.00474)


def test_what_stays_free_weighs_more_the_fuller_the_cluster_is() -> None:
    def fragmentation(taken: int) -> float:
        snapshot = make_snapshot(make_nodes(2), {"node-1": Resources(gpus=taken)})
        outcome = tried(make_job(gpus=4), snapshot, make_node_loads([0.0, 1.0]))
        assert isinstance(outcome, Placement)
        assert outcome.ranks[0].node == "node-0"
        return outcome.ranks[0].terms["fragmentation"]

    # 4 of 8 stay free; a half of all GPUs are taken, and a quarter, which weighs as 40 %
    assert [fragmentation(4), fragmentation(8)] == pytest.approx([-0.2 * 0.4**4 / 2, -0.2 * 0.5**4 / 2])


def test_a_node_that_nobody_measured_tells_no_load() -> None:
    loads = make_node_loads([0.7])
    loads.measured[:] = False
    outcome = tried(make_job(), make_snapshot(make_nodes(1)), loads)
    assert isinstance(outcome, Placement)
    assert (outcome.ranks[0].load, outcome.ranks[0].band) == (None, None)
    assert outcome.ranks[0].forecast == 0.7


def test_the_score_of_a_gang_is_that_of_its_worst_rank() -> None:
    outcome = tried(make_job(ranks=2), make_snapshot(make_nodes(2)), make_node_loads([0.1, 0.9]))
    assert isinstance(outcome, Placement)
    assert outcome.score == outcome.ranks[1].score < outcome.ranks[0].score


INFEASIBLE: dict[str, tuple[Job, list[Node], str]] = {
    "no nodes at all": (make_job(), [], "the cluster has no nodes: add nodes that offer nvidia.com/gpu"),
    "no node has so many GPUs": (
        make_job(gpus=9),
        make_nodes(2),
        "each rank asks for 9 nvidia.com/gpu, but the largest node has 8: "
        "lower spec.trainer.resourcesPerNode or add a larger node",
    ),
    "no node has so much CPU": (
        make_job(request=make_request(cpu=65_000)),
        make_nodes(1),
        "each rank asks for 65000 millicores of CPU, but the largest node has 64000: "
        "lower spec.trainer.resourcesPerNode or add a larger node",
    ),
    "more ranks than nodes": (
        make_job(ranks=3),
        make_nodes(2),
        "spec.trainer.numNodes is 3, but only 2 nodes are large enough for one rank: "
        "lower spec.trainer.numNodes or resourcesPerNode, or add nodes",
    ),
    "no node has the product": (
        make_job(scheduling=Scheduling(gpu_products=frozenset({"H100", "H200"}))),
        [make_node("a", gpu_product="A100"), make_node("b")],
        "spec.scheduling.gpuProducts is H100, H200, but the nodes have A100: "
        "name one of these or add nodes with that product",
    ),
    "no node has any product": (
        make_job(scheduling=Scheduling(gpu_products=frozenset({"H100"}))),
        [make_node("a")],
        "spec.scheduling.gpuProducts is H100, but no node has the label nvidia.com/gpu.product: "
        "run GPU feature discovery, or leave gpuProducts out",
    ),
    "no nodes at all, for a job without GPUs": (
        make_job(gpus=0),
        [],
        "the cluster has no nodes: add nodes",
    ),
    "too few nodes have the product": (
        make_job(ranks=2, scheduling=Scheduling(gpu_products=frozenset({"H100"}))),
        [make_node("a", gpu_product="H100"), make_node("b", gpu_product="A100")],
        "spec.trainer.numNodes is 2, but only 1 nodes of H100 are large enough for one rank: "
        "lower spec.trainer.numNodes or resourcesPerNode, name more gpuProducts, or add nodes",
    ),
    "no node reaches its claim": (
        make_job(volumes=(NEAR,)),
        [make_node("a", labels={"zone": "far"})],
        "PersistentVolumeClaim data can be mounted where zone is near, and no node fits that: "
        "add such a node or name another claim",
    ),
    "no node reaches both of its claims": (
        make_job(volumes=(NEAR, Volume("work", node="a"))),
        [make_node("a", labels={"zone": "far"}), make_node("b", labels={"zone": "near"})],
        "PersistentVolumeClaim data can be mounted where zone is near; "
        "PersistentVolumeClaim work can be mounted on node a, and no node fits that: "
        "add such a node or name another claim",
    ),
    "too few nodes reach its claim": (
        make_job(ranks=2, volumes=(NEAR,)),
        [make_node("a", labels={"zone": "far"}), make_node("b", labels={"zone": "near"})],
        "spec.trainer.numNodes is 2, but only 1 nodes are large enough for one rank and can mount what it needs "
        "(PersistentVolumeClaim data can be mounted where zone is near): "
        "lower spec.trainer.numNodes or resourcesPerNode, or add nodes",
    ),
    "memory beyond all numbers": (
        make_job(request=make_request(memory=10**20)),
        make_nodes(1),
        f"each rank asks for {10**20} bytes of memory, but the largest node has {512 * GIB}: "
        "lower spec.trainer.resourcesPerNode or add a larger node",
    ),
}


def test_a_job_that_waits_for_the_nodes_of_its_claim_says_where_they_are() -> None:
    nodes = [make_node("a", labels={"zone": "far"}), make_node("b", labels={"zone": "near"})]
    outcome = refused(make_job(volumes=(NEAR,)), make_snapshot(nodes, {"b": Resources(gpus=8)}))
    assert (outcome.reason, outcome.frees_up) == ("InsufficientResources", True)
    assert outcome.message == (
        "waiting for a node with 1 free nvidia.com/gpu: 0 of 2 nodes fit; "
        "refused: 1 VolumeElsewhere (such as a), 1 InsufficientGPUs (such as b). "
        "PersistentVolumeClaim data can be mounted where zone is near. It starts by itself when enough is free."
    )


def test_a_claim_outweighs_a_lower_load_elsewhere() -> None:
    nodes = [make_node("a", labels={"zone": "far"}), make_node("b", labels={"zone": "near"})]
    assert placed(make_job(volumes=(NEAR,)), make_snapshot(nodes), make_node_loads([0.1, 0.9])) == ["b"]


def test_a_job_whose_claim_is_missing_waits_and_says_what_to_create() -> None:
    outcome = refused(make_job(volumes=(Volume("data", Presence.MISSING),)), make_snapshot(make_nodes(1)))
    assert (outcome.reason, outcome.frees_up) == ("ClaimNotFound", False)
    assert outcome.message.startswith("create PersistentVolumeClaim data in namespace research")


def test_a_job_without_gpus_does_not_wait_for_gpus() -> None:
    full = make_snapshot([make_node("a")], {"a": Resources(cpu=64_000)})
    message = refused(make_job(gpus=0), full).message
    assert message.startswith("waiting for a node with enough free CPU and memory: 0 of 1 nodes fit")


@pytest.mark.parametrize("case", INFEASIBLE)
def test_what_can_never_run_says_what_to_change_when(case: str) -> None:
    job, nodes, message = INFEASIBLE[case]
    outcome = refused(job, make_snapshot(nodes), make_node_loads([0.0] * len(nodes)))
    assert (outcome.reason, outcome.infeasible, outcome.message) == ("Infeasible", True, message)


def test_nodes_that_are_only_away_for_now_are_waited_for() -> None:
    assert not refused(make_job(), make_snapshot([make_node(ready=False)])).infeasible


def test_taking_and_giving_back_leaves_a_snapshot_as_it_was() -> None:
    snapshot = make_snapshot(make_nodes(1))
    undo = snapshot.take("node-0", make_request(gpus=8))
    assert refused(make_job(), snapshot).rejected[0].reason == "InsufficientGPUs"
    undo()
    assert placed(make_job(gpus=8), snapshot) == ["node-0"]
