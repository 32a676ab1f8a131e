"""cnn: blocks of convolution, activation and pooling, then one linear layer."""

from collections.abc import Sequence

from torch import nn

from loadstar_trainer.failures import Refused
from loadstar_trainer.models.activations import ACTIVATIONS
from loadstar_trainer.spec import Model


def build(model: Model, sample_shape: Sequence[int], outputs: int) -> nn.Module:
    """Each block halves the image. The preset's convolutions have no border, as in the networks it is named after."""
    if len(sample_shape) != 3:
        raise Refused(
            "InvalidModel",
            f"model.type is cnn, but a sample is {_shown(sample_shape)} and no image; give model.type mlp, "
            "or images (channels × height × width).",
        )
    padding = 0 if model.preset == "mnist" else 1
    depth, height, width = sample_shape
    layers: list[nn.Module] = []
    for channels in model.channels:
        height, width = (height - 2 + 2 * padding) // 2, (width - 2 + 2 * padding) // 2
        layers += [
            nn.Conv2d(depth, channels, kernel_size=3, padding=padding),
            ACTIVATIONS[model.activation](),
            nn.MaxPool2d(2),
        ]
        depth = channels
    if min(height, width) < 1:
        raise _too_small(model, sample_shape)
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(model.dropout), nn.Linear(depth * height * width, outputs)
    )


def _too_small(model: Model, sample_shape: Sequence[int]) -> Refused:
    _, height, width = sample_shape
    if model.preset:
        message = (
            f"model.preset {model.preset} needs images of at least 10×10, and these are {height}×{width}; "
            "give model.channels instead."
        )
    else:
        message = (
            f"model.channels has {len(model.channels)} layers, and each halves the image of {height}×{width}; "
            f"give at most {min(height, width).bit_length() - 1}."
        )
    return Refused("InvalidModel", message)


def _shown(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "one number"
