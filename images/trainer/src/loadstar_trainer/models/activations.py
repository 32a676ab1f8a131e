"""Activations by their names in the spec."""

from typing import Any

from torch import nn

ACTIVATIONS: dict[str, type[Any]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}
