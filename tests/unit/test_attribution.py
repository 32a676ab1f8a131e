"""What is learned of families from the loads of nodes alone, in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from loadstar.core.attribution import Attribution
from loadstar.core.families import EXPECTED_USE, LAG_SECONDS, Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Job, Placement
from loadstar.core.ledger import Ledger
from tests.builders import GPU, NOW, make_job, make_nodes, make_placement, make_snapshot

STEP = 30.0


@dataclass
class Course:
    """Nodes of 8 GPUs whose jobs use `uses` of their GPUs from `lag` seconds after their placement."""

    nodes: int = 2
    own: float = 0.0
    lag: float = 60.0
    pull: float = 20.0
    """Seconds from a placement until its pods run."""
    ledger: Ledger = field(default_factory=lambda: Ledger(Families()))
    now: float = NOW
    running: list[tuple[Job, Placement]] = field(default_factory=list)
    uses: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attribution = Attribution(self.ledger)
        self.snapshot = make_snapshot(make_nodes(self.nodes))
        self.pass_time(STEP)

    def start(self, name: str, node: int, *, gpus: int, use: float, family: str = "") -> None:
        """One rank on one node, placed now."""
        job = make_job(name, gpus=gpus, family=family or name)
        placed = make_placement(decided_at=self.now)
        rank = replace(placed.ranks[0], node=f"node-{node}")
        self.running.append((job, replace(placed, ranks=(rank,))))
        self.uses[name] = use

    def end(self, name: str) -> None:
        self.running = [(job, placement) for job, placement in self.running if job.name != name]

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / STEP)):
            self.now += STEP
            ready = {job.uid for job, placed in self.running if self.now >= placed.decided_at + self.pull}
            self.ledger.follow(self.running, [], self.now, ready)
            current = np.full((self.nodes, len(SIGNALS)), np.nan)
            current[:, GPU] = [self.load(node) for node in range(self.nodes)]
            self.attribution.observe(current, np.zeros(current.shape), self.snapshot, self.now)

    def load(self, node: int) -> float:
        parts = [
            self.uses[job.name] * job.request.gpus / 8
            for job, placement in self.running
            if placement.ranks[0].node == f"node-{node}" and self.now >= placement.decided_at + self.lag
        ]
        return min(1.0, self.own + sum(parts))

    def use(self, family: str) -> float:
        return float(self.ledger.families.use(family)[GPU])


def after(jobs: int, true: float) -> float:
    """What a family is believed to use after so many jobs of that true use."""
    return (3 * EXPECTED_USE + jobs * true) / (3 + jobs)


def test_a_job_alone_on_its_node_tells_what_its_family_uses_when_it_ends() -> None:
    course = Course()
    course.start("a", 0, gpus=8, use=0.3)
    course.pass_time(400)
    assert course.use("a") == EXPECTED_USE
    course.end("a")
    course.pass_time(60)
    assert course.use("a") == pytest.approx(after(1, 0.3), abs=0.01)


def test_a_job_that_runs_on_tells_after_ten_minutes_and_once() -> None:
    course = Course()
    course.start("a", 0, gpus=8, use=0.3)
    course.pass_time(1200)
    assert course.use("a") == pytest.approx(after(1, 0.3), abs=0.01)
    course.pass_time(3600)
    course.end("a")
    course.pass_time(60)
    assert course.use("a") == pytest.approx(after(1, 0.3), abs=0.01)


def test_what_a_node_shows_by_itself_is_nobodys_use() -> None:
    course = Course(own=0.2)
    course.pass_time(1800)
    course.start("a", 0, gpus=8, use=0.3)
    course.pass_time(1200)
    assert course.use("a") == pytest.approx(after(1, 0.3), abs=0.02)


def test_families_that_share_nodes_are_told_apart_by_their_company() -> None:
    course = Course(nodes=3)
    for turn in range(12):
        names = [f"{family}-{turn}" for family in ("light", "heavy", "light", "heavy")]
        for name, node, use in zip(names, (0, 0, 1, 2), (0.1, 0.9, 0.1, 0.9), strict=True):
            course.start(f"{name}-{node}", node, gpus=4, use=use, family=name.partition("-")[0])
        course.pass_time(600)
        course.running.clear()
        course.pass_time(180)
    assert course.use("light") < 0.35
    assert course.use("heavy") > 0.65


def test_a_job_that_never_ran_tells_nothing() -> None:
    course = Course(lag=900.0, pull=900.0)
    course.start("a", 0, gpus=8, use=0.9)
    course.pass_time(600)
    course.end("a")
    course.pass_time(60)
    assert len(course.ledger.families) == 0


def test_the_lag_of_a_family_is_learned_from_when_its_jobs_show() -> None:
    course = Course(lag=60.0)
    course.start("a", 0, gpus=8, use=0.6)
    course.pass_time(300)
    assert course.ledger.families.lag("a") == pytest.approx((3 * LAG_SECONDS + 60.0) / 4)


def test_of_a_job_that_was_there_before_anybody_looked_no_lag_is_learned() -> None:
    course = Course()
    course.start("a", 0, gpus=8, use=0.6)
    course.now += 600
    course.pass_time(60)
    assert course.ledger.families.lag("a") == LAG_SECONDS
    course.pass_time(900)
    assert course.use("a") == pytest.approx(after(1, 0.6), abs=0.02)


def test_a_job_that_does_not_show_yet_stays_committed_and_is_not_taken_for_a_light_one() -> None:
    course = Course(lag=700.0, pull=680.0)
    course.start("a", 0, gpus=8, use=0.6)
    course.pass_time(690)
    [commitment] = course.ledger.commitments(course.now)
    assert commitment.lag is not None
    assert commitment.lag >= 690.0
    course.pass_time(60)
    assert course.ledger.families.lag("a") > LAG_SECONDS
    course.pass_time(600)
    course.end("a")
    course.pass_time(60)
    assert course.use("a") == pytest.approx(after(1, 0.6), abs=0.02)


def test_a_job_that_never_shows_is_a_light_one_after_a_quarter_of_an_hour() -> None:
    course = Course()
    course.start("a", 0, gpus=8, use=0.0)
    course.pass_time(2400)
    assert course.use("a") == pytest.approx(after(1, 0.0), abs=0.02)
    assert course.ledger.commitments(course.now) == []


@pytest.mark.parametrize("repeat", [lambda course: course.now, lambda course: course.now + 10])
def test_the_same_sample_seen_again_teaches_nothing(repeat: Callable[[Course], float]) -> None:
    course = Course()
    course.start("a", 0, gpus=8, use=0.3)
    course.pass_time(400)
    [gang] = course.ledger
    assert gang.watched is not None
    before = gang.watched.variance[GPU]
    now = repeat(course)
    current = np.full((2, len(SIGNALS)), 0.9)
    course.attribution.observe(current, np.full(current.shape, now - course.now), course.snapshot, now)
    assert gang.watched.variance[GPU] == before


def test_a_job_that_just_ended_is_not_taken_for_the_nodes_own_load_nor_anothers() -> None:
    course = Course()
    course.start("a", 0, gpus=4, use=0.5)
    course.start("b", 0, gpus=4, use=0.5)
    course.pass_time(600)
    course.end("b")
    lagging = course.load(0) + 0.25  # the mean over the last minute
    course.now += 10
    course.ledger.follow(course.running, [], course.now)
    [a] = [gang for gang in course.ledger if gang.ended_at is None]
    assert a.watched is not None
    before = a.watched.use[GPU]
    current = np.full((2, len(SIGNALS)), lagging)
    course.attribution.observe(current, np.zeros(current.shape), course.snapshot, course.now)
    assert a.watched.use[GPU] == before


def test_nodes_may_come_and_go() -> None:
    course = Course(nodes=3, own=0.2)
    course.pass_time(1800)
    course.snapshot, course.nodes = make_snapshot(make_nodes(2)), 2
    course.pass_time(60)
    course.start("a", 1, gpus=8, use=0.3)
    course.pass_time(1200)
    assert course.use("a") == pytest.approx(after(1, 0.3), abs=0.02)
