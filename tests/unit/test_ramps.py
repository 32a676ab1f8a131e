"""Ramps that are under way: what is taken for one, and what the forecast then makes of it."""

import numpy as np
import pytest

from loadstar.core.columns import Rows
from loadstar.core.forecast import Forecaster
from loadstar.core.load import STEP_SECONDS
from loadstar.core.ramps import Ramps
from tests.builders import GPU, NOW, make_samples

ONE: Rows = slice(0, 1)


def steady(loads: list[float], steps: float = 1.0) -> float:
    """How surely these loads, `steps` apart, are a ramp."""
    ramps = Ramps()
    ramps.extend(1)
    for load in loads:
        one = np.array([load], np.float32)
        ramps.update(ONE, one, np.array([steps], np.float32), np.zeros(1, np.float32))
    return float(ramps.steady(ONE)[0])


@pytest.mark.parametrize("slope", [0.05, -0.05, 0.001, 50.0])
def test_a_straight_line_is_a_ramp_whatever_its_slope_and_unit(slope: float) -> None:
    assert steady([100.0 + slope * step for step in range(6)]) == 1.0


def test_a_constant_load_is_no_ramp() -> None:
    assert steady([0.5] * 20) == 0.0


def test_noise_is_hardly_ever_a_ramp() -> None:
    rng = np.random.default_rng(3)
    found = [steady(rng.random(20).tolist()) for _ in range(300)]
    assert np.mean(np.array(found) > 0) < 0.03


def test_a_jump_and_the_plateau_behind_it_are_no_ramp() -> None:
    loads = [0.1] * 10 + [0.5] + [0.9] * 3
    assert [steady(loads[:count]) for count in range(9, len(loads) + 1)] == pytest.approx([0.0] * 6, abs=0.2)


def test_fewer_samples_than_four_are_no_ramp() -> None:
    assert steady([0.1, 0.2, 0.3]) == 0.0
    assert steady([0.1, 0.2, 0.3, 0.4]) > 0.0


def test_many_samples_within_a_minute_are_no_ramp_yet() -> None:
    assert steady([0.1 + 0.01 * number for number in range(20)], steps=1 / 15) == 0.0


def test_a_restart_forgets_the_line_before_it() -> None:
    ramps = Ramps()
    ramps.extend(1)
    step = np.ones(1, np.float32)
    for number in range(8):
        ramps.update(ONE, np.array([0.1 * number], np.float32), step, np.zeros(1, np.float32))
    assert ramps.steady(ONE)[0] == 1.0
    ramps.update(ONE, np.array([0.2], np.float32), step, np.ones(1, np.float32))
    assert ramps.steady(ONE)[0] == 0.0


def test_a_ramp_is_followed_on_a_node_whose_ramps_ended_soon_so_far() -> None:
    forecaster, at = Forecaster(), NOW - 1e6

    def see(load: float) -> float:
        nonlocal at
        at += STEP_SECONDS
        forecaster.observe(make_samples({"n": load}, at))
        return float(forecaster.forecast(["n"], 10 * STEP_SECONDS, at).value[0, GPU])

    for _ in range(40):  # three steps up, then back: whoever followed those was wrong each time
        for load in (0.1, 0.2, 0.3, 0.4, 0.1, 0.1, 0.1, 0.1):
            see(load)
    for number in range(12):
        ahead = see(0.1 + 0.06 * number)
    assert ahead > 0.1 + 0.06 * 11 + 0.15
