"""One scheduling cycle over all who wait."""

from dataclasses import replace

from loadstar.core.commitments import Commitment
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.plan import Offer, Turn, plan
from loadstar.core.resources import Resources
from loadstar.core.snapshot import Snapshot
from loadstar.core.volumes import Presence, Volume
from tests.builders import (
    HEALTHY,
    NOW,
    make_commitment,
    make_forecaster,
    make_job,
    make_loads,
    make_node,
    make_nodes,
    make_snapshot,
)

ROUND_ROBIN = Scheduling(policy=Policy.ROUND_ROBIN)


def planned(jobs: list[Job], snapshot: Snapshot, now: float = NOW) -> dict[str, Offer]:
    return plan(jobs, snapshot, [], make_loads(), Turn(), now)


def nodes_of(offer: Offer) -> list[str]:
    assert isinstance(offer.outcome, Placement), offer
    return [rank.node for rank in offer.outcome.ranks]


def test_a_herd_of_jobs_in_one_cycle_spreads_over_equally_loaded_nodes() -> None:
    names = [node.name for node in make_nodes(10)]
    loads = make_loads(make_forecaster({name: [0.3] * 5 for name in names}))
    herd = [make_job(f"job-{number:02}", gpus=2) for number in range(20)]
    offers = plan(herd, make_snapshot(make_nodes(10)), [], loads, Turn(), NOW)
    chosen = [nodes_of(offer)[0] for offer in offers.values()]
    assert {name: chosen.count(name) for name in names} == dict.fromkeys(names, 2)


def test_a_job_placed_a_moment_ago_still_sends_the_next_one_elsewhere() -> None:
    loads = make_loads(make_forecaster({"node-0": [0.4] * 5, "node-1": [0.4] * 5}))
    taken = {"node-0": Resources(gpus=4)}

    def chosen(commitments: list[Commitment]) -> list[str]:
        snapshot = make_snapshot(make_nodes(2), taken)
        [offer] = plan([make_job()], snapshot, commitments, loads, Turn(), NOW).values()
        return nodes_of(offer)

    assert chosen([]) == ["node-0"], "the better fit"
    assert chosen([make_commitment("node-0", gpus=4, age=30)]) == ["node-1"]


def test_what_is_placed_is_taken_from_the_snapshot() -> None:
    snapshot = make_snapshot(make_nodes(1))
    offers = planned([make_job("a", gpus=5), make_job("b", gpus=5)], snapshot)
    assert nodes_of(offers["uid-a"]) == ["node-0"]
    assert offers["uid-b"].position == 1


def test_a_small_job_passes_one_that_does_not_fit() -> None:
    snapshot = make_snapshot(make_nodes(1), {"node-0": Resources(gpus=6)})
    offers = planned([make_job("large", gpus=8), make_job("small", gpus=1, created_at=NOW + 1)], snapshot)
    assert offers["uid-large"].position == 1
    assert nodes_of(offers["uid-small"]) == ["node-0"]


def test_nothing_is_kept_for_a_job_that_can_never_run() -> None:
    jobs = [make_job("never", gpus=9), make_job("small", gpus=1, created_at=NOW + 1)]
    assert nodes_of(planned(jobs, make_snapshot(make_nodes(1)), now=NOW + 9999)["uid-small"]) == ["node-0"]


def test_a_job_like_a_refused_one_is_refused_for_the_same_reasons() -> None:
    snapshot = make_snapshot(make_nodes(2), {"node-0": Resources(gpus=8)})
    offers = planned([make_job("a", ranks=2), make_job("b", ranks=2)], snapshot)
    assert offers["uid-a"].outcome is offers["uid-b"].outcome
    assert [offers[uid].position for uid in ("uid-a", "uid-b")] == [1, 2]


def test_jobs_that_differ_in_their_wishes_are_judged_each() -> None:
    snapshot = make_snapshot([make_node("a", gpu_product="new")])
    picky = make_job("picky", scheduling=Scheduling(gpu_products=frozenset({"old"})))
    offers = planned([picky, make_job("plain", created_at=NOW + 1)], snapshot)
    assert nodes_of(offers["uid-plain"]) == ["a"]


