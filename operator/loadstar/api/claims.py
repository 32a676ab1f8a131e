"""From the raw JSON of a PersistentVolumeClaim and its volume to what placement needs of them."""

from collections.abc import Mapping
from typing import Any

from loadstar.api.labels import SELECTED_NODE_ANNOTATION
from loadstar.core.volumes import Operator, Presence, Requirement, Term, Volume

Raw = Mapping[str, Any]

_ON_SEVERAL_NODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})


def volume_name(claim: Raw) -> str:
    """The name of the PersistentVolume that a claim is bound to, or asks for; empty for neither."""
    return str((claim.get("spec") or {}).get("volumeName") or "")


def observe_unbound(claim: Raw) -> Volume:
    """A claim without a volume: it gets one where its first pod is, if one is not being made for a node already."""
    annotations = claim["metadata"].get("annotations") or {}
    return Volume(
        claim["metadata"]["name"],
        presence=_presence(claim),
        shared=_is_shared(claim),
        node=annotations.get(SELECTED_NODE_ANNOTATION),
    )


def observe_bound(claim: Raw, volume: Raw) -> Volume:
    """A claim with its PersistentVolume, whose access modes are those that count."""
    return Volume(
        claim["metadata"]["name"],
        presence=_presence(claim),
        shared=_is_shared(volume),
        places=_places(volume),
    )


def _presence(claim: Raw) -> Presence:
    return Presence.DELETING if "deletionTimestamp" in claim["metadata"] else Presence.PRESENT


def _is_shared(owner: Raw) -> bool:
    """Whether pods on several nodes can mount it; without any access mode, its driver decides."""
    modes = (owner.get("spec") or {}).get("accessModes") or ()
    return not modes or not _ON_SEVERAL_NODES.isdisjoint(modes)


def _places(volume: Raw) -> tuple[Term, ...] | None:
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
    if required is None:
        return None
    return tuple(_term(term) for term in required.get("nodeSelectorTerms") or ())


def _term(raw: Raw) -> Term:
    """A term; empty, so that it holds nowhere, with matchFields: kube-scheduler shows volumes a node's labels only."""
    if raw.get("matchFields"):
        return ()
    return tuple(
        Requirement(part["key"], Operator(part["operator"]), tuple(part.get("values") or ()))
        for part in raw.get("matchExpressions") or ()
    )
