"""From the raw JSON of pods and nodes to the few values that decisions need."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from loadstar.api import labels
from loadstar.api.outcome import core_result
from loadstar.api.quantities import InvalidQuantity, byte_count, devices, millicores
from loadstar.api.record import LONGEST_SENTENCE, ErrorRecord, FinalRecord, parse_record
from loadstar.api.text import last_words
from loadstar.core.devices import is_gpu
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.resources import Resources, devices_of
from loadstar.core.results import Result
from loadstar.core.snapshot import Node
from loadstar.core.taints import Effect, Taint

Raw = Mapping[str, Any]

_NO_WORD = re.compile(r"^[^A-Za-z]+|[^A-Za-z0-9_]")
_LONGEST_REASON = 128
_DISRUPTIONS = frozenset({"Evicted", "Preempting", "Shutdown", "Terminated", "NodeShutdown", "NodeLost"})
"""Pod reasons (status.reason) by which a kubelet or controller says that it ended the pod."""


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """A pod of anybody's: what it takes from which node, and whose it is.

    `owner` and `owner_name` are the uid and name of the TrainingJob that controls it, and `pod` what its lifecycle
    needs; None for other pods.
    """

    uid: str
    version: int
    namespace: str
    name: str
    node: str | None
    request: Resources
    terminal: bool
    owner: str | None = None
    owner_name: str | None = None
    pod: Pod | None = None


@dataclass(frozen=True, slots=True)
class ObservedNode:
    """A node, the host name that pods are pinned by, since when it does not answer (Unix seconds), its addresses."""

    node: Node
    hostname: str
    not_ready_since: float | None
    addresses: tuple[str, ...]
    version: int = field(compare=False)


def observe_pod(raw: Raw) -> ObservedPod:
    """The pod as decisions see it. A pod that is no TrainingJob's is read for its requests only."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    phase = status.get("phase")
    owner, owner_name = _owner(metadata)
    return ObservedPod(
        uid=metadata["uid"],
        version=version_of(raw),
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        node=spec.get("nodeName"),
        request=pod_request(spec),
        terminal=phase in {"Succeeded", "Failed"},
        owner=owner,
        owner_name=owner_name,
        pod=_job_pod(raw, owner) if owner else None,
    )


def pod_request(spec: Raw) -> Resources:
    """What the scheduler counts: all containers and sidecars together, or the largest init step, plus overhead."""
    running, peak = Resources(), Resources()
    for container in spec.get("initContainers") or ():
        asked = _container_request(container)
        if container.get("restartPolicy") == "Always":  # a sidecar: it stays
            running += asked
            peak = _larger(peak, running)
        else:
            peak = _larger(peak, running + asked)
    for container in spec.get("containers") or ():
        running += _container_request(container)
    total = _larger(peak, running) + _resources(spec.get("overhead") or {})
    return replace(total, pods=1)


def observe_node(raw: Raw) -> ObservedNode:
    """The node as decisions see it."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    names = metadata.get("labels") or {}
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    is_ready = ready is not None and ready.get("status") == "True"
    taints = spec.get("taints") or ()
    allocatable = status.get("allocatable") or {}
    node = Node(
        name=metadata["name"],
        allocatable=_resources(allocatable) + Resources(pods=_amount(allocatable.get("pods"), devices)),
        ready=is_ready,
        cordoned=bool(spec.get("unschedulable")),
        gpu_product=names.get(labels.GPU_PRODUCT_LABEL),
        taints=frozenset(
            Taint(t["key"], Effect(t["effect"]), t.get("value") or "")
            for t in taints
            if t.get("effect") in set(Effect)
        ),
        labels=names,
    )
    since = None if is_ready or ready is None else _seconds(ready.get("lastTransitionTime"))
    addresses = tuple(a["address"] for a in status.get("addresses") or () if a.get("address"))
    return ObservedNode(
        node, names.get(labels.HOSTNAME_LABEL, metadata["name"]), since, addresses, version_of(raw)
    )


def version_of(raw: Raw) -> int:
    """An object's resourceVersion, which grows with every change to it (comparable as an integer, KEP-5504)."""
    return int(raw["metadata"].get("resourceVersion") or 0)


# --- pods of a TrainingJob -------------------------------------------------------------------------------------


def _owner(metadata: Raw) -> tuple[str, str] | tuple[None, None]:
    for reference in metadata.get("ownerReferences") or ():
        group = str(reference.get("apiVersion", "")).partition("/")[0]
        if reference.get("controller") and (group, reference.get("kind")) == (labels.GROUP, labels.KIND):
            return str(reference["uid"]), str(reference["name"])
    return None, None


