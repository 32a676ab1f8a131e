"""The trainer's reading of LOADSTAR_SPEC."""

import json
from typing import Any

import pytest

from loadstar_trainer.failures import EXIT_REFUSED, Refused
from loadstar_trainer.spec import Model, Spec, Split, Synthetic, parse


def make_spec(**sections: Any) -> dict[str, Any]:
    return {"model": {"type": "mlp"}, "dataset": {"builtin": "iris"}, **sections}


def parsed(**sections: Any) -> Spec:
    return parse(json.dumps(make_spec(**sections)))


def refusal(**sections: Any) -> str:
    with pytest.raises(Refused) as caught:
        parsed(**sections)
    assert caught.value.reason == "InvalidSpec"
    assert caught.value.exit_code == EXIT_REFUSED
    return str(caught.value)


def test_a_spec_with_only_the_required_fields_gets_the_defaults() -> None:
    spec = parsed()
    assert spec.model == Model("mlp", (64, 64), (), "relu", 0.0)
    assert spec.dataset.split == Split(0.1, 0.2, 0)
    assert spec.dataset.scale == "standard"
    assert (spec.training.epochs, spec.training.batch_size, spec.training.learning_rate) == (10, 32, 0.001)
    assert (spec.training.optimizer, spec.training.momentum, spec.training.seed) == ("adam", 0.0, 0)


def test_every_field_is_read() -> None:
    spec = parsed(
        model={"type": "mlp", "hiddenLayers": [10], "activation": "tanh", "dropout": 0.5},
        dataset={
            "builtin": "synthetic-regression",
            "synthetic": {"samples": 50, "features": 3, "coefficients": [1, 2.5, -3], "noise": 0, "seed": 7},
            "preprocess": {"scale": "minmax"},
            "split": {"validation": 0, "test": 0.3, "seed": 5},
        },
        training={
            "epochs": 3,
            "batchSize": 8,
            "learningRate": 1,
            "optimizer": "sgd",
            "momentum": 0.9,
            "weightDecay": 0.01,
            "seed": 4,
        },
    )
    assert spec.model == Model("mlp", (10,), (), "tanh", 0.5)
    assert spec.dataset.synthetic == Synthetic(50, 3, (1.0, 2.5, -3.0), 0.0, 7)
    assert (spec.dataset.scale, spec.dataset.split) == ("minmax", Split(0.0, 0.3, 5))
    assert (spec.training.optimizer, spec.training.momentum, spec.training.weight_decay) == ("sgd", 0.9, 0.01)


