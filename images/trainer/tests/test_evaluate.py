"""Distributed evaluation against plain NumPy, and sums over ranks."""

import numpy as np
import pytest
import torch
from torch import nn
from worlds import with_gang

from loadstar_trainer.data import Samples
from loadstar_trainer.evaluate import Part, evaluate
from loadstar_trainer.gang import Gang


class _Given:
    SCORES = np.random.default_rng(0).standard_normal((151, 3))
    CLASSES = np.random.default_rng(1).integers(0, 3, 151)
    NUMBERS = SCORES[:, 0] + np.random.default_rng(2).standard_normal(151)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_each_of_151_samples_counts_once(ranks: int) -> None:
    def accuracy_and_loss(gang: Gang) -> dict[str, float]:
        part = Part.place(Samples(_Given.SCORES, _Given.CLASSES), 3, gang.device)
        return evaluate(nn.Identity(), part, gang, 10)

    logs = _Given.SCORES - np.log(np.exp(_Given.SCORES).sum(axis=1, keepdims=True))
    expected = {
        "accuracy": float((_Given.SCORES.argmax(axis=1) == _Given.CLASSES).sum()) / 151,
        "loss": -float(logs[np.arange(151), _Given.CLASSES].mean()),
    }
    for metrics in with_gang(ranks, accuracy_and_loss):
        assert metrics["accuracy"] == expected["accuracy"]
        assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-6)


@pytest.mark.parametrize("ranks", [1, 3])
def test_errors_of_a_regression_are_those_of_the_whole_part(ranks: int) -> None:
    def errors(gang: Gang) -> dict[str, float]:
        return evaluate(
            nn.Identity(), Part.place(Samples(_Given.SCORES[:, :1], _Given.NUMBERS), 0, gang.device), gang, 10
        )

    wrong = _Given.SCORES[:, 0] - _Given.NUMBERS
    expected = {
        "mse": float((wrong**2).mean()),
        "mae": float(np.abs(wrong).mean()),
        "r2": 1 - float((wrong**2).sum() / ((_Given.NUMBERS - _Given.NUMBERS.mean()) ** 2).sum()),
    }
    for metrics in with_gang(ranks, errors):
        assert metrics == pytest.approx(expected, rel=1e-5)


def test_r2_is_left_out_where_all_targets_are_alike() -> None:
    [metrics] = with_gang(
        1,
        lambda gang: evaluate(
            nn.Identity(), Part.place(Samples(np.ones((4, 1)), np.ones(4)), 0, gang.device), gang, 4
        ),
    )
    assert metrics == {"mse": 0.0, "mae": 0.0}


def test_more_ranks_than_samples_is_fine() -> None:
    shares = with_gang(3, lambda gang: gang.share(torch.arange(2)).tolist())
    assert shares == [[0], [1], []]


def test_one_vote_to_stop_stops_all_ranks_after_the_same_step() -> None:
    def stopped_at(gang: Gang) -> int:
        return next(step for step in range(10) if gang.agreed_to_stop(gang.rank == 1 and step >= 3))

    assert len(set(with_gang(3, stopped_at))) == 1
