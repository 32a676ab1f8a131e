"""How training goes: the learning rate, early stopping, accumulation, penalties, weights, precision."""

import dataclasses
import json
from typing import Any

import pytest
import torch
from pods import make_spec
from torch import nn
from worlds import train, with_gang

from loadstar_trainer.environment import Ranks
from loadstar_trainer.failures import Refused
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.losses import Objective, balanced_weights
from loadstar_trainer.network import Network
from loadstar_trainer.optimizer import Updater
from loadstar_trainer.run import run
from loadstar_trainer.schedule import Rates
from loadstar_trainer.spec import EarlyStopping, Schedule, Spec, Training, parse
from loadstar_trainer.state import Best

TRAINING = Training(4, 10, 0.1, "sgd", 0.0, 0.0, 0)
LINE = {"builtin": "synthetic-regression", "synthetic": {"samples": 200, "coefficients": [3, 2]}}


def spec(model: dict[str, Any] | None = None, dataset: dict[str, Any] | None = None, **training: Any) -> Spec:
    return parse(json.dumps(make_spec(model, dataset, **training)))


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Schedule(), [0.1] * 8),
        (Schedule("linear"), [0.1 * (7 - n) / 7 for n in range(8)]),
        (
            Schedule("cosine", min_learning_rate=0.02),
            [0.1, 0.0960, 0.0849, 0.0689, 0.0511, 0.0351, 0.0240, 0.02],
        ),
        (Schedule("step", step_epochs=2, gamma=0.5), [0.1] * 4 + [0.05] * 4),
        (Schedule("constant", warmup_epochs=2), [0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1, 0.1]),
        (Schedule("step", warmup_epochs=1, step_epochs=1), [0.05, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
        (Schedule("linear", warmup_epochs=2), [0.025, 0.05, 0.075, 0.1, 0.1, 0.0667, 0.0333, 0]),
    ],
    ids=["constant", "linear", "cosine", "step", "warm-up", "warm-up-then-step", "warm-up-then-linear"],
)
def test_the_learning_rate_follows_its_schedule(schedule: Schedule, rates: list[float]) -> None:
    of_run = Rates(dataclasses.replace(TRAINING, schedule=schedule), updates_per_epoch=2)
    assert [of_run.at(update) for update in range(8)] == pytest.approx(rates, abs=1e-4)


