"""Between the wire and the core: status.placement."""

from typing import Any

from loadstar.api import status as wire
from loadstar.api.scalars import decimal, moment, number, seconds_of
from loadstar.core import jobs as core


def wire_placement(placement: core.Placement, gpus: int) -> wire.Placement:
    """What status says of a placement whose ranks take `gpus`, or parts of GPUs, each."""
    return wire.Placement(
        policy=placement.policy.value,
        decided_at=moment(placement.decided_at),
        horizon_seconds=round(placement.horizon),
        score=decimal(placement.score),
        node_summary=wire.node_summary(tuple(rank.node for rank in placement.ranks)),
        nodes=tuple(_placed(rank, gpus) for rank in placement.ranks),
        rejected=tuple(
            wire.Rejected(reason=refused.reason, nodes=refused.nodes, example=refused.example)
            for refused in placement.rejected
        ),
        alternatives=tuple(_alternative(other) for other in placement.alternatives),
        hindsight=_hindsight(placement.hindsight) if placement.hindsight else None,
    )


def core_placement(placement: wire.Placement | None) -> core.Placement | None:
    """None also where it does not name a node for each rank: then the job is placed anew."""
    if placement is None:
        return None
    ranks = tuple(_rank_of(rank, node) for node in placement.nodes for rank in node.ranks)
    if not ranks or sorted(rank.rank for rank in ranks) != list(range(len(ranks))):
        return None
    return core.Placement(
        policy=_policy_of(placement.policy),
        decided_at=seconds_of(placement.decided_at),
        horizon=float(placement.horizon_seconds),
        ranks=tuple(sorted(ranks, key=lambda rank: rank.rank)),
        rejected=tuple(core.Rejection(r.reason, r.nodes, r.example) for r in placement.rejected),
        alternatives=tuple(_alternative_of(other) for other in placement.alternatives),
        hindsight=_hindsight_of(placement.hindsight) if placement.hindsight else None,
    )


def _placed(rank: core.RankPlacement, gpus: int) -> wire.PlacedNode:
    return wire.PlacedNode(
        name=rank.node,
        ranks=(rank.rank,),
        gpus=gpus,
        **_numbers(rank),
    )


def _rank_of(rank: int, node: wire.PlacedNode) -> core.RankPlacement:
    return core.RankPlacement(rank=rank, node=node.name, **_numbers_of(node))


def _alternative(other: core.Alternative) -> wire.Alternative:
    return wire.Alternative(name=other.node, **_numbers(other))


def _alternative_of(other: wire.Alternative) -> core.Alternative:
    return core.Alternative(node=other.name, **_numbers_of(other))


def _numbers(seen: core.RankPlacement | core.Alternative) -> dict[str, Any]:
    """What is told of every node that was judged, chosen or not."""
    return {
        "load": decimal(seen.load),
        "forecast": decimal(seen.forecast),
        "band": decimal(seen.band),
        "score": decimal(seen.score),
        "terms": {name: decimal(value) for name, value in seen.terms.items()},
    }


def _numbers_of(told: wire.PlacedNode | wire.Alternative) -> dict[str, Any]:
    """The same read back."""
    return {
        "load": number(told.load),
        "forecast": number(told.forecast) or 0.0,
        "band": number(told.band),
        "score": number(told.score) or 0.0,
        "terms": {name: float(value) for name, value in told.terms.items()},
    }


def _hindsight(seen: core.Hindsight) -> wire.Hindsight:
    return wire.Hindsight(
        horizon_reached_at=moment(seen.reached_at),
        load=decimal(seen.load),
        error=decimal(seen.error),
        persistence_error=decimal(seen.persistence_error),
        within_band=decimal(seen.within_band),
        regret=decimal(seen.regret),
        use={signal: decimal(use) for signal, use in seen.use.items()},
        lag_seconds=None if seen.lag is None else round(seen.lag),
    )


def _hindsight_of(seen: wire.Hindsight) -> core.Hindsight:
    return core.Hindsight(
        reached_at=seconds_of(seen.horizon_reached_at),
        load=number(seen.load),
        error=number(seen.error),
        persistence_error=number(seen.persistence_error),
        within_band=number(seen.within_band),
        regret=number(seen.regret),
        use={signal: number(use) for signal, use in seen.use.items()},
        lag=None if seen.lag_seconds is None else float(seen.lag_seconds),
    )


def _policy_of(name: str) -> core.Policy:
    """A policy that only another version knows reads as the default: no gang must end for a word."""
    return core.Policy(name) if name in set(core.Policy) else core.Policy.PREDICTIVE
