"""What training comes to: each model learns, seeds reproduce, the number of ranks does not matter."""

import json
from typing import Any

import pytest
from pods import make_spec
from worlds import train

from loadstar_trainer.spec import Spec, parse

DIGITS = {"builtin": "digits"}
MACRO = ["precision", "recall", "f1", "auroc"]
LINE = {"builtin": "synthetic-regression", "synthetic": {"samples": 200, "coefficients": [3, 2]}}


def spec(model: dict[str, Any] | None = None, dataset: dict[str, Any] | None = None, **training: Any) -> Spec:
    return parse(json.dumps(make_spec(model, dataset, **training)))


@pytest.mark.parametrize(
    ("model", "dataset", "training", "metric", "least"),
    [
        ({"type": "linear"}, {"builtin": "iris"}, {"epochs": 30, "learningRate": 0.05}, "accuracy", 0.9),
        ({"type": "mlp"}, {"builtin": "wine"}, {"epochs": 20, "learningRate": 0.005}, "accuracy", 0.95),
        ({"type": "mlp", "dropout": 0.2}, {"builtin": "breast-cancer"}, {"epochs": 10}, "accuracy", 0.94),
        (
            {"type": "mlp", "activation": "gelu"},
            DIGITS,
            {"epochs": 5, "learningRate": 0.003},
            "accuracy",
            0.93,
        ),
        (
            {"type": "cnn", "channels": [16, 32]},
            DIGITS,
            {"epochs": 5, "learningRate": 0.003},
            "accuracy",
            0.96,
        ),
        ({"type": "linear"}, LINE, {"epochs": 100, "optimizer": "sgd", "learningRate": 0.01}, "r2", 0.99),
    ],
    ids=["linear", "mlp", "mlp-dropout", "mlp-on-images", "cnn", "regression"],
)
def test_each_model_learns(
    model: dict[str, Any], dataset: dict[str, Any], training: dict[str, Any], metric: str, least: float
) -> None:
    assert train(spec(model, dataset, **training)).metrics[metric] >= least


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
def test_each_activation_learns_on_each_scale(activation: str, scale: str) -> None:
    model = {"type": "mlp", "activation": activation}
    dataset = {"builtin": "iris", "preprocess": {"scale": scale}}
    assert train(spec(model, dataset, epochs=40, learningRate=0.01, batchSize=8)).metrics["accuracy"] >= 0.9


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_each_optimizer_lowers_the_loss(optimizer: str) -> None:
    few = train(spec(optimizer=optimizer, learningRate=0.01, weightDecay=0.01, epochs=1))
    many = train(spec(optimizer=optimizer, learningRate=0.01, weightDecay=0.01, epochs=15))
    assert many.metrics["loss"] < 0.9 * few.metrics["loss"]


def test_momentum_and_weight_decay_make_a_difference() -> None:
    jobs = (
        spec(optimizer="sgd"),
        spec(optimizer="sgd", momentum=0.9),
        spec(optimizer="sgd", weightDecay=0.1),
    )
    assert len({train(job).metrics["loss"] for job in jobs}) == 3


def test_a_linear_model_reaches_ordinary_least_squares() -> None:
    # 0.00998 is the mean squared error of numpy's lstsq on this very split; the noise has variance 0.01.
    dataset = {"builtin": "synthetic-regression", "synthetic": {"samples": 1000, "coefficients": [3, 2]}}
    result = train(spec({"type": "linear"}, dataset, epochs=100, optimizer="sgd", learningRate=0.01))
    assert result.metrics["mse"] == pytest.approx(0.00998, rel=0.03)


def test_a_target_that_no_feature_explains_is_not_learned() -> None:
    result = train(
        spec({"type": "mlp", "hiddenLayers": [10]}, {"builtin": "synthetic-regression"}, epochs=100)
    )
    assert result.metrics["r2"] < 0.1
    assert "accuracy" not in result.metrics


def test_without_a_validation_part_none_is_reported() -> None:
    result = train(spec(dataset={"builtin": "iris", "split": {"validation": 0}}))
    assert list(result.metrics) == ["accuracy", *MACRO, "loss", "trainLoss"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_same_seed_gives_the_same_metrics_to_the_last_bit(ranks: int) -> None:
    repeated = spec({"type": "cnn", "channels": [4, 8], "dropout": 0.3}, DIGITS, seed=5)
    assert train(repeated, ranks).metrics == train(repeated, ranks).metrics


def test_another_seed_gives_another_result() -> None:
    assert train(spec(seed=1)).metrics["loss"] != train(spec(seed=2)).metrics["loss"]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize(
    ("model", "dataset"),
    [({"type": "mlp"}, {"builtin": "iris"}), ({"type": "cnn"}, DIGITS), ({"type": "linear"}, LINE)],
    ids=["mlp", "cnn", "linear"],
)
def test_the_number_of_ranks_does_not_change_the_result(
    model: dict[str, Any], dataset: dict[str, Any], ranks: int
) -> None:
    # Batches of 10 and a rest: ranks get unequal shares, in some steps with three ranks none at all.
    job = spec(model, dataset, epochs=3, batchSize=10, learningRate=0.001)
    one, several = train(job), train(job, ranks)
    assert several.world_size == ranks
    assert several.metrics == pytest.approx(one.metrics, rel=1e-3, abs=1e-4)


def test_a_rank_without_a_sample_in_a_step_still_takes_it() -> None:
    dataset = {"builtin": "digits", "split": {"test": 0.9, "validation": 0}}  # 180 for training: 179 and 1
    job = spec({"type": "cnn", "channels": [4]}, dataset, batchSize=179)
    assert train(job).samples["train"] == 180
    assert train(job, 3).metrics == pytest.approx(train(job).metrics, rel=1e-3, abs=1e-4)
