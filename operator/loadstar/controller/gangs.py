"""What becomes of placed gangs: their load until metrics show it, what they use, and how right their forecasts were."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadstar.controller import capacity
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.core.attribution import Attribution
from loadstar.core.background import Background
from loadstar.core.commitments import COLUMNS, Commitment, committed
from loadstar.core.families import Families
from loadstar.core.hindsight import Figures, Record, Round, learn
from loadstar.core.jobs import Job, Phase, Placement, Scheduling
from loadstar.core.ledger import Ledger
from loadstar.core.plan import Loads
from loadstar.core.score import combine

GHOST_SECONDS = 900.0
"""Jobs that ended longer ago are in no average any more, and their horizon has passed."""


@dataclass(slots=True)
class GangWatch:
    """Follows the gangs that the caches and the board know of. `clock` gives Unix seconds."""

    caches: Caches
    board: Board
    clock: Callable[[], float]
    families: Families = field(default_factory=Families)
    """What is learned of families of jobs and, in `background`, of nodes; shared with whoever plans."""
    background: Background = field(default_factory=Background)
    _ledger: Ledger = field(init=False)
    _attribution: Attribution = field(init=False)
    _record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        self._ledger = Ledger(self.families)
        self._attribution = Attribution(self._ledger)

    def remember(self) -> None:
        """Begin with what the statuses of the jobs say of forecasts and of what jobs used, after a restart."""
        told = [
            (tracked.job.family, tracked.state.placement.hindsight)
            for tracked in self.caches.jobs.values()
            if tracked.job and tracked.state.placement and tracked.state.placement.hindsight
        ]
        told.sort(key=lambda one: one[1].reached_at)
        self._record.add(seen for _, seen in told)
        for family, seen in told:
            learn(family, seen, self.families)

    def commitments(self) -> list[Commitment]:
        """All load that was decided or has ended and that metrics don't tell rightly yet."""
        now = self.clock()
        self._follow(now)
        return self._ledger.commitments(now)

    def sampled(self, loads: Loads) -> list[Key]:
        """Learn from a round of samples; the keys of the jobs whose status has more to tell now."""
        now = self.clock()
        self._follow(now)
        snapshot = capacity.snapshot(self.caches, self.board.assumed(self.caches))
        forecast = loads.forecaster.forecast(snapshot.names, Scheduling().horizon, now)
        self._attribution.observe(forecast.current, forecast.age, snapshot, now)
        self.background.observe(self._ledger, forecast.current, forecast.age, snapshot, now)
        allocated = snapshot.allocated_share()[:, COLUMNS]
        none = committed((), snapshot, now)
        combined = combine(forecast, none, allocated, 0.0, loads.freshness, loads.weights)
        found = Round(snapshot, combined, forecast.age, loads, now).review(self._ledger)
        self._record.add(found.values())
        keys = []
        for key, tracked in self.caches.jobs.items():
            if tracked.uid in found:
                tracked.hindsight = found[tracked.uid]
                keys.append(key)
        return keys

    def accuracy(self) -> Figures:
        """How right the forecasts of the last day's placements were."""
        return self._record.figures(self.clock())

    def _follow(self, now: float) -> None:
        running = [(job, placement) for _, job, placement in capacity.placed(self.caches)]
        assumed = self.board.assumed(self.caches)
        jobs = self.caches.jobs.values()
        started = {tracked.uid for tracked in jobs if tracked.state.phase is Phase.RUNNING}
        self._ledger.follow([*running, *assumed], self._ended(now), now, started)

    def _ended(self, now: float) -> Iterator[tuple[Job, Placement, float]]:
        """Jobs that finished lately, with what they ran on last."""
        for tracked in self.caches.jobs.values():
            job, state = tracked.job, tracked.state
            if not state.finished or job is None or state.placement is None:
                continue
            ended_at = state.completion_time
            if ended_at is not None and now - ended_at <= GHOST_SECONDS:
                yield job, state.placement, ended_at
