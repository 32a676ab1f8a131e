"""Small simulations with a truth that can be worked out in the head."""

from collections.abc import Sequence

import numpy as np

from loadstar.core.load import STEP_SECONDS, Signal
from loadstar.simulator.fleet import GIB, Array, Fleet
from loadstar.simulator.policy import Ask, Bound, Policy, Question, View
from loadstar.simulator.truth import SIGNALS, History, Load
from loadstar.simulator.workload import NOISE_STEPS, Workload

CORES, GPUS, MEMORY = 100, 4, 100


def small_fleet(nodes: int = 3) -> Fleet:
    """node-0000, node-0001, …, each with 100 cores, 4 GPUs and 100 GiB."""
    return Fleet.alike(nodes, gpus=GPUS, cores=CORES, memory_gib=MEMORY)


def steady(
    arrival: Sequence[float],
    work: Sequence[float],
    *,
    gpus: Sequence[int] | int = 1,
    cores: Sequence[float] | float = 10,
    ranks: Sequence[int] | int = 1,
    sensitive: bool = True,
    lag: float = 0.0,
) -> Workload:
    """Jobs that use exactly the CPU they ask for, half of 10 GiB and all of their GPUs, without fluctuation."""
    count = len(arrival)
    asked = np.zeros((count, 3), dtype=np.int64)
    asked[:, 0], asked[:, 1], asked[:, 2] = np.array(cores) * 1000, 10 * GIB, gpus
    return Workload(
        arrival=np.array(arrival, dtype=float),
        work=np.array(work, dtype=float),
        asked=asked,
        ranks=np.broadcast_to(np.array(ranks, dtype=np.int64), count).copy(),
        family=np.zeros(count, dtype=np.int64),
        used=asked * np.array([1.0, 0.5, 1.0]),
        held=np.full(count, 0.5),
        lag=np.full(count, lag),
        sensitive=np.full(count, sensitive),
        noise=np.ones((count, NOISE_STEPS)),
    )


def seen(*cpu: Sequence[float], memory: float = 0.0) -> History:
    """A history of these CPU loads, one row of nodes per step, and one more that is not shown yet."""
    history = History(len(cpu[0]), len(cpu) + 1)
    for row in [*cpu, cpu[-1]]:
        by_signal = {signal: np.full(len(row), memory) for signal in SIGNALS}
        history.scrape(Load({**by_signal, Signal.CPU: np.array(row)}))
    return history


def view_of(history: History, now: float = 0.0, free_gpus: Sequence[int] | None = None) -> View:
    """What a policy sees of three nodes, or as many as the history has; everything is free unless told."""
    fleet = small_fleet(len(history.last(Signal.CPU)))
    free = fleet.capacity.copy()
    if free_gpus is not None:
        free[:, 2] = free_gpus
        free[:, 0] -= 10_000 * (GPUS - free[:, 2])
    return View(fleet, free, history, now, sampled_at=now - STEP_SECONDS)


def ask_for(number: int = 0, *, gpus: int = 1, cores: float = 10, ranks: int = 1) -> Ask:
    """A job's request."""
    workload = steady([0.0], [600.0], gpus=gpus, cores=cores, ranks=ranks)
    return Ask(number, workload.jobs[0], workload.asked[0], ranks)


def chosen(policy: Policy, view: View, ask: Ask | None = None) -> list[int] | None:
    """Where the policy puts a job, given all nodes with enough of everything."""
    ask = ask or ask_for()
    fits = np.asarray((view.free >= ask.asked).all(axis=1))
    rows = policy.choose(Question(ask, view, fits))
    return None if rows is None else list(rows)


def bind(policy: Policy, view: View, ask: Ask, row: int) -> None:
    """Tell the policy that the job was placed there now."""
    policy.placed(Bound(ask, (row,), view.now))


def background_of(nodes: int = 3, share: float = 0.0) -> Array:
    """The same share on every node, always."""
    return np.full((10, nodes), share)
