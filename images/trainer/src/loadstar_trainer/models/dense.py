"""linear and mlp: fully connected layers."""

import math
from collections.abc import Sequence

from torch import nn

from loadstar_trainer.models.activations import ACTIVATIONS
from loadstar_trainer.spec import Model


def build(model: Model, sample_shape: Sequence[int], outputs: int) -> nn.Module:
    """linear is the case without hidden layers."""
    inputs = math.prod(sample_shape)
    layers: list[nn.Module] = [nn.Flatten()]
    for width in model.hidden_layers:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[model.activation](), nn.Dropout(model.dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
