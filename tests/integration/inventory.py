"""What is in a cluster: every object of every kind that the API server knows, to compare before and after."""

from typing import Any

from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.waiting import until

Identity = tuple[str, str, str, str]
"""API group, resource, namespace ("" for none) and name."""
Inventory = dict[Identity, dict[str, Any]]

_ITS_OWN = {"events", "apiservices", "componentstatuses"}
"""What the server makes and takes away by itself: Events expire, each CRD has an APIService."""


def inventory(cluster: ControlPlane) -> Inventory:
    """All objects of a cluster, except the server's own."""
    found: Inventory = {}
    for group, root in _roots(cluster):
        for resource in _all(cluster, root, "resources"):
            name = resource["name"]
            if "list" not in resource["verbs"] or "/" in name or name in _ITS_OWN:
                continue
            for body in _all(cluster, f"{root}/{name}", "items"):
                metadata = body["metadata"]
                found[group, name, metadata.get("namespace", ""), metadata["name"]] = body
    return found


def difference(before: Inventory, after: Inventory) -> set[Identity]:
    """What came or went, and the roles that allow something else: a release may change those of others."""
    changed = {
        identity
        for identity in before.keys() & after.keys()
        if before[identity].get("rules") != after[identity].get("rules")
    }
    return changed | (before.keys() ^ after.keys())


def _roots(cluster: ControlPlane) -> list[tuple[str, str]]:
    """(group, path) of the version that the server prefers, for every group."""
    groups = cluster.api.get("/apis")["groups"]
    return [("", "/api/v1")] + [
        (group["name"], f"/apis/{group['preferredVersion']['groupVersion']}") for group in groups
    ]


def _all(cluster: ControlPlane, path: str, field: str) -> list[dict[str, Any]]:
    """A list of the server's; nothing where it has just gone, as with a CRD that was deleted."""
    try:
        return list(until(lambda: _answer(cluster, path), f"an answer of {path}")[field])
    except ApiError as error:
        if error.code != 404:
            raise
        return []


def _answer(cluster: ControlPlane, path: str) -> Any:
    """The JSON at a path; None while the server makes the storage of a new CRD ready."""
    try:
        return cluster.api.get(path)
    except ApiError as error:
        if error.code != 429:
            raise
        return None
