"""From a run's end to an exported model: what is gathered from all ranks, measured by all, and written by rank 0."""

import dataclasses
from typing import Any

import torch
from torch import nn

from loadstar_trainer import models
from loadstar_trainer.checkpoint import tensors as states
from loadstar_trainer.checkpoint.identity import spec_hash
from loadstar_trainer.data import Data
from loadstar_trainer.environment import Identity
from loadstar_trainer.evaluate import Evaluator
from loadstar_trainer.export.files import Trained, export
from loadstar_trainer.export.int8 import OnCpu, quantized
from loadstar_trainer.gang import Gang
from loadstar_trainer.losses import Objective
from loadstar_trainer.parts import Part, place
from loadstar_trainer.precision import Precision
from loadstar_trainer.record import Exported
from loadstar_trainer.spec import Spec


def export_trained(
    spec: Spec, data: Data, model: nn.Module, gang: Gang, identity: Identity
) -> Exported | None:
    """Called by all ranks where the spec asks for an export; what was written is known to rank 0."""
    assert spec.export is not None
    objective = Objective.of(data.task, spec.training.loss, data.classes)
    plain = models.build(spec.model, data.task, data.shape, objective.outputs)
    plain.load_state_dict(states.of_model(model))
    plain.eval()
    test = place(data.test, data, spec.training, gang)
    small = quantized(plain) if spec.export.quantize else None
    accuracy = _accuracy(small, test, objective, spec, gang) if small is not None else None
    if gang.rank != 0:
        return None
    features = next(test.in_order())[0]
    example = torch.zeros((2, *features.shape[1:]), dtype=features.dtype)
    trained = Trained(
        plain, example, describe(spec, data, objective, example), spec_hash(spec, data.hash), small, accuracy
    )
    return export(trained, spec.export, identity)


def describe(spec: Spec, data: Data, objective: Objective, example: torch.Tensor) -> dict[str, Any]:
    """model.json: with the weights, all that it takes to use the model on new samples."""
    scaling = data.scaling
    return {
        "version": 1,
        "architecture": _architecture(spec),
        "input": {"shape": ["batch", *example.shape[1:]], "type": str(example.dtype).removeprefix("torch.")},
        "output": {"size": objective.outputs, "task": data.task, "loss": objective.loss},
        "classes": list(data.labels),
        "columns": [dataclasses.asdict(column) for column in data.columns],
        # Features are (raw - shift) / width, by column or, of images, by channel.
        "preprocess": None
        if scaling is None
        else {"shift": scaling.shift.ravel().tolist(), "width": scaling.width.ravel().tolist()},
        "dataHash": data.hash,
    }


def _architecture(spec: Spec) -> dict[str, Any]:
    """The fields of spec.model that say what the network is made of, by their names there."""
    unused: tuple[Any, ...] = (None, (), 0)
    fields = dataclasses.asdict(spec.model)
    for name in ("initial_weights", "freeze"):
        del fields[name]
    return {_camel(name): value for name, value in fields.items() if value not in unused}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _accuracy(small: nn.Module, test: Part, objective: Objective, spec: Spec, gang: Gang) -> float | None:
    """On the test part, as the original's is measured; None where the task has none. A collective."""
    plain = dataclasses.replace(spec.training, precision="fp32")
    evaluator = Evaluator(OnCpu(small), objective, Precision(plain, gang.device), gang)
    return evaluator.measure(test, ("accuracy",)).metrics.get("accuracy")