def test_null_means_left_out() -> None:
    assert parsed(model={"type": "linear", "hiddenLayers": None, "activation": None}) == parsed(
        model={"type": "linear"}
    )


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"model": {}}, "model.type is missing; give one of linear, mlp, cnn"),
    ({"model": {"type": "forest"}}, 'model.type is "forest"; give one of linear'),
    ({"model": {"type": "mlp", "hiddenLayers": []}}, "model.hiddenLayers is []; give a list of 1 to 32"),
    ({"model": {"type": "mlp", "hiddenLayers": [64, 0]}}, "model.hiddenLayers is [64, 0]"),
    ({"model": {"type": "mlp", "hiddenLayers": [True]}}, "model.hiddenLayers is [true]"),
    ({"model": {"type": "linear", "hiddenLayers": [4]}}, "model.hiddenLayers only goes with model.type mlp"),
    ({"model": {"type": "mlp", "channels": [4]}}, "model.channels only goes with model.type cnn"),
    ({"model": {"type": "mlp", "activation": "step"}}, 'model.activation is "step"; give one of relu'),
    ({"model": {"type": "linear", "activation": "relu"}}, "model.activation only goes with"),
    ({"model": {"type": "mlp", "dropout": 1}}, "model.dropout is 1; give a number at least 0 and below 1"),
    (
        {"model": {"type": "linear", "dropout": 0.5}},
        "model.dropout only goes with model.type mlp, cnn or transformer",
    ),
    ({"model": {"type": "cnn"}}, "model.type is cnn, but dataset.builtin iris holds no images"),
    (
        {"model": {"type": "cnn", "hiddenLayers": [4]}, "dataset": {"builtin": "digits"}},
        "model.hiddenLayers only",
    ),
    ({"model": {"type": "MLP", "hiddenLayers": [4]}}, 'model.type is "MLP"'),
    ({"model": {"type": "cnn"}, "dataset": {"builtin": "MNIST"}}, 'dataset.builtin is "MNIST"'),
    ({"model": "mlp"}, 'model is "mlp"; give an object'),
    ({"dataset": {}}, "dataset.builtin is missing; give one of iris, digits"),
    ({"dataset": {"builtin": "mnist"}}, 'dataset.builtin is "mnist"'),
    ({"dataset": {"builtin": "iris", "synthetic": {}}}, "dataset.synthetic only goes with"),
    ({"dataset": {"builtin": "iris", "preprocess": {"scale": "log"}}}, 'dataset.preprocess.scale is "log"'),
    (
        {"dataset": {"builtin": "iris", "split": {"test": 0}}},
        "dataset.split.test is 0; give a number above 0",
    ),
    ({"dataset": {"builtin": "iris", "split": {"validation": -0.1}}}, "dataset.split.validation is -0.1"),
    (
        {"dataset": {"builtin": "iris", "split": {"validation": 0.5, "test": 0.5}}},
        "leave a part for training",
    ),
    ({"training": {"epochs": 0}}, "training.epochs is 0; give a whole number from 1 to 100000"),
    ({"training": {"epochs": 2.5}}, "training.epochs is 2.5; give a whole number"),
    ({"training": {"epochs": True}}, "training.epochs is true"),
    ({"training": {"batchSize": 0}}, "training.batchSize is 0"),
    ({"training": {"learningRate": -1}}, "training.learningRate is -1; give a number above 0 and at most 10"),
    ({"training": {"learningRate": "0.1"}}, 'training.learningRate is "0.1"'),
    ({"training": {"optimizer": "lion"}}, 'training.optimizer is "lion"; give one of adam, sgd'),
    ({"training": {"momentum": 0.9}}, "training.momentum only goes with training.optimizer sgd"),
    ({"training": {"optimizer": "sgd", "momentum": 1}}, "training.momentum is 1"),
    ({"training": {"weightDecay": -0.1}}, "training.weightDecay is -0.1"),
    ({"training": {"seed": -1}}, "training.seed is -1"),
    ({"training": {"lr": 1}}, "training.lr is unknown; the fields here are batchSize, compile, epochs"),
    ({"extra": 1}, "extra is unknown; the fields here are dataset, evaluation, model, training"),
]
BAD_SYNTHETIC: list[tuple[dict[str, Any], str]] = [
    ({"samples": 9}, "dataset.synthetic.samples is 9; give a whole number from 10"),
    ({"features": 0}, "dataset.synthetic.features is 0"),
    ({"coefficients": [1]}, "dataset.synthetic.coefficients has 1 numbers for 2 features"),
    ({"coefficients": [1, "2"]}, 'dataset.synthetic.coefficients is [1, "2"]; give a list of'),
    ({"coefficients": []}, "dataset.synthetic.coefficients is []"),
    ({"noise": -1}, "dataset.synthetic.noise is -1"),
    ({"seed": 2**32}, "dataset.synthetic.seed is 4294967296"),
]


@pytest.mark.parametrize(("sections", "sentence"), BAD_FIELDS, ids=[s[:50] for _, s in BAD_FIELDS])
def test_a_bad_field_is_named_with_what_to_change(sections: dict[str, Any], sentence: str) -> None:
    message = refusal(**sections)
    assert sentence in message
    assert message.count(";") == 1  # this one problem, and nothing that follows from it


@pytest.mark.parametrize(("synthetic", "sentence"), BAD_SYNTHETIC, ids=[s[18:50] for _, s in BAD_SYNTHETIC])
def test_a_bad_synthetic_field_is_named_with_what_to_change(synthetic: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(dataset={"builtin": "synthetic-regression", "synthetic": synthetic})


def test_all_bad_fields_are_named_at_once() -> None:
    message = refusal(model={"type": "mlp", "dropout": 2}, training={"epochs": 0, "seed": -1})
    assert [name in message for name in ("model.dropout", "training.epochs", "training.seed")] == [True] * 3


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"training": {"learningRate": NaN}}'])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="LOADSTAR_SPEC is not JSON"):
        parse(text)


@pytest.mark.parametrize("text", ["[]", "null", "3"])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="the spec is"):
        parse(text)
