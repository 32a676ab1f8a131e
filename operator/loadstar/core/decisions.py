"""What the lifecycle decides: the new state, the actions that make it true, and what to tell people."""

from dataclasses import dataclass

from loadstar.core.jobs import JobState


@dataclass(frozen=True, slots=True)
class CreateService:
    """The headless Service that gives the ranks of a gang their names; it may exist already."""


@dataclass(frozen=True, slots=True)
class CreatePod:
    """The pod of one rank, pinned to `node`; one of that name that we own is adopted."""

    attempt: int
    rank: int
    node: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete one pod, by uid so that never a namesake goes; `force` where its node can't answer any more."""

    name: str
    uid: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete the TrainingJob itself; owner references take everything else with it."""


Action = CreateService | CreatePod | DeletePod | DeleteJob


@dataclass(frozen=True, slots=True)
class Event:
    """One line for `kubectl describe`."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The state is written first, then the actions are carried out in order (write-ahead).

    `wake_at` is when time alone may change the decision (Unix seconds); `wants_placement` puts the job into the
    queue of the scheduling cycle, or keeps it there. `wants_log` is no decision yet: it takes what rank 0 printed
    (Situation.printed), which is read then and only then.
    """

    state: JobState
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    wants_placement: bool = False
    wants_log: bool = False