def test_round_robin_goes_on_from_job_to_job_and_from_cycle_to_cycle() -> None:
    turn, snapshot = Turn(), make_snapshot(make_nodes(3))
    jobs = [make_job(f"job-{number}", scheduling=ROUND_ROBIN) for number in range(4)]
    first = plan(jobs, snapshot, [], make_loads(), turn, NOW)
    assert [nodes_of(offer) for offer in first.values()] == [["node-0"], ["node-1"], ["node-2"], ["node-0"]]
    second = plan([make_job("later", scheduling=ROUND_ROBIN)], snapshot, [], make_loads(), turn, NOW)
    assert nodes_of(second["uid-later"]) == ["node-1"]


def test_other_policies_do_not_move_the_turn() -> None:
    turn = Turn("node-1")
    plan([make_job()], make_snapshot(make_nodes(3)), [], make_loads(), turn, NOW)
    assert turn.node == "node-1"


def test_round_robin_begins_anew_when_its_last_node_is_gone() -> None:
    offers = plan(
        [make_job(scheduling=ROUND_ROBIN)], make_snapshot(make_nodes(2)), [], make_loads(), Turn("gone"), NOW
    )
    assert nodes_of(offers["uid-job"]) == ["node-0"]


def test_without_metrics_the_emptier_node_is_taken() -> None:
    snapshot = make_snapshot(make_nodes(2), {"node-0": Resources(gpus=4)})
    offers = planned([make_job(gpus=1, scheduling=Scheduling(policy=Policy.LEAST_LOADED))], snapshot)
    assert nodes_of(offers["uid-job"]) == ["node-1"]


def test_each_job_is_forecast_for_its_own_horizon() -> None:
    # near falls, far rises: within a step the falling one is still the higher
    series = {"node-0": [0.9, 0.8, 0.7, 0.6, 0.5], "node-1": [0.02, 0.12, 0.22, 0.32, 0.42]}
    loads = make_loads(make_forecaster(series))
    soon, later = (make_job(name, scheduling=Scheduling(horizon=h)) for name, h in [("a", 0.0), ("b", 600.0)])
    chosen = [
        nodes_of(offer)
        for job in (soon, later)
        for offer in plan([job], make_snapshot(make_nodes(2)), [], loads, Turn(), NOW).values()
    ]
    assert chosen == [["node-1"], ["node-0"]]


def test_every_offer_tells_the_health_of_the_metrics() -> None:
    loads = make_loads(make_forecaster({"node-0": [0.5]}))
    jobs = [make_job("fits"), make_job("never", gpus=99)]
    offers = plan(jobs, make_snapshot(make_nodes(1)), [], loads, Turn(), NOW)
    assert {offer.metrics for offer in offers.values()} == {HEALTHY}


def test_nobody_waits_for_nothing() -> None:
    assert planned([], make_snapshot(make_nodes(1))) == {}


def test_the_queue_is_tried_in_order_of_creation_whatever_the_order_of_asking() -> None:
    early = make_job("z-early", gpus=8)
    late = replace(make_job("a-late", gpus=8), created_at=NOW + 1)
    offers = planned([late, early], make_snapshot(make_nodes(1)))
    assert isinstance(offers["uid-z-early"].outcome, Placement)
    assert offers["uid-a-late"].position == 1


def test_a_missing_claim_stands_in_the_way_of_no_job_with_another_claim_or_in_another_namespace() -> None:
    missing = (Volume("data", Presence.MISSING),)
    jobs = [
        make_job("a", volumes=missing),
        make_job("b", volumes=(Volume("data"),)),
        make_job("c", volumes=missing, namespace="other"),
    ]
    offers = planned(jobs, make_snapshot(make_nodes(1)))
    assert nodes_of(offers["uid-b"]) == ["node-0"]
    outcome = offers["uid-c"].outcome
    assert not isinstance(outcome, Placement)
    assert "namespace other" in outcome.message
