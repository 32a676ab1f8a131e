"""Networks from their description: built with fresh weights, then perhaps with given ones, some of them fixed."""

from collections.abc import Sequence

from torch import nn

from loadstar_trainer.models import convolutional, dense, transformer
from loadstar_trainer.spec import Model
from loadstar_trainer.spec.tasks import LANGUAGE


def build(model: Model, task: str, sample_shape: Sequence[int], outputs: int) -> nn.Module:
    """A network with fresh weights, for samples of this shape.

    Its output is `outputs` raw scores (or one number) per sample; of a language, so many per byte.
    """
    if model.type == "cnn":
        return convolutional.build(model, sample_shape, outputs)
    if model.type != "transformer":
        return dense.build(model, sample_shape, outputs)
    if task == LANGUAGE:
        return transformer.Language(model)
    if model.context_length:
        return transformer.TextEncoder(model, outputs)
    return transformer.ColumnEncoder(model, sample_shape, outputs)
