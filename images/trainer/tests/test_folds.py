"""Cross-validation and the importance of columns."""

import json
import math
from typing import Any

import pytest
from pods import make_spec
from worlds import train

from loadstar_trainer.folds import added, spread
from loadstar_trainer.spec import Spec, parse


def spec(evaluation: dict[str, Any], dataset: dict[str, Any] | None = None, **training: Any) -> Spec:
    return parse(json.dumps(make_spec({"type": "mlp"}, dataset, **training) | {"evaluation": evaluation}))


def test_metrics_become_mean_and_sample_deviation() -> None:
    folds = [{"accuracy": 0.8, "auroc": 0.9}, {"accuracy": 0.9, "auroc": 0.95}, {"accuracy": 1.0}]
    metrics = spread(folds)
    assert list(metrics) == ["accuracy", "accuracyStd"]  # a metric that a fold lacks has no mean
    assert metrics == pytest.approx({"accuracy": 0.9, "accuracyStd": 0.1})


def test_confusion_matrices_add_up() -> None:
    assert added([[[1, 2], [3, 4]], [[10, 0], [0, 10]]]) == [[11, 2], [3, 14]]
    assert added([[], []]) == []


@pytest.mark.parametrize("ranks", [1, 2])
def test_each_sample_is_tested_once_over_all_folds(ranks: int) -> None:
    result = train(spec({"crossValidation": {"folds": 3}}, epochs=8, learningRate=0.01), ranks)
    assert [sum(row) for row in result.extras.confusion] == [50, 50, 50]
    right = sum(result.extras.confusion[i][i] for i in range(3))
    assert result.metrics["accuracy"] == pytest.approx(right / 150)
    assert result.metrics["accuracyStd"] > 0
    assert result.extras.folds == 3


def test_the_columns_that_a_target_goes_by_are_important() -> None:
    line = {
        "builtin": "synthetic-regression",
        "synthetic": {"samples": 300, "features": 3, "coefficients": [3, 0, 1]},
    }
    job = spec({"featureImportance": {"repeats": 3}}, line, epochs=30, learningRate=0.01)
    importance = dict(train(job).extras.importance)
    assert importance["0"] > importance["2"] > 0.05
    assert math.isclose(importance["1"], 0, abs_tol=0.02)
    assert dict(train(job, 2).extras.importance) == pytest.approx(importance, abs=1e-3)
