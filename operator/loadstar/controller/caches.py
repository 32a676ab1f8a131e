"""The operator's view of the cluster: jobs, pods and nodes as last seen.

Written by Kopf's watch handlers, by the periodic list and, for the operator's own writes, from their answers; read by
the reconciler and the scheduling cycle. All of it runs in one event loop, so there are no locks.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loadstar.api import labels
from loadstar.api.cluster import observe_priority_class, observe_quota
from loadstar.api.convert import InvalidTrainingJob, job_of, parse, parse_status
from loadstar.api.observe import ObservedNode, ObservedPod, observe_node, observe_pod, version_of
from loadstar.api.record import ErrorRecord, FinalRecord
from loadstar.api.state import state_of
from loadstar.api.v1alpha1 import TrainingJob
from loadstar.core.jobs import Hindsight, Job, JobState
from loadstar.core.pods import Pod
from loadstar.core.priority import PriorityClass
from loadstar.core.quota import Quota

Raw = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name."""

NODE_LOST_SECONDS = 60.0
"""A node that does not answer for this long is lost: its pods can't be ended in an orderly way any more."""


@dataclass(slots=True)
class Tracked:
    """One TrainingJob: as asked for, or why it can't be read, and the state that the operator decides from.

    `state` stands for the status `said`: it was read from it, or written as it. `seen` is the status at `version`, the
    newest that is known. Where the two differ, somebody else wrote since, and nothing may be decided from `state`
    before it is read again (`Applier.read_again`).
    """

    uid: str
    version: int
    generation: int
    asked: tuple[TrainingJob, Job] | InvalidTrainingJob
    state: JobState
    said: Raw
    seen: Raw
    deleting: bool = False
    reported: Raw = field(default_factory=dict)
    """The share of the newest status that is not the lifecycle's: what was reported of the training."""
    hindsight: Hindsight | None = None
    """What became of the forecast of the last placement that was judged; the status tells it after the next pass."""

    @property
    def outdated(self) -> bool:
        """Whether the status is not what this operator remembers of it."""
        return self.seen != self.said

    @property
    def job(self) -> Job | None:
        """The core's job, None when the spec can't be read."""
        return None if isinstance(self.asked, InvalidTrainingJob) else self.asked[1]


@dataclass(frozen=True, slots=True)
class Posted:
    """A final record that came over the network, from a pod of this attempt."""

    attempt: int
    record: FinalRecord | ErrorRecord


