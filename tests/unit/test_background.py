"""What nodes are loaded by besides what is expected of their gangs, as rounds of samples tell it."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from loadstar.core.background import MEMORY_SECONDS, Background
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement
from loadstar.core.ledger import Ledger
from tests.builders import GPU, NOW, make_job, make_nodes, make_placement, make_snapshot

STEP = 15.0
HOUR = 3600.0


@dataclass
class Course:
    """Nodes of 8 GPUs, what is there besides gangs, and gangs that use 0.8 of their GPUs from their placement on."""

    others: list[float]
    ledger: Ledger = field(default_factory=lambda: Ledger(Families()))
    background: Background = field(default_factory=Background)
    now: float = NOW
    running: list[tuple[Job, Placement]] = field(default_factory=list)
    lag: float = 120.0

    def start(self, name: str, node: int, gpus: int) -> None:
        placed = make_placement(decided_at=self.now)
        rank = replace(placed.ranks[0], node=f"node-{node}")
        self.running.append((make_job(name, gpus=gpus), replace(placed, ranks=(rank,))))

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / STEP)):
            self.now += STEP
            self.ledger.follow(self.running, [], self.now, {job.uid for job, _ in self.running})
            self.sample(self.load())

    def load(self) -> list[float]:
        loads = list(self.others)
        for job, placed in self.running:
            if self.now >= placed.decided_at + self.lag:
                loads[int(placed.ranks[0].node.removeprefix("node-"))] += 0.8 * job.request.gpus / 8
        return loads

    def sample(self, loads: list[float], age: float = 0.0) -> None:
        current = np.full((len(loads), len(SIGNALS)), np.nan)
        current[:, GPU] = loads
        snapshot = make_snapshot(make_nodes(len(loads)))
        self.background.observe(self.ledger, current, np.full(current.shape, age), snapshot, self.now)

    def found(self) -> list[float]:
        names = tuple(f"node-{number}" for number in range(len(self.others)))
        return [float(value) for value in self.background.of(names)[:, GPU]]


def test_before_any_sample_nothing_is_known() -> None:
    assert np.isnan(Background().of(("node-0",))).all()


def test_signals_that_nobody_samples_stay_unknown() -> None:
    course = Course([0.3])
    course.pass_time(60.0)
    found = course.background.of(("node-0",))
    assert np.isnan(np.delete(found[0], GPU)).all()
    assert found[0, GPU] == pytest.approx(0.3)


def test_what_gangs_are_expected_to_use_is_taken_off() -> None:
    course = Course([0.1, 0.3])
    course.pass_time(HOUR)
    course.start("a", 0, gpus=4)
    course.pass_time(HOUR)
    assert course.found() == pytest.approx([0.1, 0.3], abs=0.03)


def test_a_gang_that_metrics_do_not_show_yet_makes_no_background_disappear() -> None:
    course = Course([0.3])
    course.pass_time(HOUR)
    course.start("a", 0, gpus=8)
    course.pass_time(90.0)
    assert course.found() == pytest.approx([0.3], abs=0.01)


def test_what_is_kept_is_a_slow_mean() -> None:
    course = Course([0.2])
    course.pass_time(5 * HOUR)
    course.others = [0.6]
    course.pass_time(MEMORY_SECONDS)
    assert course.found() == pytest.approx([0.6 - 0.4 * np.exp(-1.0)], abs=0.01)


def test_at_the_start_it_is_the_plain_mean_of_what_was_seen() -> None:
    course = Course([0.2])
    course.pass_time(2 * STEP)
    course.others = [0.5]
    course.pass_time(STEP)
    assert course.found() == pytest.approx([0.3])


def test_a_sample_counts_once() -> None:
    course = Course([0.2])
    course.pass_time(HOUR)
    for _ in range(100):
        course.sample([0.9], age=STEP)
    assert course.found() == pytest.approx([0.2])


def test_gangs_that_use_less_than_expected_make_none() -> None:
    course = Course([0.0], lag=2 * HOUR)
    course.pass_time(HOUR)
    course.start("idle", 0, gpus=8)
    course.pass_time(HOUR)
    assert course.found() == [0.0]


def test_nodes_keep_theirs_when_others_come_and_go() -> None:
    course = Course([0.1, 0.3])
    course.pass_time(HOUR)
    found = course.background.of(("new", "node-1"))[:, GPU]
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0.3)
