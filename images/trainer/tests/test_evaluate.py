"""Distributed evaluation against NumPy, scikit-learn and torchmetrics, and sums over ranks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import nn
from worlds import with_gang

from loadstar_trainer.evaluate import Evaluator, Measured
from loadstar_trainer.gang import Gang
from loadstar_trainer.losses import Objective
from loadstar_trainer.parts import Resident
from loadstar_trainer.precision import Precision
from loadstar_trainer.scores import torchmetrics
from loadstar_trainer.spec import Training

TRAINING = Training(1, 10, 0.1, "sgd", 0.0, 0.0, 0)
SCORES = np.random.default_rng(0).standard_normal((151, 3))
CLASSES = np.random.default_rng(1).integers(0, 3, 151)
NUMBERS = SCORES[:, 0] + np.random.default_rng(2).standard_normal(151)
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
ALL = ("accuracy", "precision", "recall", "f1", "auroc", "confusionMatrix", "loss")


def measure(
    ranks: int, objective: Objective, outputs: Any, targets: Any, names: Sequence[str]
) -> list[Measured]:
    """What each rank measures of a model whose outputs are given."""

    def measured(gang: Gang) -> Measured:
        part = Resident(torch.tensor(outputs), torch.tensor(targets), 10, 0, gang)
        return Evaluator(nn.Identity(), objective, Precision(TRAINING, gang.device), gang).measure(
            part, names
        )

    return with_gang(ranks, measured)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_each_of_151_samples_counts_once(ranks: int) -> None:
    chosen = SCORES.argmax(axis=1)
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        CLASSES, chosen, average="macro"
    )
    for measured in measure(ranks, Objective.of("classification", None, 3), SCORES, CLASSES, ALL):
        assert measured.metrics["accuracy"] == int((chosen == CLASSES).sum()) / 151
        assert measured.confusion == sklearn.metrics.confusion_matrix(CLASSES, chosen).tolist()
        expected = {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "auroc": sklearn.metrics.roc_auc_score(CLASSES, PROBABILITIES, multi_class="ovr"),
            "loss": -np.log(PROBABILITIES[np.arange(151), CLASSES]).mean(),
        }
        assert {name: measured.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_a_class_that_no_sample_has_weighs_as_in_torchmetrics() -> None:
    classes = np.where(CLASSES == 2, 0, CLASSES)
    objective = Objective.of("classification", None, 4)
    scores = np.concatenate([SCORES, np.full((151, 1), -9.0)], axis=1)
    [measured] = measure(1, objective, scores, classes, ALL)
    outputs, targets = torch.tensor(scores), torch.tensor(classes)
    for name in ("precision", "recall", "f1_score"):
        expected = getattr(torchmetrics(), f"multiclass_{name}")(outputs, targets, 4, average="macro")
        assert measured.metrics[name.removesuffix("_score")] == pytest.approx(float(expected), rel=1e-6)
    assert "auroc" not in measured.metrics  # the absent class has no curve


def test_one_sigmoid_output_is_two_classes() -> None:
    outputs, classes = SCORES[:, :1], (CLASSES > 0).astype(np.int64)
    [measured] = measure(1, Objective.of("classification", "bce", 2), outputs, classes, ALL)
    assert measured.metrics["accuracy"] == int(((outputs[:, 0] > 0) == classes).sum()) / 151
    assert measured.metrics["auroc"] == pytest.approx(sklearn.metrics.roc_auc_score(classes, outputs[:, 0]))
    chances = 1 / (1 + np.exp(-outputs[:, 0]))
    assert measured.metrics["loss"] == pytest.approx(sklearn.metrics.log_loss(classes, chances))


@pytest.mark.parametrize("ranks", [1, 3])
def test_errors_of_a_regression_are_those_of_the_whole_part(ranks: int) -> None:
    wrong = SCORES[:, 0] - NUMBERS
    expected = {
        "mse": float((wrong**2).mean()),
        "mae": float(np.abs(wrong).mean()),
        "r2": 1 - float((wrong**2).sum() / ((NUMBERS - NUMBERS.mean()) ** 2).sum()),
    }
    objective = Objective.of("regression", None, 0)
    for measured in measure(ranks, objective, SCORES[:, :1], NUMBERS[:, None], tuple(expected)):
        assert measured.metrics == pytest.approx(expected, rel=1e-5)


def test_r2_is_left_out_where_all_targets_are_alike() -> None:
    objective = Objective.of("regression", None, 0)
    [measured] = measure(1, objective, np.ones((4, 1)), np.ones((4, 1)), ("mse", "mae", "r2"))
    assert measured.metrics == {"mse": 0.0, "mae": 0.0}


@pytest.mark.parametrize("ranks", [1, 2])
def test_perplexity_counts_each_byte_once(ranks: int) -> None:
    texts = np.random.default_rng(3).integers(0, 256, (5, 8)).astype(np.uint8)
    outputs = np.random.default_rng(4).standard_normal((5, 8, 256))
    chances = np.exp(outputs) / np.exp(outputs).sum(axis=-1, keepdims=True)
    loss = -np.log(np.take_along_axis(chances, texts[:, :, None].astype(int), axis=-1)).mean()
    for measured in measure(
        ranks, Objective.of("language", None, 256), outputs, texts, ("perplexity", "loss")
    ):
        assert measured.metrics == pytest.approx({"perplexity": np.exp(loss), "loss": loss}, rel=1e-6)


def test_only_the_metrics_that_are_asked_for_are_told() -> None:
    [measured] = measure(1, Objective.of("classification", None, 3), SCORES, CLASSES, ("f1",))
    assert (list(measured.metrics), measured.confusion) == (["f1"], [])


def test_more_ranks_than_samples_is_fine() -> None:
    shares = with_gang(3, lambda gang: gang.share(torch.arange(2)).tolist())
    assert shares == [[0], [1], []]


def test_one_vote_to_stop_stops_all_ranks_after_the_same_step() -> None:
    def stopped_at(gang: Gang) -> int:
        return next(step for step in range(10) if gang.agreed_to_stop(gang.rank == 1 and step >= 3))

    assert len(set(with_gang(3, stopped_at))) == 1
