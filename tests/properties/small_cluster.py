"""A cluster small enough to explore: one job, its pods as the API server has them, and an operator that can crash.

The operator sees pods as its watch last showed them; its memory is lost in a crash and read back from status, through
the very JSON that the API server would hold.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from loadstar.api.state import state_of, status_of
from loadstar.api.status import TrainingJobStatus
from loadstar.core.decisions import Action, CreatePod, CreateService, Decision, DeleteJob, DeletePod
from loadstar.core.jobs import Job, JobState, Phase
from loadstar.core.lifecycle import Situation, decide
from loadstar.core.placement import Unplaceable
from loadstar.core.plan import Offer
from loadstar.core.pods import Pod, PodPhase
from tests.builders import NOW, make_job, make_offer, make_placement

FINISHED = frozenset({Phase.SUCCEEDED, Phase.FAILED})
NO_ROOM = Unplaceable("InsufficientResources", "waiting for a node", ())
MOST_PASSES = 60


class Crashed(Exception):
    """The operator died between two steps."""


@dataclass
class SmallCluster:
    """`pods` is the truth, `seen` the operator's view of it, `state` its memory, `stored` the status as written."""

    job: Job = field(default_factory=lambda: make_job(ranks=2))
    now: float = NOW
    room: bool = True
    pods: dict[str, Pod] = field(default_factory=dict)
    seen: dict[str, Pod] = field(default_factory=dict)
    state: JobState = field(default_factory=JobState)
    stored: TrainingJobStatus = field(default_factory=TrainingJobStatus)
    offer: Offer | None = None
    steps: int = 0
    """Writes and actions carried out so far."""
    created: int = 0
    crash_at: int | None = None
    """The step after which the operator dies."""

    # --- the operator --------------------------------------------------------------------------------------------

    def work(self) -> None:
        """One pass of the operator, or as much of it as it lives for; the next one is by a fresh operator then."""
        try:
            self._carry_out(self._decision())
        except Crashed:
            self.restart()

    def restart(self) -> None:
        """A fresh operator: memory from status, a full list of pods, no offers."""
        self.state = state_of(TrainingJobStatus.model_validate(self.stored.wire()))
        self.offer, self.crash_at = None, None
        self.look()

    def look(self) -> None:
        """The operator's watch catches up."""
        self.seen = dict(self.pods)

    def settle(self) -> None:
        """Watch and work until a pass changes nothing. Raises AssertionError where that never comes."""
        for _ in range(MOST_PASSES):
            before = (self.steps, self.state, dict(self.pods), self.offer)
            self.look()
            self.work()
            if before == (self.steps, self.state, self.pods, self.offer):
                return
        raise AssertionError(f"after {MOST_PASSES} passes the operator still writes: {self.state}")

    def _decision(self) -> Decision:
        return decide(Situation(self.job, self.state, tuple(self.seen.values()), self.offer, self.now))

    def _carry_out(self, decision: Decision) -> None:
        if decision.wants_placement and self.offer is None:
            ranks = make_placement(self.job.ranks, decided_at=self.now)
            self.offer = make_offer(ranks) if self.room else make_offer(NO_ROOM, position=1)
            return
        if decision.state != self.state:
            self._write(decision.state)
        if not decision.wants_placement:
            self.offer = None
        for action in decision.actions:
            self._act(action)

    def _write(self, state: JobState) -> None:
        status = status_of(self.job, state)
        before = self.stored.phase
        assert before not in {"Succeeded", "Failed"} or status.phase == before, (
            f"{before} became {status.phase}"
        )
        if status != self.stored:
            self.stored = status
            self._step()
        self.state = state

    def _act(self, action: Action) -> None:
        match action:
            case CreatePod():
                self._create(action)
            case DeletePod():
                self._delete(action)
            case CreateService():
                pass
            case DeleteJob():
                raise AssertionError("no test asks for that")
        self._step()

    def _create(self, action: CreatePod) -> None:
        name = f"{self.job.name}-{action.attempt}-{action.rank}"
        assert self.stored.attempt == action.attempt, "the attempt is written before its pods"
        if name not in self.pods:
            self.created += 1
            uid = f"pod-{self.created}"
            self.pods[name] = Pod(name, uid, action.attempt, action.rank, PodPhase.PENDING, action.node)
        self.seen[name] = self.pods[name]

    def _delete(self, action: DeletePod) -> None:
        pod = self.pods.get(action.name)
        if pod is None or pod.uid != action.uid:
            return
        if action.force:
            del self.pods[action.name]
        else:
            self.pods[action.name] = replace(pod, deleting=True)

    def _step(self) -> None:
        self.steps += 1
        if self.crash_at is not None and self.steps >= self.crash_at:
            raise Crashed

    # --- the world -----------------------------------------------------------------------------------------------

    @property
    def living(self) -> list[Pod]:
        """Pods whose containers run or may yet run."""
        return [pod for pod in self.pods.values() if not pod.terminal]

    def change(self, name: str, change: Callable[[Pod], Pod]) -> None:
        """Something happens to a pod; the operator does not know yet."""
        self.pods[name] = change(self.pods[name])

    def remove(self, name: str) -> None:
        """A pod's object goes."""
        del self.pods[name]

    def end_deleted(self) -> None:
        """Kubelets carry out all deletions."""
        for name in [name for name, pod in self.pods.items() if pod.deleting]:
            self.remove(name)

    def check(self) -> None:
        """What holds at every moment."""
        living = self.living
        assert len({pod.attempt for pod in living}) <= 1, living
        assert len({pod.rank for pod in living}) == len(living), living
        assert self.state.restarts_counted <= self.job.run_policy.backoff_limit
        if self.stored.phase is not None:
            assert self.stored.reason, self.stored
            assert self.stored.message, self.stored


def runs(pod: Pod) -> Pod:
    return replace(pod, phase=PodPhase.RUNNING, unschedulable_since=None, waiting=None)


def succeeds(pod: Pod) -> Pod:
    return replace(pod, phase=PodPhase.SUCCEEDED, exit_code=0)
