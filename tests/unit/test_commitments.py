"""R⁺ and R⁻: load that metrics don't tell rightly yet, and what would happen without them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from loadstar.core.commitments import UNCERTAINTY, Commitment, Committed, committed
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Placement
from loadstar.core.plan import Turn, plan
from loadstar.core.resources import Resources
from tests.builders import (
    GPU,
    NOW,
    make_forecaster,
    make_job,
    make_loads,
    make_node,
    make_nodes,
    make_request,
    make_samples,
    make_snapshot,
)

WHOLE = make_request(8)


def of_one_node(
    *commitments: Commitment, age: float | None = None, families: Families | None = None
) -> Committed:
    """What is committed to node-a of 8 GPUs, its newest samples `age` seconds old."""
    ages = None if age is None else np.full((1, len(SIGNALS)), age)
    return committed(commitments, make_snapshot([make_node()]), NOW, families, ages)


def decided(ago: float, **changes: float | str) -> Commitment:
    return Commitment("node-a", WHOLE, NOW - ago, **changes)  # type: ignore[arg-type]


def gpu(values: NDArray[np.float64]) -> float:
    return float(values[0, GPU])


def test_what_was_just_decided_is_all_to_come_and_roughly_known() -> None:
    found = of_one_node(decided(0))
    assert gpu(found.coming) == pytest.approx(0.8)
    assert gpu(found.variance) == pytest.approx((UNCERTAINTY * 0.8) ** 2)
    assert gpu(found.leaving) == 0.0


def test_two_commitments_are_wrong_independently() -> None:
    half = Commitment("node-a", make_request(4), NOW)
    found = of_one_node(half, half)
    assert gpu(found.coming) == pytest.approx(0.8)
    assert gpu(found.variance) == pytest.approx(2 * (UNCERTAINTY * 0.4) ** 2)


def test_load_comes_into_sight_over_the_averages_window() -> None:
    found = [gpu(of_one_node(decided(ago)).coming) for ago in (165, 285, 405)]
    assert found == pytest.approx([0.8, 0.4, 0.0])


def test_a_late_sample_cannot_show_what_was_decided_after_it() -> None:
    assert gpu(of_one_node(decided(285), age=0).coming) == pytest.approx(0.4)
    assert gpu(of_one_node(decided(285), age=120).coming) == pytest.approx(0.8)


def test_a_node_without_samples_is_taken_at_its_word() -> None:
    assert gpu(of_one_node(decided(285), age=np.nan).coming) == pytest.approx(0.4)


def test_use_and_lag_are_those_of_the_family() -> None:
    families = Families()
    for _ in range(1000):
        families.learn_use("small", np.full(4, 0.1))
        families.learn_lag("small", 10.0)
    found = of_one_node(decided(190, family="small"), families=families)
    # half of 0.1 is in sight: (190 - 10 - 60) / 240
    assert gpu(found.coming) == pytest.approx(0.05, abs=0.001)


def test_a_lag_of_its_own_counts_more_than_the_familys() -> None:
    assert gpu(of_one_node(decided(285, lag=300.0)).coming) == pytest.approx(0.8)


def test_a_job_that_ended_fades_from_the_averages() -> None:
    found = of_one_node(decided(4000, ended_at=NOW - 30))
    assert gpu(found.coming) == 0.0
    assert gpu(found.leaving) == pytest.approx(0.8 * (1 - 30 / 90))
    assert gpu(found.variance) == 0.0
    assert gpu(found.net) == pytest.approx(-0.8 * 2 / 3)


def test_a_job_that_never_showed_leaves_no_ghost() -> None:
    assert not of_one_node(decided(120, ended_at=NOW - 10)).leaving.any()


def test_an_old_ghost_is_gone() -> None:
    assert not of_one_node(decided(4000, ended_at=NOW - 90)).leaving.any()


def test_what_a_late_sample_still_shows_in_full_is_taken_off_in_full() -> None:
    found = of_one_node(decided(4000, ended_at=NOW - 60), age=60)
    assert gpu(found.leaving) == pytest.approx(0.8)


def test_commitments_to_a_node_that_is_gone_count_nowhere() -> None:
    found = of_one_node(Commitment("gone", WHOLE, NOW), Commitment("gone", WHOLE, NOW - 4000, ended_at=NOW))
    assert not found.net.any()


# --- the herd ----------------------------------------------------------------------------------------------------

DELAY = 60.0
"""Seconds from a sample's time until the operator has it."""
BACKGROUND = 0.3
GPUS_EACH = 2
USE_EACH = 0.2
"""A job's load at last on a node of 8 GPUs: 0.8 of two of them."""


