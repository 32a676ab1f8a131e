"""What the user asked for and what the operator remembers about it, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from loadstar.core.conditions import Conditions
from loadstar.core.resources import Resources
from loadstar.core.results import Goal, Result
from loadstar.core.volumes import Volume


class Policy(StrEnum):
    """How nodes are ranked; docs/placement.md explains each."""

    PREDICTIVE = "predictive"
    FEEDBACK = "feedback"
    LEAST_LOADED = "leastLoaded"
    ROUND_ROBIN = "roundRobin"


class Phase(StrEnum):
    """A one-word summary for people; programs read the conditions."""

    PENDING = "Pending"
    QUEUED = "Queued"
    STARTING = "Starting"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Scheduling:
    """The job's wishes for its placement; `horizon` in seconds, `max_load` in 0..1 or None for no limit."""

    policy: Policy = Policy.PREDICTIVE
    alpha: float = 0.1
    horizon: float = 300.0
    max_load: float | None = None
    gpu_products: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """Limits of a run: counted restarts, seconds since its first start, seconds to keep it when finished."""

    backoff_limit: int = 3
    active_deadline: float | None = None
    ttl_after_finished: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One TrainingJob as asked for. `request` is what each rank's pod requests; ranks run on nodes of their own.

    `reads_log` says that its program may print its metrics where it leaves no record. `claims` are the
    PersistentVolumeClaims of its namespace that every rank mounts, `volumes` what is known of them while it waits.
    """

    uid: str
    namespace: str
    name: str
    generation: int
    created_at: float
    ranks: int
    request: Resources
    scheduling: Scheduling = Scheduling()
    run_policy: RunPolicy = RunPolicy()
    suspend: bool = False
    goal: Goal | None = None
    reads_log: bool = False
    claims: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()

    @property
    def order(self) -> tuple[float, str]:
        """First come, first served; the uid makes the order total."""
        return self.created_at, self.uid


@dataclass(frozen=True, slots=True)
class RankPlacement:
    """One rank's node and why: all loads and terms are those seen when it was decided.

    `load` is the node's combined load C(t), `forecast` Ĉ(t+h) with what is already committed to it (this gang not
    included), `band` its 90 % half-width. `load` and `band` are None where nothing was measured.
    """

    rank: int
    node: str
    load: float | None
    forecast: float
    band: float | None
    score: float
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rejection:
    """How many nodes were refused for one reason, with one of them as an example."""

    reason: str
    nodes: int
    example: str


@dataclass(frozen=True, slots=True)
class Placement:
    """A whole gang's nodes, one per rank in rank order, and how the decision was made."""

    policy: Policy
    decided_at: float
    horizon: float
    ranks: tuple[RankPlacement, ...]
    rejected: tuple[Rejection, ...] = ()

    @property
    def score(self) -> float:
        """The gang's score: the worst of its ranks', as the slowest rank paces all."""
        return min(rank.score for rank in self.ranks)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt ended; `rank`, `node` and `exit_code` are None where no container tells them."""

    attempt: int
    reason: str
    message: str
    at: float
    rank: int | None = None
    node: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class JobState:
    """The operator's memory of a job, which is exactly what its status holds.

    `placement` is that of attempt number `attempt`, or None between attempts.
    """

    phase: Phase = Phase.PENDING
    attempt: int = 0
    placement: Placement | None = None
    restarts_counted: int = 0
    restarts_infrastructure: int = 0
    queue_position: int | None = None
    start_time: float | None = None
    completion_time: float | None = None
    observed_generation: int = 0
    result: Result | None = None
    last_failure: Failure | None = None
    conditions: Conditions = field(default_factory=Conditions)
