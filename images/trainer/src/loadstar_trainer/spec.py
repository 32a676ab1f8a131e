"""The part of a TrainingJob's spec that the trainer acts on: {"model", "dataset", "training"}, parsed once.

`parse` takes JSON text, refuses whatever it does not know, and names every bad field in one message.
"""

import json
from dataclasses import dataclass
from typing import Any

from loadstar_trainer.failures import Refused
from loadstar_trainer.fields import Range, Section

CLASSIFICATION = ("iris", "digits", "breast-cancer", "wine")
REGRESSION = ("synthetic-regression",)
IMAGES = ("digits",)
SHARE = Range(0, 1, high_open=True)
SEEDS = 2**32 - 1  # what every random generator in use accepts


@dataclass(frozen=True)
class Model:
    """The network; widths that its type has no use for are empty."""

    type: str
    hidden_layers: tuple[int, ...]
    channels: tuple[int, ...]
    activation: str
    dropout: float


@dataclass(frozen=True)
class Synthetic:
    """A regression problem to draw: a linear target with noise, or a uniform one that no feature explains."""

    samples: int = 100
    features: int = 2
    coefficients: tuple[float, ...] | None = None
    noise: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """Shares of all samples, each in [0, 1); training gets the rest."""

    validation: float
    test: float
    seed: int


@dataclass(frozen=True)
class Dataset:
    builtin: str
    synthetic: Synthetic | None
    scale: str
    split: Split

    @property
    def is_classification(self) -> bool:
        return self.builtin in CLASSIFICATION


@dataclass(frozen=True)
class Training:
    """`batch_size` counts samples of one step over all ranks together."""

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str
    momentum: float
    weight_decay: float
    seed: int


@dataclass(frozen=True)
class Spec:
    model: Model
    dataset: Dataset
    training: Training


def parse(text: str) -> Spec:
    """Refused, reason InvalidSpec, with one clause per bad field."""
    problems: list[str] = []
    root = Section("", _decoded(text), problems)
    dataset = _dataset(root.section("dataset"))
    spec = Spec(_model(root.section("model"), dataset), dataset, _training(root.section("training")))
    root.close()
    if problems:
        raise Refused("InvalidSpec", "; ".join(problems) + ".")
    return spec


def _decoded(text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise Refused("InvalidSpec", f"LOADSTAR_SPEC is not JSON ({error}); give one JSON object.") from None


def _model(section: Section, dataset: Dataset) -> Model:
    kind = section.choice("type", ("linear", "mlp", "cnn"), None)
    hidden_layers: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    activation = "relu"
    if kind == "mlp":
        hidden_layers = section.wholes("hiddenLayers", 65536, 32, (64, 64))
    else:
        section.forbid("hiddenLayers", "model.type mlp")
    if kind == "cnn":
        channels = section.wholes("channels", 4096, 8, (32, 64))
        if dataset.builtin and dataset.builtin not in IMAGES:
            section.problems.append(
                f"model.type is cnn, but dataset.builtin {dataset.builtin} holds no images; "
                f"choose model.type mlp, or dataset.builtin {', '.join(IMAGES)}"
            )
    else:
        section.forbid("channels", "model.type cnn")
    if kind == "linear":
        section.forbid("activation", "model.type mlp or cnn")
    else:
        activation = section.choice("activation", ("relu", "tanh", "sigmoid", "gelu"), "relu")
    dropout = section.number("dropout", SHARE, 0.0)
    if dropout and kind == "linear":
        section.forbid("dropout", "model.type mlp or cnn")
    section.close()
    return Model(kind, hidden_layers, channels, activation, dropout)


def _dataset(section: Section) -> Dataset:
    builtin = section.choice("builtin", CLASSIFICATION + REGRESSION, None)
    synthetic = None
    if builtin in REGRESSION:
        synthetic = _synthetic(section.section("synthetic"))
    else:
        section.forbid("synthetic", "dataset.builtin synthetic-regression")
    preprocess = section.section("preprocess")
    scale = preprocess.choice("scale", ("standard", "minmax", "none"), "standard")
    preprocess.close()
    split = _split(section.section("split"))
    section.close()
    return Dataset(builtin, synthetic, scale, split)


def _synthetic(section: Section) -> Synthetic:
    synthetic = Synthetic(
        section.whole("samples", 10, 1_000_000, 100),
        section.whole("features", 1, 1024, 2),
        section.numbers("coefficients", Range(-1e6, 1e6), 1024),
        section.number("noise", Range(0, 1e6), 0.1),
        section.whole("seed", 0, SEEDS, 0),
    )
    given = synthetic.coefficients
    if given is not None and len(given) != synthetic.features:
        section.problems.append(
            f"{section.path}.coefficients has {len(given)} numbers for {synthetic.features} features; "
            "give one for each feature"
        )
    section.close()
    return synthetic


def _split(section: Section) -> Split:
    split = Split(
        section.number("validation", SHARE, 0.1),
        section.number("test", Range(0, 1, low_open=True, high_open=True), 0.2),
        section.whole("seed", 0, SEEDS, 0),
    )
    if split.validation + split.test >= 1:
        section.problems.append(
            f"{section.path}.validation and {section.path}.test add up to "
            f"{split.validation + split.test:g}; together they must leave a part for training"
        )
    section.close()
    return split


def _training(section: Section) -> Training:
    optimizer = section.choice("optimizer", ("adam", "sgd", "adamw", "rmsprop"), "adam")
    momentum = 0.0
    if optimizer == "sgd":
        momentum = section.number("momentum", SHARE, 0.0)
    else:
        section.forbid("momentum", "training.optimizer sgd")
    training = Training(
        section.whole("epochs", 1, 100_000, 10),
        section.whole("batchSize", 1, 1_048_576, 32),
        section.number("learningRate", Range(0, 10, low_open=True), 0.001),
        optimizer,
        momentum,
        section.number("weightDecay", Range(0, 10), 0.0),
        section.whole("seed", 0, SEEDS, 0),
    )
    section.close()
    return training