def updated(weight: float, gradient: float, **training: Any) -> float:
    """A weight after one step of SGD with rate 0.1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, weight)
    chosen = dataclasses.replace(TRAINING, **training)
    updater = Updater(model, chosen, Rates(chosen, 1), None)
    model.weight.grad = torch.tensor([[gradient]])
    updater.update(0)
    assert model.weight.grad is None
    return float(model.weight)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({}, -2 - 0.1 * 5),
        ({"l1": 0.5}, -2 - 0.1 * (5 - 0.5)),
        ({"l2": 0.5}, -2 - 0.1 * (5 - 2)),
        ({"gradient_clip_norm": 1.0}, -2 - 0.1),
        ({"weight_decay": 0.5}, -2 - 0.1 * (5 - 1)),
    ],
    ids=["plain", "l1", "l2", "clipped", "decay"],
)
def test_penalties_and_clipping_change_the_gradient(training: dict[str, Any], expected: float) -> None:
    assert updated(-2.0, 5.0, **training) == pytest.approx(expected, rel=1e-4)


def test_biases_are_not_penalised() -> None:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.bias, 3.0)
    chosen = dataclasses.replace(TRAINING, l1=0.5, l2=0.5)
    model.weight.grad, model.bias.grad = torch.zeros(1, 1), torch.zeros(1)
    Updater(model, chosen, Rates(chosen, 1), None).update(0)
    assert float(model.bias) == 3.0


@pytest.mark.parametrize("ranks", [1, 2])
def test_accumulated_batches_make_the_update_of_one_large_batch(ranks: int) -> None:
    # 105 samples: the last update of an epoch has fewer batches, and its last batch fewer samples.
    large = train(spec(batchSize=40, epochs=3, optimizer="sgd"))
    small = train(spec(batchSize=10, gradientAccumulation=4, epochs=3, optimizer="sgd"), ranks)
    assert small.metrics == pytest.approx(large.metrics, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "values", "best", "waited"),
    [
        ("loss", [3, 2, 2.5, 1.95, 2.2], 2, 3),
        ("accuracy", [0.5, 0.7, 0.6, 0.75, 0.7], 2, 3),
        ("accuracy", [0.5, 0.7, 0.6, 0.9], 4, 0),
    ],
)
def test_an_epoch_is_better_only_by_more_than_min_delta(
    metric: str, values: list[float], best: int, waited: int
) -> None:
    memory = Best(EarlyStopping(metric, 3, 0.1))
    for epoch, value in enumerate(values, 1):
        memory.look(epoch, value, nn.Linear(1, 1))
    assert (memory.epoch, memory.waited, memory.patience_is_over) == (best, waited, waited == 3)


@pytest.mark.parametrize("ranks", [1, 2])
def test_early_stopping_keeps_the_best_epochs_weights(ranks: int) -> None:
    # So fast that the validation loss gets worse after some epochs.
    job: dict[str, Any] = {"learningRate": 0.1, "batchSize": 16, "epochs": 40}
    stopped = train(spec(**job, earlyStopping={"metric": "loss", "patience": 3}), ranks)
    assert 4 < stopped.epochs < 40
    best = train(spec(**{**job, "epochs": stopped.epochs - 3}), ranks)
    assert stopped.metrics == best.metrics


def test_balanced_weights_let_all_classes_weigh_alike() -> None:
    weights = balanced_weights((10, 30, 60), torch.device("cpu"))
    assert [float(w) * n for w, n in zip(weights, (10, 30, 60), strict=True)] == pytest.approx([100 / 3] * 3)


@pytest.mark.parametrize("loss", ["crossEntropy", "bce"])
def test_class_weights_weigh_only_in_training(loss: str) -> None:
    objective = Objective.of("classification", loss, 2, torch.tensor([1.0, 3.0]))
    outputs, targets = torch.zeros(2, objective.outputs), torch.tensor([0, 1])
    assert float(objective(outputs, targets)) == pytest.approx(2 * 0.6931, rel=1e-3)
    assert float(objective(outputs, targets, weighted=True)) == pytest.approx(4 * 0.6931, rel=1e-3)


@pytest.mark.parametrize(("loss", "expected"), [("mse", 9.25), ("mae", 3.5), ("huber", 2.5 + 0.125)])
def test_losses_of_numbers(loss: str, expected: float) -> None:
    outputs, targets = torch.tensor([[3.0], [0.5]]), torch.tensor([[0.0], [0.0]])
    assert float(Objective.of("regression", loss, 0)(outputs, targets)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dataset", "training", "metric", "least"),
    [
        ({"builtin": "breast-cancer"}, {"loss": "bce", "classWeights": "balanced"}, "accuracy", 0.93),
        ({"builtin": "wine"}, {"precision": "bf16"}, "accuracy", 0.93),
        (LINE, {"loss": "huber"}, "r2", 0.97),
        (LINE, {"loss": "mae"}, "r2", 0.97),
    ],
    ids=["bce", "bf16", "huber", "mae"],
)
def test_each_way_to_train_learns(
    dataset: dict[str, Any], training: dict[str, Any], metric: str, least: float
) -> None:
    result = train(spec(dataset=dataset, epochs=15, learningRate=0.01, batchSize=16, **training))
    assert result.metrics[metric] >= least


def test_huber_is_reported_as_loss_since_no_metric_is_it() -> None:
    names = list(train(spec(dataset=LINE, loss="huber")).metrics)
    assert names == [
        "mse",
        "mae",
        "r2",
        "loss",
        *(f"validation{n}" for n in ("Mse", "Mae", "R2", "Loss")),
        "trainLoss",
    ]


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"precision": "fp16"}, "precision is fp16, which needs a GPU"),
        ({"strategy": "fsdp"}, "strategy is fsdp, which needs GPUs"),
    ],
)
def test_what_a_cpu_cannot_do_is_refused(training: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        run(spec(**training), Ranks(), Interruption())


def test_without_a_compiler_training_goes_on_uncompiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_compiler(_: nn.Module) -> Any:
        def call(_: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no C++ compiler was found")

        return call

    monkeypatch.setattr(torch, "compile", no_compiler)
    network = Network(nn.Linear(2, 2), TRAINING, Gang(Ranks()))
    network.compile(torch.zeros(1, 2))
    assert network.forward is network.model
    assert "training.compile has no effect: no C++ compiler was found" in capsys.readouterr().err


def test_a_lost_peer_is_told_from_other_errors() -> None:
    def reasons(gang: Gang) -> list[str]:
        told = []
        for message in ("[pair.cc:534] Connection closed by peer [::1]:4321", "shapes do not match"):
            try:
                with gang.watched():
                    raise RuntimeError(message)
            except RuntimeError:
                told.append("as it was")
            except Exception as error:
                told.append(type(error).__name__)
        return told

    assert with_gang(2, reasons) == [["PeerLost", "as it was"]] * 2
    assert with_gang(1, reasons) == [["as it was", "as it was"]]
