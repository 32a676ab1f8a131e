"""Why a gang was placed where it is and not elsewhere: the best nodes that were not chosen, with their terms."""

from collections.abc import Iterable, Sequence

from loadstar.core.jobs import Alternative
from loadstar.core.score import NodeLoads, Scores

SHOWN = 3
"""Alternatives kept with a placement."""


def alternatives(
    best_first: Iterable[int], chosen: Iterable[int], loads: NodeLoads, scores: Scores, names: Sequence[str]
) -> tuple[Alternative, ...]:
    """The best candidates that were not chosen; all are rows of the snapshot."""
    taken, found = set(chosen), []
    for row in best_first:
        if row not in taken:
            found.append(_alternative(int(row), loads, scores, names))
        if len(found) == SHOWN:
            break
    return tuple(found)


def _alternative(row: int, loads: NodeLoads, scores: Scores, names: Sequence[str]) -> Alternative:
    measured = bool(loads.measured[row])
    return Alternative(
        node=names[row],
        load=float(loads.current[row]) if measured else None,
        forecast=float(loads.forecast[row]),
        band=float(loads.band[row]) if measured else None,
        score=float(scores.total[row]),
        terms={name: float(values[row]) for name, values in scores.terms.items()},
    )
