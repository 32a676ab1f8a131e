"""What the user asked for and what the operator remembers about it, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from loadstar.core.conditions import RUNNING, Conditions
from loadstar.core.resources import Resources
from loadstar.core.results import Goal, Result
from loadstar.core.taints import Toleration
from loadstar.core.topology import Topology
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
    """The job's wishes for its placement; `horizon` in seconds, `max_load` in 0..1 or None for no limit.

    `gpu_memory` is what each of its GPUs needs at least, in bytes (0: any will do). `queue` is the group by which it
    shares, "" for its namespace. `priority` and `preempts` are those of its PriorityClass (value, preemptionPolicy).
    For `protected_seconds` after its start nothing of higher priority may end it.
    """

    policy: Policy = Policy.PREDICTIVE
    alpha: float = 0.1
    horizon: float = 300.0
    max_load: float | None = None
    gpu_products: frozenset[str] = frozenset()
    gpu_memory: int = 0
    tolerations: tuple[Toleration, ...] = ()
    topology: Topology | None = None
    queue: str = ""
    priority: int = 0
    preempts: bool = True
    protected_seconds: float = 0.0


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
    Jobs of one `family` are expected to use, and to last, alike: the model's type or the program's image, and whose.
    `part` is how much of a whole GPU each part of one that it asks for is, in 0..1.
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
    family: str = ""
    part: float = 1.0

    @property
    def gpus_per_rank(self) -> float:
        """The GPUs that each rank asks for; a part of one counts as its share."""
        return self.request.gpus + self.part * sum(count for _, count in self.request.devices)

    @property
    def group(self) -> str:
        """Who it shares with: its queue, or the namespace where it names none."""
        return self.scheduling.queue or self.namespace

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
class Alternative:
    """A node that could have taken a rank and was not chosen; all as in RankPlacement."""

    node: str
    load: float | None
    forecast: float
    band: float | None
    score: float
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What became of a placement's forecast, means over its nodes, once the horizon had passed (`reached_at`).

    `load` is what was measured then, `error` the forecast minus it, `persistence_error` the same of "no change";
    `within_band` the share of nodes whose load came within the forecast's band, `regret` how much lower the load of
    the best alternative was. `use` is what the gang itself was seen to use of its request, by signal, and `lag` the
    seconds from the decision until it showed, as far as that could be told from its nodes.
    """

    reached_at: float
    load: float
    error: float
    persistence_error: float
    within_band: float
    regret: float
    use: Mapping[str, float] = field(default_factory=dict)
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """A whole gang's nodes, one per rank in rank order, and how the decision was made.

    `alternatives` are the best nodes not chosen, best first; `hindsight` is None before the horizon has passed.
    """

    policy: Policy
    decided_at: float
    horizon: float
    ranks: tuple[RankPlacement, ...]
    rejected: tuple[Rejection, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    hindsight: Hindsight | None = None

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

    `placement` is that of attempt number `attempt`, or None between attempts; `estimated_start` when a waiting job is
    expected to start (Unix seconds).
    """

    phase: Phase = Phase.PENDING
    attempt: int = 0
    placement: Placement | None = None
    restarts_counted: int = 0
    restarts_infrastructure: int = 0
    queue_position: int | None = None
    estimated_start: float | None = None
    start_time: float | None = None
    completion_time: float | None = None
    observed_generation: int = 0
    result: Result | None = None
    last_failure: Failure | None = None
    conditions: Conditions = field(default_factory=Conditions)

    @property
    def finished(self) -> bool:
        """Whether the job is over, one way or the other."""
        return self.phase in {Phase.SUCCEEDED, Phase.FAILED}

    @property
    def running_since(self) -> float | None:
        """When all ranks of this attempt came to run (Unix seconds); None where they don't."""
        running = self.conditions.get(RUNNING)
        inside = self.placement is not None and not self.finished
        return running.since if inside and running and self.conditions.is_true(RUNNING) else None
