"""Transfer learning: weights taken from a file, and parameters that stay as they are."""

from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import nn

from loadstar_trainer.failures import Refused

SHOWN = 20  # names in a message


def load(model: nn.Module, path: Path) -> int:
    """Takes over every tensor whose name and shape the model has, and says how many; Refused where there is none.

    `path` is a safetensors file, or a folder: with model.safetensors in it (a checkpoint or an exported model),
    else below it, where the newest counts.
    """
    from safetensors import SafetensorError, safe_open

    own = model.state_dict()
    file = _file(path)
    try:
        with safe_open(file, framework="pt") as tensors:
            fitting = [
                name
                for name in tensors.keys()  # noqa: SIM118 (no mapping)
                if name in own and tuple(tensors.get_slice(name).get_shape()) == tuple(own[name].shape)
            ]
            with torch.no_grad():
                for name in fitting:
                    own[name].copy_(tensors.get_tensor(name))
    except (OSError, SafetensorError) as error:
        raise _refused(
            f"{file} cannot be read as safetensors ({error}); give a file that a job exported"
        ) from None
    if not fitting:
        raise _refused(
            f"{file} has no tensor whose name and shape the model has; the model's are {_listed(model)}"
        )
    return len(fitting)


def freeze(model: nn.Module, patterns: tuple[str, ...]) -> None:
    """Fixes the parameters whose names match a shell pattern; Refused where one matches none, or none is left."""
    for pattern in patterns:
        matched = [p for name, p in model.named_parameters() if fnmatchcase(name, pattern)]
        if not matched:
            message = f"model.freeze: {pattern} matches no parameter; the parameters are {_listed(model)}."
            raise Refused("InvalidModel", message)
        for parameter in matched:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise Refused("InvalidModel", "model.freeze leaves no parameter to train; remove a pattern.")


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(
        path.glob("**/model.safetensors"), key=lambda file: (len(file.parts), -file.stat().st_mtime)
    )
    if not found:
        raise _refused(f"the folder {path} has no model.safetensors in it; give the path of one")
    return found[0]


def _refused(clause: str) -> Refused:
    return Refused("InvalidModel", f"model.initialWeights: {clause}.")


def _listed(model: nn.Module) -> str:
    names = [name for name, _ in model.named_parameters()]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
