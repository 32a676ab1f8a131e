"""What one pass looks at, and the small steps from there that every decision is made of."""

from dataclasses import dataclass, replace

from loadstar.core import conditions as c
from loadstar.core.conditions import Condition, Status
from loadstar.core.decisions import Action, DeletePod
from loadstar.core.jobs import Hindsight, Job, JobState
from loadstar.core.plan import Offer
from loadstar.core.pods import Pod
from loadstar.core.preemption import Eviction
from loadstar.core.results import Printed, Result


@dataclass(frozen=True, slots=True)
class Situation:
    """All that one pass looks at. `pods` are every pod the job owns, of any attempt.

    `sent` is the result that rank 0 of this attempt sent, and `printed` what its log holds, once that was asked for.
    `hindsight` is what became of the forecast of the job's last placement that was judged. `eviction` asks for the end
    of the attempt that it names, for another job.
    """

    job: Job
    state: JobState
    pods: tuple[Pod, ...]
    offer: Offer | None
    now: float
    pin_timeout: float = 15.0
    sent: Result | None = None
    printed: Printed | None = None
    hindsight: Hindsight | None = None
    eviction: Eviction | None = None

    @property
    def living(self) -> tuple[Pod, ...]:
        """The pods whose containers run or may yet run."""
        return living(self.pods)

    @property
    def of_attempt(self) -> dict[int, Pod]:
        """The pods of the current attempt by rank; a pod of a rank that was not placed is none of them."""
        ranks = len(self.state.placement.ranks) if self.state.placement else 0
        return {pod.rank: pod for pod in self.pods if pod.attempt == self.state.attempt and pod.rank < ranks}


def living(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Those whose containers run or may yet run."""
    return tuple(pod for pod in pods if not pod.terminal)


def deletions(pods: tuple[Pod, ...]) -> tuple[Action, ...]:
    """Delete what is not being deleted yet; force what a lost node can't end itself."""
    return tuple(
        DeletePod(pod.name, pod.uid, force=pod.node_lost) for pod in pods if pod.node_lost or not pod.deleting
    )


def set_at(at: Situation, state: JobState, type_: str, status: Status, reason: str, message: str) -> JobState:
    """The state with one condition set, now and for the job's generation."""
    return set_condition(state, at.job.generation, at.now, type_, status, reason, message)


def set_condition(
    state: JobState, generation: int, now: float, type_: str, status: Status, reason: str, message: str
) -> JobState:
    """The state with one condition set; itself when that changes nothing."""
    changed = state.conditions.with_(Condition(type_, status, reason, message, now, generation))
    return state if changed is state.conditions else replace(state, conditions=changed)


def with_metrics(at: Situation, state: JobState) -> JobState:
    """The state with what the offer says of the metrics behind it."""
    if at.offer is None:
        return state
    health = at.offer.metrics
    status = Status.TRUE if health.available else Status.FALSE
    return set_at(at, state, c.METRICS_AVAILABLE, status, health.reason, health.message)