@dataclass
class Herd:
    """Twelve equal nodes, jobs that load theirs from a minute and a half after their start, metrics that are late."""

    sees_commitments: bool
    placed: list[tuple[str, float]] = field(default_factory=list)
    """(node, decided at)."""

    def __post_init__(self) -> None:
        self.nodes = make_nodes(12)
        self.names = [node.name for node in self.nodes]
        history = {name: [BACKGROUND + row / 1000] * 20 for row, name in enumerate(self.names)}
        self.forecaster = make_forecaster(history, last_at=NOW - DELAY)

    def true_load(self, node: str, at: float) -> float:
        ramps = (
            min(1.0, max(0.0, (at - start - 90.0) / 60.0)) for name, start in self.placed if name == node
        )
        return BACKGROUND + self.names.index(node) / 1000 + USE_EACH * sum(ramps)

    def apply(self, number: int, now: float) -> None:
        """One job comes and is planned for in a cycle of its own."""
        [offer] = plan(
            [make_job(f"job-{number}", gpus=GPUS_EACH)],
            make_snapshot(self.nodes, self._requested()),
            [Commitment(node, make_request(GPUS_EACH), at) for node, at in self.placed]
            if self.sees_commitments
            else [],
            make_loads(self.forecaster),
            Turn(),
            now,
        ).values()
        assert isinstance(offer.outcome, Placement)
        self.placed.append((offer.outcome.ranks[0].node, now))

    def scrape(self, now: float) -> None:
        """The samples of a minute ago arrive."""
        at = now - DELAY
        loads = {name: min(1.0, self.true_load(name, at)) for name in self.names}
        self.forecaster.observe(make_samples(loads, at))

    def hottest(self) -> float:
        """The highest load of any node once every job has come to its own."""
        return max(self.true_load(name, NOW + 3600) for name in self.names)

    def _requested(self) -> dict[str, Resources]:
        taken = {name: Resources() for name in self.names}
        for node, _ in self.placed:
            taken[node] += make_request(GPUS_EACH)
        return taken


def within_one_second(sees_commitments: bool) -> Herd:
    herd = Herd(sees_commitments)
    for number in range(20):
        herd.apply(number, NOW + number / 20)
    return herd


def in_two_waves(sees_commitments: bool) -> Herd:
    """Ten jobs, then ten more after two minutes, when samples have come that show the first ones' start at best."""
    herd = Herd(sees_commitments)
    for number in range(10):
        herd.apply(number, NOW + number / 10)
    for step in range(1, 5):
        herd.scrape(NOW + 30 * step)
    for number in range(10, 20):
        herd.apply(number, NOW + 121 + number / 10)
    return herd


@pytest.mark.parametrize("run", [within_one_second, in_two_waves])
def test_twenty_jobs_at_once_do_not_herd_though_metrics_are_a_minute_late(
    run: Callable[[bool], Herd],
) -> None:
    assert run(True).hottest() < 0.8


@pytest.mark.parametrize("run", [within_one_second, in_two_waves])
def test_without_what_is_committed_they_herd(run: Callable[[bool], Herd]) -> None:
    assert run(False).hottest() > 1.0
