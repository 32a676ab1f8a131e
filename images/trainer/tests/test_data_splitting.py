"""Splits and folds of any data: every row in one part, every class in its share."""

from pathlib import Path

import numpy as np
import pytest
from files import NUMBERS, classes_table, dataset, write
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar_trainer.data import Samples, folds
from loadstar_trainer.data.splitting import folds as fold_rows
from loadstar_trainer.data.splitting import split
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Split

# Classes of up to 80 rows each, mixed.
GROUPS = st.lists(st.integers(1, 80), min_size=1, max_size=5).map(
    lambda counts: np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
)
SPLITS = st.builds(Split, st.floats(0, 0.45), st.floats(0.01, 0.45), st.integers(0, 99))


@given(GROUPS, SPLITS)
@settings(max_examples=100, deadline=None)
def test_each_row_is_in_one_part_and_each_class_has_its_share(groups: np.ndarray, shares: Split) -> None:
    try:
        rows = split(groups, shares)
    except Refused:
        return
    assert np.array_equal(
        np.sort(np.concatenate([rows.training, rows.validation, rows.test])), np.arange(len(groups))
    )
    for part, share in ((rows.validation, shares.validation), (rows.test, shares.test)):
        assert abs(len(part) - share * len(groups)) <= 0.5 + 1e-9
        for group in np.unique(groups):
            expected = len(part) * np.mean(groups == group)
            assert abs(np.sum(groups[part] == group) - expected) <= 2


@given(GROUPS, st.integers(2, 20), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_each_row_tests_in_one_fold(groups: np.ndarray, count: int, seed: int) -> None:
    try:
        divided = list(fold_rows(groups, count, Split(0.0, 0.2, seed)))
    except Refused:
        return
    assert len(divided) == count
    assert np.array_equal(np.sort(np.concatenate([rows.test for rows in divided])), np.arange(len(groups)))
    for rows in divided:
        assert np.array_equal(np.sort(np.concatenate([rows.training, rows.test])), np.arange(len(groups)))
        for group in np.unique(groups):
            assert abs(np.sum(groups[rows.test] == group) - np.sum(groups == group) / count) < 1


def test_folds_validate_on_the_share_asked_for() -> None:
    for rows in fold_rows(np.arange(100) % 2, 5, Split(0.1, 0.2, 0)):
        assert [len(rows.training), len(rows.validation), len(rows.test)] == [70, 10, 20]
        assert len({*rows.training, *rows.validation, *rows.test}) == 100


def test_the_seed_decides_the_folds() -> None:
    first, second, other = (
        [rows.test.tolist() for rows in fold_rows(np.arange(50) % 2, 5, Split(0.1, 0.2, seed))]
        for seed in (0, 0, 1)
    )
    assert first == second != other


def test_more_folds_than_samples_are_refused() -> None:
    with pytest.raises(Refused, match="folds is 5 and there are 4 samples"):
        list(fold_rows(np.zeros(4), 5, Split(0.0, 0.2, 0)))


def test_each_fold_is_scaled_by_its_own_training_part(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", classes_table())
    parts = list(folds(dataset(path), 3))
    assert len({data.hash for data in parts}) == 1
    for data in parts:
        assert isinstance(data.training, Samples)
        assert data.training.features.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
        assert data.sizes == {"train": 34, "validation": 6, "test": 20}
    scaled = {data.training.features.tobytes() for data in parts if isinstance(data.training, Samples)}
    assert len(scaled) == 3
    assert len(NUMBERS) == 60


def test_a_text_is_not_cross_validated(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not go with a text"):
        list(folds(dataset(write(tmp_path / "d.txt", "x" * 9999)), 3))
