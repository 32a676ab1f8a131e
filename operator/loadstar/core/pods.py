"""A job's pods as the lifecycle sees them, and what a failed one means for the job."""

from dataclasses import dataclass
from enum import StrEnum

from loadstar.core.jobs import Failure
from loadstar.core.results import Result

EXIT_UNRUNNABLE = 65
"""The trainer's exit code for a job that can't run as written (sysexits' EX_DATAERR): no attempt would fare better."""
EXIT_PEER_LOST = 75
"""The trainer's exit code where another process of its gang is gone (sysexits' EX_TEMPFAIL): the cause is elsewhere."""
EXIT_TERMINATED = 143
"""128 + SIGTERM: somebody ended the container; the program itself did nothing wrong."""


class PodPhase(StrEnum):
    """Kubernetes' pod phases."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Pod:
    """One rank's pod.

    `waiting` is why its container does not start yet (such as "ErrImagePull: …"); `failure_reason` is Kubernetes'
    word for a failure (OOMKilled, Evicted, …), `failure_message` its sentence; `last_words` are one line of what a
    program wrote that failed without a record; `disrupted` that the cluster and not the program ended it; `result`
    and `error` are what its trainer left behind, already checked to be this job's and attempt's.
    """

    name: str
    uid: str
    attempt: int
    rank: int
    phase: PodPhase
    node: str | None = None
    deleting: bool = False
    node_lost: bool = False
    unschedulable_since: float | None = None
    waiting: str | None = None
    exit_code: int | None = None
    failure_reason: str | None = None
    failure_message: str | None = None
    disrupted: bool = False
    finished_at: float | None = None
    result: Result | None = None
    error: tuple[str, str] | None = None
    last_words: str | None = None

    @property
    def terminal(self) -> bool:
        """Whether its containers will never run again."""
        return self.phase in {PodPhase.SUCCEEDED, PodPhase.FAILED}


class Blame(StrEnum):
    """Whose fault a failure is, which decides what it costs the job."""

    JOB = "job"
    """The job can't run as written: it fails at once."""
    PROGRAM = "program"
    """The program failed: a restart that counts against backoffLimit."""
    INFRASTRUCTURE = "infrastructure"
    """The cluster took the pod away: a restart that does not count."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A failure and whose fault it is."""

    failure: Failure
    blame: Blame


def judge(pod: Pod, attempt: int, now: float) -> Verdict:
    """The verdict on a pod that failed, was lost with its node, or is being deleted by somebody else."""
    if pod.node_lost and not pod.terminal:
        return _verdict(pod, attempt, now, Blame.INFRASTRUCTURE, "NodeLost", f"node {pod.node} is lost")
    if pod.disrupted or (pod.deleting and not pod.terminal):
        message = pod.failure_message or "the pod was deleted, evicted or preempted"
        return _verdict(pod, attempt, now, Blame.INFRASTRUCTURE, pod.failure_reason or "Disrupted", message)
    if pod.exit_code == EXIT_UNRUNNABLE:
        refusal = pod.last_words or "the trainer refused the job; see the pod's log"
        reason, message = pod.error or ("InvalidJob", refusal)
        return _verdict(pod, attempt, now, Blame.JOB, reason, message)
    if pod.exit_code == EXIT_PEER_LOST:
        reason, message = pod.error or ("PeerLost", "the trainer lost the connection to another rank")
        return _verdict(pod, attempt, now, Blame.INFRASTRUCTURE, reason, message)
    if pod.exit_code is None:  # no container ever ran: admission on the node failed
        message = pod.failure_message or "the pod failed before its container ran"
        reason = pod.failure_reason or "PodFailed"
        return _verdict(pod, attempt, now, Blame.INFRASTRUCTURE, reason, message)
    reason, message = pod.error or (pod.failure_reason or "Error", _exit_message(pod))
    return _verdict(pod, attempt, now, Blame.PROGRAM, reason, message)


def missing(rank: int, node: str, attempt: int, now: float) -> Verdict:
    """The verdict on a pod that was there and is gone without a trace."""
    message = f"the pod of rank {rank} on {node} was deleted"
    return Verdict(Failure(attempt, "PodDeleted", message, now, rank, node), Blame.INFRASTRUCTURE)


def root_cause(verdicts: list[Verdict]) -> Verdict:
    """The verdict that explains the others: a refused job first, then the earliest failure.

    When one rank dies its peers follow, often ended by SIGTERM or a lost connection, so earliest comes first and an
    exit for one of these last.
    """
    return min(
        verdicts,
        key=lambda verdict: (
            verdict.blame is not Blame.JOB,
            verdict.failure.exit_code in {EXIT_TERMINATED, EXIT_PEER_LOST},
            verdict.failure.at,
            verdict.failure.rank or 0,
        ),
    )


def _verdict(pod: Pod, attempt: int, now: float, blame: Blame, reason: str, message: str) -> Verdict:
    at = now if pod.finished_at is None else min(pod.finished_at, now)  # a node's clock may be ahead of ours
    return Verdict(Failure(attempt, reason, message, at, pod.rank, pod.node, pod.exit_code), blame)


def _exit_message(pod: Pod) -> str:
    if pod.failure_reason == "OOMKilled":
        return "the container used more memory than spec.trainer.resourcesPerNode.memory allows: raise it"
    words = f": {pod.last_words}" if pod.last_words else ""
    return f"the trainer exited with code {pod.exit_code}{words}; see `kubectl logs {pod.name}`"
