"""The operator's own cycle as the scheduler of a replay: its queue, its backfill, its preemption, its nodes."""

from collections.abc import Mapping, Sequence

from loadstar.core.backfill import Promises
from loadstar.core.durations import Durations
from loadstar.core.forecast import Forecaster
from loadstar.core.jobs import Job, Placement
from loadstar.core.load import FreshnessPolicy, Signal
from loadstar.core.plan import Loads, MetricsHealth, Queues, Turn, plan
from loadstar.core.queue import Order, size_class, work_ahead
from loadstar.core.resources import Resources
from loadstar.core.running import Running
from loadstar.core.score import Weights
from loadstar.core.snapshot import Node, Snapshot
from loadstar.simulator.pollux.cluster import GPUS_PER_NODE, NODES, Allocation, Life
from loadstar.simulator.pollux.orders import gang


class Product:
    """Decides as the operator does, without metrics: the trace tells no loads."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._nodes = [
            Node(f"node-{row:02d}", Resources(gpus=GPUS_PER_NODE, pods=100)) for row in range(NODES)
        ]
        self._row = {node.name: row for row, node in enumerate(self._nodes)}
        self._durations, self._promises = Durations(), Promises()
        health = MetricsHealth(False, "NotConfigured", "the trace tells no loads")
        self._loads = Loads(Forecaster(), FreshnessPolicy(), Weights({Signal.GPU: 1.0}), health)
        self._settled: object = None

    def decide(self, jobs: Sequence[Life], now: float) -> Mapping[str, Allocation]:
        held = {life.job.name: life.allocation for life in jobs if life.running}
        question = self._question(jobs)
        if question == self._settled:
            return held
        lives = {life.job.name: life for life in jobs}
        before = dict(held)
        while self._cycle(lives, held, now):
            pass
        self._settled = question if held == before else None
        return held

    def ended(self, life: Life) -> None:
        self._durations.learn(life.job.application, life.ran)

    def _question(self, jobs: Sequence[Life]) -> object:
        """What a decision rests on: as long as nothing of it changes, a minute alone starts nobody."""
        return [
            (life.job.name, life.running, size_class(work_ahead(_job(life), self._durations, life.ran)))
            for life in jobs
        ]

    def _cycle(self, lives: Mapping[str, Life], held: dict[str, Allocation], now: float) -> bool:
        """One cycle; whether gangs were ended in it, so that another one has to place those they were ended for."""
        running = tuple(self._running(lives[name], allocation, now) for name, allocation in held.items())
        waiting = {name: life for name, life in lives.items() if name not in held}
        queues = Queues(
            running,
            durations=self._durations,
            promises=self._promises,
            order=self._order,
            ran={name: life.ran for name, life in waiting.items()},
        )
        jobs = [_job(life) for life in waiting.values()]
        offers = plan(jobs, self._snapshot(running), (), self._loads, Turn(), now, queues)
        for name, offer in offers.items():
            if isinstance(offer.outcome, Placement):
                each = gang(lives[name].job.gpus)[1]
                held[name] = {self._row[rank.node]: each for rank in offer.outcome.ranks}
        ended = {eviction.uid for offer in offers.values() for eviction in offer.evictions}
        for name in ended:
            del held[name]
        return bool(ended)

    def _snapshot(self, running: Sequence[Running]) -> Snapshot:
        taken = dict.fromkeys(self._row, Resources())
        for run in running:
            for node in run.nodes:
                taken[node] += run.job.request
        return Snapshot(self._nodes, taken)

    def _running(self, life: Life, allocation: Allocation, now: float) -> Running:
        """A gang that writes its checkpoint when it is ended, as the trainer does: nothing is lost but the start."""
        nodes = tuple(self._nodes[row].name for row in allocation)
        started = life.started if life.running else now  # or placed in this very minute
        earlier = life.ran - (now - started)
        return Running(_job(life), life.starts, nodes, started, started, saved_at=now, ran_before=earlier)


def _job(life: Life) -> Job:
    ranks, each = gang(life.job.gpus)
    return Job(
        uid=life.job.name,
        namespace="pollux",
        name=life.job.name,
        generation=1,
        created_at=life.job.arrival,
        ranks=ranks,
        request=Resources(gpus=each, pods=1),
        family=life.job.application,
    )