def _job_pod(raw: Raw, owner: str) -> Pod | None:
    """None when its labels don't say which rank it is: then somebody made it that is not this operator."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    names = metadata.get("labels") or {}
    attempt, rank = names.get(labels.ATTEMPT_LABEL, ""), names.get(labels.RANK_LABEL, "")
    if not (attempt.isdecimal() and rank.isdecimal()):
        return None
    ended = _terminated(status)
    record = parse_record(ended.get("message"))
    mine = record is not None and record.job_uid == owner and record.attempt == int(attempt)
    scheduled = _condition(status, "PodScheduled")
    unschedulable = scheduled.get("reason") == "Unschedulable"
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        attempt=int(attempt),
        rank=int(rank),
        phase=_phase(status),
        node=(raw.get("spec") or {}).get("nodeName"),
        deleting="deletionTimestamp" in metadata,
        unschedulable_since=_seconds(scheduled.get("lastTransitionTime")) if unschedulable else None,
        waiting=scheduled.get("message", "unschedulable") if unschedulable else _waiting(status),
        exit_code=ended.get("exitCode"),
        failure_reason=_word(status.get("reason")) or _telling_reason(ended),
        failure_message=status.get("message"),
        disrupted=_disrupted(status),
        finished_at=_seconds(ended.get("finishedAt")),
        result=result_of(record) if mine else None,
        error=(record.error.reason, record.error.message)
        if mine and isinstance(record, ErrorRecord)
        else None,
        last_words=last_words(ended.get("message") or "", LONGEST_SENTENCE) if record is None else None,
    )


def _phase(status: Raw) -> PodPhase:
    """Kubernetes' phase; Unknown (a lost node) and none yet both count as pending."""
    phase = status.get("phase")
    return PodPhase(phase) if phase in set(PodPhase) else PodPhase.PENDING


def result_of(record: FinalRecord | ErrorRecord | None) -> Result | None:
    """What a record says the job achieved; None for one of failure."""
    return core_result(record.result(), record.share) if isinstance(record, FinalRecord) else None


def _container_status(status: Raw) -> Raw:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == labels.CONTAINER:
            return dict(container)
    return {}


def _terminated(status: Raw) -> Raw:
    state = _container_status(status).get("state") or {}
    return dict(state.get("terminated") or {})


def _telling_reason(ended: Raw) -> str | None:
    """OOMKilled and the like; the kubelet's "Error" and "Completed" tell nothing that the exit code does not."""
    reason = _word(ended.get("reason"))
    return None if reason in {"Error", "Completed"} else reason


def _word(reason: str | None) -> str | None:
    """A reason as conditions may hold it: a kubelet also writes such as `OutOfnvidia.com/gpu`."""
    return _NO_WORD.sub("", reason or "")[:_LONGEST_REASON] or None


def _waiting(status: Raw) -> str | None:
    waiting = (_container_status(status).get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason"), waiting.get("message")
    if not reason or reason in {"ContainerCreating", "PodInitializing"}:
        return None
    return f"{reason}: {message}" if message else str(reason)


def _disrupted(status: Raw) -> bool:
    target = _condition(status, "DisruptionTarget")
    return target.get("status") == "True" or status.get("reason") in _DISRUPTIONS


def _condition(status: Raw, type_: str) -> Raw:
    return next((dict(c) for c in status.get("conditions") or () if c.get("type") == type_), {})


# --- quantities and times --------------------------------------------------------------------------------------


def _container_request(container: Raw) -> Resources:
    """Requests; a limit stands in where only it is given, as the API server defaults it."""
    asked = container.get("resources") or {}
    return _resources({**(asked.get("limits") or {}), **(asked.get("requests") or {})})


def _resources(amounts: Raw) -> Resources:
    return Resources(
        cpu=_amount(amounts.get("cpu"), millicores),
        memory=_amount(amounts.get("memory"), byte_count),
        gpus=_amount(amounts.get(labels.GPU_RESOURCE), devices),
        devices=devices_of(
            {
                name: _amount(amount, devices)
                for name, amount in amounts.items()
                if is_gpu(name) and name != labels.GPU_RESOURCE
            }
        ),
    )


def _amount(quantity: Any, read: Any) -> int:
    """0 for what is absent, zero or unreadable: the API server admits nothing unreadable."""
    if quantity in (None, "0", 0):
        return 0
    try:
        return int(read(quantity))
    except InvalidQuantity:
        return 0


def _larger(a: Resources, b: Resources) -> Resources:
    counts = dict(a.devices)
    larger = {name: max(count, counts.get(name, 0)) for name, count in b.devices}
    return Resources(
        max(a.cpu, b.cpu),
        max(a.memory, b.memory),
        max(a.gpus, b.gpus),
        devices=devices_of({**counts, **larger}),
    )


def _seconds(text: Any) -> float | None:
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
