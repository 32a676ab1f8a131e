"""Networks from their description; the output is one raw score per class, or one number."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Model

ACTIVATIONS: dict[str, type[Any]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}


def build(model: Model, sample_shape: Sequence[int], outputs: int) -> nn.Module:
    """A network with fresh weights, for samples of this shape."""
    if model.type == "cnn":
        return _cnn(model, sample_shape, outputs)
    inputs = 1
    for length in sample_shape:
        inputs *= length
    return _dense(model, inputs, outputs)


def _dense(model: Model, inputs: int, outputs: int) -> nn.Module:
    """linear is the case without hidden layers."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in model.hidden_layers:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[model.activation](), nn.Dropout(model.dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _cnn(model: Model, sample_shape: Sequence[int], outputs: int) -> nn.Module:
    """Blocks of convolution, activation and pooling, each halving the image; then one linear layer."""
    depth, height, width = sample_shape
    most = min(height, width).bit_length() - 1
    if len(model.channels) > most:
        raise Refused(
            "InvalidModel",
            f"model.channels has {len(model.channels)} layers, and each halves the image of {height}×{width}; "
            f"give at most {most}.",
        )
    layers: list[nn.Module] = []
    for channels in model.channels:
        layers += [
            nn.Conv2d(depth, channels, kernel_size=3, padding=1),
            ACTIVATIONS[model.activation](),
            nn.MaxPool2d(2),
        ]
        depth, height, width = channels, height // 2, width // 2
    head = [nn.Flatten(), nn.Dropout(model.dropout), nn.Linear(depth * height * width, outputs)]
    return nn.Sequential(*layers, *head)