@dataclass(slots=True)
class Caches:
    """All that is known of the cluster."""

    jobs: dict[Key, Tracked] = field(default_factory=dict)
    pods: dict[Key, ObservedPod] = field(default_factory=dict)
    nodes: dict[str, ObservedNode] = field(default_factory=dict)
    priorities: dict[str, PriorityClass] = field(default_factory=dict)
    quotas: dict[Key, Quota] = field(default_factory=dict)
    records: dict[str, Posted] = field(default_factory=dict)
    """What rank 0 sent of its end, by the job's uid: the newest. It only adds to the record that its pod leaves."""
    _owned: dict[str, dict[str, ObservedPod]] = field(default_factory=lambda: defaultdict(dict))
    _gone: set[str] = field(default_factory=set)
    """Uids of the pods that went since the last full list began."""

    # --- writing -----------------------------------------------------------------------------------------------

    def put_job(self, raw: Raw) -> Key:
        """Take in a TrainingJob as seen on the wire, unless a newer one is known."""
        metadata, version = raw["metadata"], version_of(raw)
        key = (metadata["namespace"], metadata["name"])
        known = self.jobs.get(key)
        if known is not None and version <= known.version:
            return key
        try:
            parsed = parse(raw)
            asked: tuple[TrainingJob, Job] | InvalidTrainingJob = (parsed, job_of(parsed))
        except InvalidTrainingJob as problem:
            asked = problem
        if known is not None and known.uid == metadata["uid"]:
            tracked = known
            tracked.asked, tracked.version, tracked.seen = asked, version, status_in(raw)
            tracked.reported = reported_in(raw)
        else:
            status = status_in(raw)
            tracked = Tracked(metadata["uid"], version, 0, asked, state_of(parse_status(raw)), status, status)
            tracked.reported = reported_in(raw)
            if known is not None:
                self.records.pop(known.uid, None)
            self.jobs[key] = tracked
        tracked.generation = metadata.get("generation", 1)
        tracked.deleting = "deletionTimestamp" in metadata
        return key

    def put_priority_class(self, raw: Raw) -> None:
        """Take in a PriorityClass."""
        seen = observe_priority_class(raw)
        self.priorities[seen.name] = seen

    def put_quota(self, raw: Raw) -> None:
        """Take in a ResourceQuota."""
        seen = observe_quota(raw)
        self.quotas[seen.namespace, seen.name] = seen

    def adopt(self, raw: Raw, pods: Collection[Raw]) -> None:
        """Take in a job just read, its status too, and then all of its pods, which were read after it.

        In this order a pod that the status speaks of is there, unless it is gone.
        """
        key = self.put_job(raw)
        tracked = self.jobs[key]
        if tracked.version == version_of(
            raw
        ):  # else something newer came meanwhile, and it is read once more
            tracked.state, tracked.said = state_of(parse_status(raw)), tracked.seen
        before = {seen.uid: seen.name for seen in self.owned_by(tracked.uid)}
        for pod in pods:
            self.put_pod(pod)
        for uid in before.keys() - {pod["metadata"]["uid"] for pod in pods}:
            self.drop_pod((key[0], before[uid]), uid)

    def wrote(self, tracked: Tracked, state: JobState, answer: Raw) -> None:
        """A status was written; `answer` is the job with it. What was seen since the write is not forgotten."""
        tracked.state, tracked.said = state, status_in(answer)
        if version_of(answer) >= tracked.version:
            tracked.version, tracked.seen = version_of(answer), tracked.said
            tracked.reported = reported_in(answer)

    def drop_job(self, key: Key, uid: str) -> None:
        """Forget a deleted job, unless its name belongs to another one by now."""
        known = self.jobs.get(key)
        if known is not None and known.uid == uid:
            del self.jobs[key]
            self.records.pop(uid, None)

    def put_pod(self, raw: Raw) -> ObservedPod | None:
        """Take in a pod as seen on the wire, unless a newer one is known; the one that holds is returned.

        None where the pod is known to be gone: a list that began before its end, or the late answer of its creation,
        must not bring it back.
        """
        seen = observe_pod(raw)
        key = (seen.namespace, seen.name)
        known = self.pods.get(key)
        if seen.uid in self._gone or (known is not None and seen.version <= known.version):
            return known
        if known is not None:
            self._remove_pod(key, known)
        self.pods[key] = seen
        if seen.owner:
            self._owned[seen.owner][seen.name] = seen
        return seen

    def drop_pod(self, key: Key, uid: str) -> ObservedPod | None:
        """Forget a deleted pod, unless its name belongs to another one by now; the one forgotten is returned."""
        self._gone.add(uid)
        known = self.pods.get(key)
        if known is None or known.uid != uid:
            return None
        self._remove_pod(key, known)
        return known

    def forget_gone(self) -> None:
        """Begin to remember anew which pods went: what a full list that begins now must not bring back."""
        self._gone.clear()

    def _remove_pod(self, key: Key, seen: ObservedPod) -> None:
        del self.pods[key]
        if seen.owner:
            del self._owned[seen.owner][seen.name]
            if not self._owned[seen.owner]:
                del self._owned[seen.owner]

    def put_node(self, raw: Raw) -> bool:
        """Take in a node as seen on the wire, unless a newer one is known (a list may be older than a watch's event).

        Whether anything that matters changed; heartbeats don't.
        """
        seen = observe_node(raw)
        known = self.nodes.get(seen.node.name)
        if known is not None and seen.version < known.version:
            return False
        self.nodes[seen.node.name] = seen
        return known != seen

    def drop_node(self, name: str) -> None:
        """Forget a deleted node."""
        self.nodes.pop(name, None)

    # --- reading -----------------------------------------------------------------------------------------------

    def pods_of(self, uid: str, now: float) -> tuple[Pod, ...]:
        """The pods that a job owns, of all its attempts, with nodes that are lost marked."""
        return tuple(
            replace(seen.pod, node_lost=True) if self._is_lost(seen.node, now) else seen.pod
            for seen in self.owned_by(uid)
            if seen.pod is not None
        )

    def owned_by(self, uid: str) -> Collection[ObservedPod]:
        """All pods that the TrainingJob of this uid controls."""
        return self._owned.get(uid, {}).values()

    def _is_lost(self, node: str | None, now: float) -> bool:
        if node is None:
            return False
        seen = self.nodes.get(node)
        if seen is None:
            return bool(self.nodes)
        return seen.not_ready_since is not None and now - seen.not_ready_since >= NODE_LOST_SECONDS


def status_in(raw: Raw) -> Raw:
    """The lifecycle's share of a status: all but what is reported of the training."""
    status: Raw = raw.get("status") or {}
    return {name: part for name, part in status.items() if name not in labels.REPORTED_FIELDS}


def reported_in(raw: Raw) -> Raw:
    """The share of a status that comes from reports of the training, the field owner's `loadstar-progress`."""
    status: Raw = raw.get("status") or {}
    return {name: status[name] for name in labels.REPORTED_FIELDS if name in status}
