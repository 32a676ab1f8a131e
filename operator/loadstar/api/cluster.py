"""From the raw JSON of what a cluster's administrators make, PriorityClasses and ResourceQuotas, to plain values."""

import math
from collections.abc import Mapping
from typing import Any

from loadstar.api.quantities import InvalidQuantity, exact
from loadstar.core.priority import PriorityClass
from loadstar.core.quota import Quota

Raw = Mapping[str, Any]

_IN_MILLICORES = frozenset({"cpu", "requests.cpu", "limits.cpu"})


def observe_priority_class(raw: Raw) -> PriorityClass:
    """The class as decisions see it."""
    return PriorityClass(
        name=raw["metadata"]["name"],
        value=int(raw.get("value") or 0),
        preempts=raw.get("preemptionPolicy") != "Never",
        is_default=bool(raw.get("globalDefault")),
    )


def observe_quota(raw: Raw) -> Quota:
    """The quota as decisions see it: what it allows and what the API server counts as used."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    selector = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    scopes = {*(spec.get("scopes") or ()), *(str(term.get("scopeName")) for term in selector)}
    return Quota(
        namespace=metadata["namespace"],
        name=metadata["name"],
        hard=_amounts(status.get("hard") or spec.get("hard") or {}),
        used=_amounts(status.get("used") or {}),
        scopes=frozenset(scopes),
    )


def _amounts(quantities: Mapping[str, Any]) -> dict[str, int]:
    """Each in the unit that Quota counts it in; one that can't be read is left to the API server."""
    found = {}
    for name, quantity in quantities.items():
        try:
            value = exact(quantity)
        except InvalidQuantity:
            continue
        found[name] = math.ceil(value * 1000 if name in _IN_MILLICORES else value)
    return found
