"""The replay: jobs on nodes, a decision every minute, as the artifact of Pollux replays its baselines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loadstar.simulator.pollux.speed import Shares, Speeds
from loadstar.simulator.pollux.trace import PolluxJob

Allocation = Mapping[int, int]
"""GPUs by node."""

NODES, GPUS_PER_NODE = 16, 4
INTERVAL_SECONDS = 60.0
RESTART_SECONDS = 30.0
"""What a start costs, the first one too: the checkpoint is written and read, the program starts."""


@dataclass(slots=True, eq=False)
class Life:
    """One job in the replay. `left` is the share of its work that is still to do, `seconds` what all of it would take
    on its present `allocation`; `ran` counts seconds in which it held its GPUs, over all starts."""

    job: PolluxJob
    left: float = 1.0
    ran: float = 0.0
    allocation: Allocation = field(default_factory=dict)
    seconds: float = 0.0
    delay: float = 0.0
    starts: int = 0
    started: float = 0.0
    ended: float | None = None

    @property
    def running(self) -> bool:
        return bool(self.allocation)

    @property
    def service(self) -> float:
        """GPU-seconds it has had."""
        return self.ran * self.job.gpus

    def advance(self, now: float, seconds: float) -> None:
        """Let it run until `now + seconds`, or to its end."""
        pause = min(self.delay, seconds)
        self.delay -= pause
        rest = self.left * self.seconds
        if rest <= seconds - pause:
            self.ended = now + pause + rest
            self.ran += pause + rest
            return
        self.left -= (seconds - pause) / self.seconds
        self.ran += seconds


class Scheduler(Protocol):
    """Who decides. It sees what a scheduler could see: not `left`, nor `seconds` (an oracle excepted)."""

    def decide(self, jobs: Sequence[Life], now: float, /) -> Mapping[str, Allocation]:
        """The GPUs of each job that is to run from now on, by name; `jobs` are those that are neither to come nor over.

        A running job that is given other GPUs than it has, or none, is stopped and loses only the cost of a start.
        """
        ...

    def ended(self, life: Life, /) -> None:
        """A job has ended: what it took can be learned from."""
        ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one workload. `utilisation` has the share of busy GPUs at each decision, by time."""

    completion: Mapping[str, float]
    """Seconds from arrival to end, by job."""
    restarts: int
    utilisation: Sequence[tuple[float, float]]

    @property
    def mean(self) -> float:
        return sum(self.completion.values()) / len(self.completion)


def replay(
    jobs: Sequence[PolluxJob], speeds: Speeds, scheduler: Scheduler, restart: float = RESTART_SECONDS
) -> Replayed:
    """Run a workload to its end; `restart` is what a start costs, in seconds."""
    lives = [Life(job) for job in jobs]
    now, utilisation = 0.0, []
    while any(life.ended is None for life in lives):
        for life in [life for life in lives if life.running]:
            life.advance(now, INTERVAL_SECONDS)
            if life.ended is not None:
                life.allocation = {}
                scheduler.ended(life)
        now += INTERVAL_SECONDS
        present = [life for life in lives if life.ended is None and life.job.arrival <= now]
        _carry_out(scheduler.decide(present, now), present, speeds, (now, restart))
        busy = sum(life.job.gpus for life in present if life.running)
        utilisation.append((now, busy / (NODES * GPUS_PER_NODE)))
    return Replayed(
        {life.job.name: (life.ended or now) - life.job.arrival for life in lives},
        sum(life.starts - 1 for life in lives),
        utilisation,
    )


def _carry_out(
    decided: Mapping[str, Allocation], present: Sequence[Life], speeds: Speeds, at: tuple[float, float]
) -> None:
    now, restart = at
    used = Counter[int]()
    for life in present:
        allocation = decided.get(life.job.name, {})
        used.update(allocation)
        if allocation == life.allocation:
            continue
        life.allocation = allocation
        if allocation:
            life.seconds = speeds.seconds(life.job, shares(allocation))
            life.delay, life.started = restart, now
            life.starts += 1
    if any(count > GPUS_PER_NODE for count in used.values()):
        raise AssertionError(f"a node was given away twice at {now:.0f} s: {dict(used)}")


def shares(allocation: Allocation) -> Shares:
    """GPUs per node, in the order in which they were given."""
    return tuple(allocation.values())
