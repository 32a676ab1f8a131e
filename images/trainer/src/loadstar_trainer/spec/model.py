"""`model`: the network."""

from dataclasses import dataclass

from loadstar_trainer.fields import SHARE, Section
from loadstar_trainer.spec.dataset import Dataset
from loadstar_trainer.spec.tasks import IMAGES

ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu")


@dataclass(frozen=True)
class Model:
    """The network; what its type has no use for is empty or 0.

    `context_length` counts bytes. `initial_weights` is a file or a folder. `freeze` are shell patterns over
    parameter names.
    """

    type: str
    hidden_layers: tuple[int, ...]
    channels: tuple[int, ...]
    activation: str
    dropout: float
    preset: str | None = None
    layers: int = 0
    heads: int = 0
    width: int = 0
    context_length: int = 0
    initial_weights: str | None = None
    freeze: tuple[str, ...] = ()


def read_model(section: Section, dataset: Dataset) -> Model:
    kind = section.choice("type", ("linear", "mlp", "cnn", "transformer"), None)
    hidden_layers: tuple[int, ...] = ()
    if kind == "mlp":
        hidden_layers = section.wholes("hiddenLayers", 65536, 32, (64, 64))
    else:
        section.forbid("hiddenLayers", "model.type mlp")
    preset, channels = _convolutions(section, dataset, kind)
    layers, heads, width, context_length = _transformer(section, dataset, kind)
    if dataset.is_text and kind in ("linear", "mlp", "cnn"):
        section.problems.append(f"model.type is {kind}, but the data are text; choose model.type transformer")
    activation, dropout = _activation(section, kind)
    model = Model(
        kind,
        hidden_layers,
        channels,
        activation,
        dropout,
        preset,
        layers,
        heads,
        width,
        context_length,
        _initial_weights(section),
        section.texts("freeze", 64),
    )
    section.close()
    return model


def _convolutions(section: Section, dataset: Dataset, kind: str) -> tuple[str | None, tuple[int, ...]]:
    if kind != "cnn":
        section.forbid("channels", "model.type cnn")
        section.forbid("preset", "model.type cnn")
        return None, ()
    if dataset.builtin and dataset.builtin not in IMAGES:
        section.problems.append(
            f"model.type is cnn, but dataset.builtin {dataset.builtin} holds no images; "
            f"choose model.type mlp, or dataset.builtin {', '.join(IMAGES)}"
        )
    if "preset" not in section:
        return None, section.wholes("channels", 4096, 8, (32, 64))
    section.forbid("channels", "model.type cnn without a preset")
    return section.choice("preset", ("mnist",), None), (32, 64)


def _transformer(section: Section, dataset: Dataset, kind: str) -> tuple[int, int, int, int]:
    if kind != "transformer":
        for name in ("layers", "heads", "width", "contextLength"):
            section.forbid(name, "model.type transformer")
        return 0, 0, 0, 0
    layers = section.whole("layers", 1, 64, 2)
    heads = section.whole("heads", 1, 64, 4)
    width = section.whole("width", 1, 8192, 128)
    if width % heads:
        section.problems.append(
            f"model.width {width} is not a multiple of model.heads {heads}; each head takes an equal part of it"
        )
    if dataset.is_text:
        return layers, heads, width, section.whole("contextLength", 2, 65536, 128)
    section.forbid("contextLength", "dataset.format text or dataset.textColumn")
    return layers, heads, width, 0


def _activation(section: Section, kind: str) -> tuple[str, float]:
    dropout = section.number("dropout", SHARE, 0.0)
    if kind != "linear":
        return section.choice("activation", ACTIVATIONS, "gelu" if kind == "transformer" else "relu"), dropout
    section.forbid("activation", "model.type mlp, cnn or transformer")
    if dropout:
        section.forbid("dropout", "model.type mlp, cnn or transformer")
    return "relu", dropout


def _initial_weights(section: Section) -> str | None:
    if "initialWeights" not in section:
        return None
    weights = section.section("initialWeights")
    path = weights.text("path", required=True)
    weights.close()
    return path
