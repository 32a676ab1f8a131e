"""What is learned of families of jobs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from loadstar.core.families import EXPECTED_USE, LAG_RANGE, LAG_SECONDS, MOST_FAMILIES, MOST_USE, Families
from tests.builders import GPU


def used(share: float) -> NDArray[np.float64]:
    """The same share of every signal."""
    return np.full(4, share)


def test_a_family_that_nobody_has_seen_uses_what_jobs_commonly_do() -> None:
    families = Families()
    assert families.use("mlp/ann").tolist() == [EXPECTED_USE] * 4
    assert families.lag("mlp/ann") == LAG_SECONDS
    assert len(families) == 0


def test_each_job_weighs_as_much_as_one_of_the_three_first_guesses() -> None:
    families = Families()
    families.learn_use("mlp/ann", used(0.4))
    assert families.use("mlp/ann")[GPU] == pytest.approx((3 * 0.8 + 0.4) / 4)
    families.learn_use("mlp/ann", used(0.4))
    assert families.use("mlp/ann")[GPU] == pytest.approx((3 * 0.8 + 2 * 0.4) / 5)


def test_what_was_learned_of_one_family_is_not_told_of_another() -> None:
    families = Families()
    families.learn_use("mlp/ann", used(0.1))
    assert families.use("mlp/bob").tolist() == [EXPECTED_USE] * 4


def test_a_signal_that_was_not_measured_teaches_nothing() -> None:
    families = Families()
    only_gpu = np.full(4, np.nan)
    only_gpu[GPU] = 0.0
    families.learn_use("mlp/ann", only_gpu)
    assert sorted(families.use("mlp/ann")) == pytest.approx([0.6, 0.8, 0.8, 0.8])


def test_a_family_that_changed_its_habits_is_followed() -> None:
    families = Families()
    for _ in range(1000):
        families.learn_use("mlp/ann", used(0.2))
    for _ in range(150):
        families.learn_use("mlp/ann", used(0.9))
    assert families.use("mlp/ann")[GPU] == pytest.approx(0.9, abs=0.05)


def test_no_reading_is_believed_without_bounds() -> None:
    families = Families()
    families.learn_use("mlp/ann", used(1e9))
    assert families.use("mlp/ann")[GPU] == pytest.approx((3 * 0.8 + MOST_USE) / 4)
    families.learn_lag("mlp/ann", 1e9)
    assert families.lag("mlp/ann") == pytest.approx((3 * LAG_SECONDS + LAG_RANGE[1]) / 4)


def test_the_lag_is_learned_like_use() -> None:
    families = Families()
    families.learn_lag("mlp/ann", 25.0)
    assert families.lag("mlp/ann") == pytest.approx((3 * LAG_SECONDS + 25.0) / 4)


def test_families_that_nobody_asks_about_are_forgotten_first() -> None:
    families = Families()
    families.learn_use("kept", used(0.1))
    for number in range(MOST_FAMILIES):
        families.use("kept")
        families.learn_use(f"family-{number}", used(0.1))
    assert len(families) == MOST_FAMILIES
    assert families.use("kept")[GPU] < EXPECTED_USE
    assert families.use("family-0")[GPU] == EXPECTED_USE
