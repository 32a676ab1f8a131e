"""What a job may wish of its nodes beyond room: kinds and parts of GPUs, their memory and health, taints, nearness."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from loadstar.core.fragmentation import Ask, Fragmentation, Mix
from loadstar.core.health import Health
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.placement import Given, Placer
from loadstar.core.refusals import Unplaceable
from loadstar.core.resources import Resources, devices_of
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Node, Snapshot
from loadstar.core.taints import Effect, Taint, Toleration
from loadstar.core.topology import Topology
from tests.builders import GIB, GPU_ONLY, NOW, make_job, make_node, make_node_loads, make_request

MIB = 1 << 20
SLICE, REPLICA = "nvidia.com/mig-1g.5gb", "nvidia.com/gpu.shared"
RACK = "example.com/rack"


def tried(
    job: Job,
    nodes: list[Node],
    *,
    requested: Mapping[str, Resources] | None = None,
    health: Mapping[str, Health] | None = None,
    load: Mapping[str, float] | None = None,
    levels: tuple[str, ...] = (),
) -> Placement | Unplaceable:
    snapshot = Snapshot(nodes, requested or {}, health)
    loads = make_node_loads([(load or {}).get(name, 0.0) for name in snapshot.names])
    return Placer(snapshot, Given(loads, snapshot), Criteria(GPU_ONLY, levels=levels), NOW).place(job)


def placed(job: Job, nodes: list[Node], **picture: Any) -> list[str]:
    outcome = tried(job, nodes, **picture)
    assert isinstance(outcome, Placement), outcome
    return [rank.node for rank in outcome.ranks]


def refused(job: Job, nodes: list[Node], **picture: Any) -> Unplaceable:
    outcome = tried(job, nodes, **picture)
    assert isinstance(outcome, Unplaceable), outcome
    return outcome


def reasons(job: Job, nodes: list[Node], **picture: Any) -> dict[str, int]:
    return {rejection.reason: rejection.nodes for rejection in refused(job, nodes, **picture).rejected}


def wishing(gpus: int = 1, ranks: int = 1, **wishes: Any) -> Job:
    return make_job(gpus=gpus, ranks=ranks, scheduling=Scheduling(**wishes))


def asking(devices: Mapping[str, int], ranks: int = 1) -> Job:
    return make_job(ranks=ranks, request=Resources(1_000, GIB, 0, 1, devices_of(devices)))


def offering(name: str, devices: Mapping[str, int], **changes: Any) -> Node:
    return Node(name, Resources(64_000, 512 * GIB, 0, 110, devices_of(devices)), **changes)


# --- parts of GPUs -------------------------------------------------------------------------------------------------

TIME_SLICED = {"nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing"}


def test_slices_are_given_to_those_who_ask_for_slices() -> None:
    nodes = [make_node("whole"), offering("sliced", {SLICE: 7})]
    assert placed(asking({SLICE: 1}), nodes) == ["sliced"]
    assert placed(make_job(), nodes) == ["whole"]


def test_slices_that_are_taken_are_not_given_again() -> None:
    taken = {"sliced": Resources(devices=devices_of({SLICE: 6}))}
    nodes = [offering("sliced", {SLICE: 7})]
    assert placed(asking({SLICE: 1}), nodes, requested=taken) == ["sliced"]
    outcome = refused(asking({SLICE: 2}), nodes, requested=taken)
    assert outcome.frees_up
    assert outcome.message.startswith(
        f"waiting for a node with 2 free {SLICE}: 0 of 1 nodes fit; refused: 1 InsufficientDevices (such as sliced)"
    )


def test_slices_that_nobody_offers_are_said_to_be_so() -> None:
    outcome = refused(asking({SLICE: 1}), [make_node("whole"), offering("shared", {REPLICA: 4})])
    assert outcome.infeasible
    assert outcome.message == (
        f"each rank asks for {SLICE}, but no node offers that; the nodes offer nvidia.com/gpu, {REPLICA}: "
        "correct spec.trainer.resourcesPerNode, or have a node's GPUs split or shared so"
    )


def test_where_nobody_offers_any_gpu_that_is_said() -> None:
    outcome = refused(asking({SLICE: 1}), [make_node("plain", gpus=0)])
    assert f"asks for {SLICE}, but no node offers that; no node offers any GPU" in outcome.message


def test_a_cluster_without_nodes_is_told_which_ones_to_add() -> None:
    assert f"add nodes that offer {SLICE}" in refused(asking({SLICE: 1}), []).message


def test_more_slices_than_any_node_has_are_never_there() -> None:
    outcome = refused(asking({SLICE: 8}), [offering("sliced", {SLICE: 7})])
    assert (outcome.infeasible, outcome.message) == (
        True,
        f"each rank asks for 8 {SLICE}, but the largest node has 7: "
        "lower spec.trainer.resourcesPerNode or add a larger node",
    )


def test_of_two_nodes_the_one_with_fewer_slices_left_is_the_better_fit() -> None:
    taken = {"b": Resources(devices=devices_of({SLICE: 5}))}
    assert placed(
        asking({SLICE: 1}), [offering("a", {SLICE: 7}), offering("b", {SLICE: 7})], requested=taken
    ) == ["b"]


def test_a_rank_of_several_gpus_is_not_given_replicas_of_one() -> None:
    nodes = [make_node("a-shared", labels=TIME_SLICED), make_node("b-whole")]
    assert placed(make_job(gpus=2), nodes) == ["b-whole"]
    assert reasons(make_job(gpus=2), nodes, requested={"b-whole": Resources(gpus=8)})["SharedGPUs"] == 1


def test_where_all_gpus_are_replicas_it_is_said_what_can_be_done() -> None:
    outcome = refused(make_job(gpus=2), [make_node("a", labels=TIME_SLICED)])
    assert outcome.infeasible
    assert (
        "lower spec.trainer.resourcesPerNode to 1, or name such a node's nvidia.com/gpu.product"
        in outcome.message
    )


def test_replicas_that_are_asked_for_by_their_product_are_given() -> None:
    nodes = [make_node("a", labels=TIME_SLICED, gpu_product="Tesla-T4-SHARED")]
    assert placed(wishing(gpus=2, gpu_products=frozenset({"Tesla-T4-SHARED"})), nodes) == ["a"]


def test_one_gpu_is_rather_a_whole_one_than_a_replica() -> None:
    nodes = [make_node("a-shared", labels=TIME_SLICED), make_node("b-whole")]
    assert placed(make_job(), nodes) == ["b-whole"]
    outcome = tried(make_job(), nodes[:1])
    assert isinstance(outcome, Placement)
    assert outcome.ranks[0].terms["sharing"] == pytest.approx(-0.1 * 3 / 4)


def test_what_is_taken_of_a_node_counts_parts_of_gpus_as_parts() -> None:
    both = Node("a", Resources(64_000, 512 * GIB, 1, 110, devices_of({SLICE: 7})))
    taken = Resources(gpus=1, devices=devices_of({SLICE: 7}))
    snapshot = Snapshot([both], {"a": Resources(devices=devices_of({SLICE: 7}))})
    assert snapshot.allocated_share()[0, 2] == pytest.approx(0.5)
    assert snapshot.share_of(taken)[0, 2] == pytest.approx(1.0)
    assert snapshot.shares(np.array([0]), [make_request(1)])[0].tolist() == pytest.approx(
        [1 / 64, 1 / 512, 0.5, 1 / 110]
    )


# --- memory of GPUs ------------------------------------------------------------------------------------------------


def sized(name: str, mebibytes: int, **labels: str) -> Node:
    return make_node(name, labels={"nvidia.com/gpu.memory": str(mebibytes), **labels})


def test_gpus_that_are_too_small_are_left_alone() -> None:
    job = wishing(gpu_memory=48 * GIB)
    assert placed(job, [sized("a", 40960), sized("b", 81920)]) == ["b"]
    full = {"b": Resources(gpus=8)}
    outcome = refused(job, [sized("a", 40960), sized("b", 81920)], requested=full)
    assert outcome.frees_up
    assert [rejection.reason for rejection in outcome.rejected] == [
        "InsufficientGPUMemory",
        "InsufficientGPUs",
    ]


def test_a_job_for_which_all_gpus_are_too_small_says_what_to_change() -> None:
    outcome = refused(wishing(gpu_memory=48 * GIB), [sized("a", 40960)])
    assert (outcome.infeasible, outcome.message) == (
        True,
        "spec.scheduling.gpuMemory is 48Gi, but the GPUs that the job could use have at most 40Gi each: "
        "lower gpuMemory or add nodes with larger GPUs",
    )


def test_gpus_of_unknown_size_are_said_to_be_so() -> None:
    outcome = refused(wishing(gpu_memory=GIB), [make_node("a")])
    assert outcome.infeasible
    assert "no node tells the memory of its GPUs" in outcome.message


def test_too_few_nodes_with_large_gpus_are_too_few_for_ever() -> None:
    outcome = refused(wishing(ranks=2, gpu_memory=48 * GIB), [sized("a", 40960), sized("b", 81920)])
    assert outcome.infeasible
    assert outcome.message.startswith("spec.trainer.numNodes is 2, but only 1 nodes are large enough")


def test_a_replica_can_count_on_its_share_of_the_memory_and_on_what_is_free() -> None:
    node = sized("a", 40960, **TIME_SLICED)
    assert placed(wishing(gpu_memory=10 * GIB), [node]) == ["a"]
    assert refused(wishing(gpu_memory=11 * GIB), [node]).infeasible
    crowded = {"a": Health(free_memory=4 * GIB)}
    outcome = refused(wishing(gpu_memory=10 * GIB), [node], health=crowded)
    assert (outcome.infeasible, outcome.rejected[0].reason) == (False, "InsufficientGPUMemory")


def test_a_whole_gpu_that_is_free_has_all_its_memory_whatever_its_neighbours_hold() -> None:
    assert placed(wishing(gpu_memory=40 * GIB), [sized("a", 40960)], health={"a": Health(free_memory=0)}) == [
        "a"
    ]


# --- health --------------------------------------------------------------------------------------------------------

ILL = {
    "XidError": Health(xids=frozenset({79})),
    "RowRemapFailed": Health(row_remap_failed=True),
    "TooHot": Health(temperature=91.0),
}


@pytest.mark.parametrize("reason", ILL)
def test_a_node_whose_gpus_are_ill_is_refused_and_waited_for(reason: str) -> None:
    nodes = [make_node("a-ill"), make_node("b-well")]
    assert placed(make_job(), nodes, health={"a-ill": ILL[reason]}) == ["b-well"]
    outcome = refused(make_job(), nodes[:1], health={"a-ill": ILL[reason]})
    assert (outcome.rejected[0].reason, outcome.infeasible, outcome.frees_up) == (reason, False, False)


def test_a_job_without_gpus_does_not_mind_ill_gpus() -> None:
    assert placed(make_job(gpus=0), [make_node("a")], health={"a": ILL["TooHot"]}) == ["a"]


def test_of_two_nodes_the_cooler_one_is_better() -> None:
    nodes = [make_node("a"), make_node("b")]
    assert placed(
        make_job(), nodes, health={"a": Health(temperature=82.0), "b": Health(temperature=60.0)}
    ) == ["b"]


def test_where_nothing_is_known_of_health_no_term_speaks_of_it() -> None:
    outcome = tried(make_job(), [make_node("a")])
    assert isinstance(outcome, Placement)
    assert set(outcome.ranks[0].terms) == {"overload", "load", "fragmentation"}


def test_of_two_nodes_the_one_that_needs_fewer_watts_for_the_work_is_better() -> None:
    thrifty, thirsty = Health(idle_watts=50.0, full_watts=300.0), Health(idle_watts=50.0, full_watts=550.0)
    nodes = [make_node("a"), make_node("b"), make_node("c")]
    outcome = tried(make_job(ranks=3), nodes, health={"a": thirsty, "b": thrifty})
    assert isinstance(outcome, Placement)
    watts = {rank.node: rank.terms["watts"] for rank in outcome.ranks}
    # shares of 550 W: 500, 250, and the mean of both where nothing is known
    assert watts == pytest.approx({"a": -0.02 * 500 / 550, "b": -0.02 * 250 / 550, "c": -0.02 * 375 / 550})
    assert [rank.node for rank in outcome.ranks] == ["b", "c", "a"]


# --- taints --------------------------------------------------------------------------------------------------------


def test_a_tainted_node_takes_those_who_tolerate_it() -> None:
    nodes = [make_node("a", taints=frozenset({Taint("team", Effect.NO_SCHEDULE, "vision")}))]
    assert placed(wishing(tolerations=(Toleration("team", "vision"),)), nodes) == ["a"]
    assert reasons(wishing(tolerations=(Toleration("team", "speech"),)), nodes) == {"Tainted": 1}


def test_gpu_nodes_taint_is_tolerated_by_those_who_ask_for_parts_of_gpus() -> None:
    nodes = [offering("a", {SLICE: 7}, taints=frozenset({Taint("nvidia.com/gpu")}))]
    assert placed(asking({SLICE: 1}), nodes) == ["a"]
    assert reasons(make_job(gpus=0), nodes) == {"Tainted": 1}


def test_a_node_that_prefers_to_be_left_alone_is_taken_last() -> None:
    shy = make_node("a", taints=frozenset({Taint("spot", Effect.PREFER_NO_SCHEDULE)}))
    assert placed(make_job(), [shy, make_node("b")]) == ["b"]
    assert placed(make_job(), [shy]) == ["a"]
    assert placed(wishing(tolerations=(Toleration("spot"),)), [shy, make_node("b")]) == ["a"]


# --- nearness ------------------------------------------------------------------------------------------------------


def racked(*racks: str) -> list[Node]:
    """node-0, node-1, … in these racks; "" is a node without the label."""
    return [make_node(f"node-{i}", labels={RACK: rack} if rack else {}) for i, rack in enumerate(racks)]


TOGETHER, NEAR = Topology(RACK, required=True), Topology(RACK)


def test_a_gang_that_must_be_in_one_rack_is() -> None:
    job = wishing(ranks=2, topology=TOGETHER)
    load = {"node-1": 0.9}
    assert placed(job, racked("a", "b", "b", "a"), load=load) == ["node-0", "node-3"]
    assert placed(job, racked("a", "b", "b", "c"), load=load) == ["node-2", "node-1"]


@pytest.mark.parametrize("policy", Policy)
def test_a_gang_that_must_be_in_one_rack_is_so_under_every_policy(policy: Policy) -> None:
    job = wishing(ranks=2, topology=TOGETHER, policy=policy)
    assert sorted(placed(job, racked("a", "b", "c", "b"))) == ["node-1", "node-3"]


def test_a_gang_waits_until_one_rack_has_enough_free() -> None:
    job, nodes = wishing(ranks=2, topology=TOGETHER), racked("a", "a", "b", "")
    outcome = refused(job, nodes, requested={"node-0": Resources(gpus=8)})
    assert (outcome.reason, outcome.frees_up) == ("InsufficientResources", True)
    assert outcome.message == (
        f"waiting for 2 nodes in one {RACK} with 1 free nvidia.com/gpu each: 2 of 4 nodes fit, at most 1 of them in "
        f"one {RACK}; refused: 1 NoTopologyLabel (such as node-3), 1 InsufficientGPUs (such as node-0). "
        "It starts by itself when enough is free."
    )


def test_a_gang_that_waits_for_its_rack_knows_when_waiting_is_not_enough() -> None:
    nodes = [*racked("a", "b"), make_node("node-2", labels={RACK: "a"}, cordoned=True)]
    outcome = refused(wishing(ranks=2, topology=TOGETHER), nodes)
    assert (outcome.infeasible, outcome.frees_up) == (False, False), "only an uncordoned node-2 helps"


def test_a_gang_larger_than_every_rack_says_so() -> None:
    outcome = refused(wishing(ranks=3, topology=TOGETHER), racked("a", "a", "b"))
    assert (outcome.infeasible, outcome.message) == (
        True,
        f"spec.trainer.numNodes is 3 in one {RACK}, but the largest has only 2 nodes that are large enough for one "
        "rank: lower spec.trainer.numNodes, or leave spec.scheduling.topology.required out",
    )


def test_racks_that_no_node_knows_of_are_said_to_be_missing() -> None:
    outcome = refused(wishing(ranks=2, topology=TOGETHER), racked("", ""))
    assert outcome.infeasible
    assert "no node has that label: label the nodes, name another level" in outcome.message


def test_one_rank_is_always_together() -> None:
    assert placed(wishing(topology=TOGETHER), racked("")) == ["node-0"]


def test_a_gang_that_would_rather_be_in_one_rack_is_where_that_costs_little() -> None:
    job = wishing(ranks=2, topology=NEAR)
    assert placed(job, racked("a", "b", "b", "c")) == ["node-1", "node-2"]
    assert placed(job, racked("a", "b", "b", "c"), load={"node-1": 1.0, "node-2": 1.0}) == [
        "node-0",
        "node-3",
    ]


def test_a_gang_that_wishes_nothing_stays_together_on_the_first_level_that_the_cluster_has() -> None:
    nodes = racked("a", "b", "b", "c")
    assert placed(make_job(ranks=2), nodes, levels=("example.com/switch", RACK)) == ["node-1", "node-2"]
    assert placed(make_job(ranks=2), nodes) == ["node-0", "node-1"]


def test_a_split_gang_says_what_the_split_costs_it() -> None:
    outcome = tried(wishing(ranks=3, topology=NEAR), racked("a", "a", "b"))
    assert isinstance(outcome, Placement)
    split = {rank.node: rank.terms["networkSplit"] for rank in outcome.ranks}
    assert split == pytest.approx({"node-0": -0.05, "node-1": -0.05, "node-2": -0.1})
    assert outcome.score == pytest.approx(sum(outcome.ranks[2].terms.values()))


# --- nodes that will be whole --------------------------------------------------------------------------------------


def drained(job: Job, whole_in: list[float], taken: int = 4) -> Placement:
    """Placed on nodes of 8 GPUs of which so many are taken, and that are expected to be whole then."""
    nodes = racked(*[""] * len(whole_in))
    snapshot = Snapshot(nodes, {node.name: Resources(gpus=taken) for node in nodes})
    criteria = Criteria(GPU_ONLY, whole_in=np.array(whole_in))
    loads = Given(make_node_loads([0.0] * len(nodes)), snapshot)
    outcome = Placer(snapshot, loads, criteria, NOW).place(job)
    assert isinstance(outcome, Placement)
    return outcome


def test_a_small_job_goes_where_no_whole_node_is_lost_by_it() -> None:
    outcome = drained(make_job(), [600.0, 7200.0])
    assert outcome.ranks[0].node == "node-1"
    # half of the GPUs are taken
    assert outcome.ranks[0].terms["drain"] == pytest.approx(-0.2 * 0.5**4 * np.exp(-7200 / 2400))


def test_a_job_that_takes_all_of_a_node_does_not_mind() -> None:
    [rank] = drained(make_job(gpus=8), [0.0], taken=0).ranks
    assert rank.terms["drain"] == 0.0


# --- usual requests ------------------------------------------------------------------------------------------------


def test_a_rank_goes_where_what_is_left_is_of_use_to_the_usual_jobs() -> None:
    tables = Fragmentation(Mix.typical({Ask(gpus=4): 1.0}), [""])
    taken = {"node-0": Resources(gpus=3), "node-1": Resources(gpus=2)}
    snapshot = Snapshot(racked("", ""), taken)
    loads = Given(make_node_loads([0.0, 0.0]), snapshot)

    def chosen(criteria: Criteria) -> str:
        outcome = Placer(snapshot, loads, criteria, NOW).place(make_job())
        assert isinstance(outcome, Placement)
        return outcome.ranks[0].node

    assert chosen(Criteria(GPU_ONLY)) == "node-0", "the better fit"
    assert chosen(Criteria(GPU_ONLY, tables)) == "node-0", "5 left to 4 are still of use, 6 to 5 as well"
    taken["node-0"] = Resources(gpus=4)
    snapshot = Snapshot(racked("", ""), taken)
    assert chosen(Criteria(GPU_ONLY, tables)) == "node-1", "4 are a job's, of 3 nobody can make use"


def test_a_product_that_the_tables_do_not_know_is_no_obstacle() -> None:
    tables = Fragmentation(Mix.typical({Ask(gpus=4): 1.0}), [""])
    snapshot = Snapshot([make_node("a", gpu_product="brand-new")], {})
    loads = Given(make_node_loads([0.0]), snapshot)
    outcome = Placer(snapshot, loads, Criteria(GPU_ONLY, tables), NOW).place(make_job())
    assert isinstance(outcome, Placement)


# --- what is told --------------------------------------------------------------------------------------------------


def test_a_placement_names_the_best_nodes_that_were_not_chosen() -> None:
    outcome = tried(make_job(), racked("", "", "", "", ""), load={"node-0": 0.1})
    assert isinstance(outcome, Placement)
    assert [other.node for other in outcome.alternatives] == ["node-2", "node-3", "node-4"]
    assert all(other.score <= outcome.score for other in outcome.alternatives)


def test_nodes_kept_for_somebody_else_are_refused_until_then() -> None:
    nodes = racked("", "")
    snapshot = Snapshot(nodes, {})
    placer = Placer(snapshot, Given(make_node_loads([0.0, 0.0]), snapshot), Criteria(GPU_ONLY), NOW)
    outcome = placer.place(make_job(ranks=2), reserved=np.array([1]))
    assert isinstance(outcome, Unplaceable)
    assert (outcome.frees_up, outcome.rejected[0].reason) == (True, "Reserved")
    assert isinstance(placer.place(make_job(ranks=2)), Placement)


def test_nodes_that_could_take_a_rank_are_those_not_refused_for_what_they_are() -> None:
    nodes = [make_node("a"), make_node("b", cordoned=True), make_node("c", gpus=1)]
    snapshot = Snapshot(nodes, {"a": Resources(gpus=8)})
    placer = Placer(snapshot, Given(make_node_loads([0.0] * 3), snapshot), Criteria(GPU_ONLY), NOW)
    assert placer.eligible(make_job(gpus=2)).tolist() == [True, False, False]
