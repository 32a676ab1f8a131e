"""The state of a model and an optimizer as plain tensors by name, and back.

`model` is bare: neither data-parallel wrapping nor `compile` shows in its names. A sharded tensor is gathered whole. So
what is written by some number of ranks is read by any other.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from loadstar_trainer.checkpoint.manifest import Unusable

Tensors = dict[str, torch.Tensor]
# What a parameter's key in the optimizer is parted from the parameter's own name by: no name has one.
_OF = "/"


def of_model(model: nn.Module) -> Tensors:
    """Parameters and buffers, whole, on the CPU. All ranks of a sharded model must call it."""
    return {name: whole(value) for name, value in model.state_dict().items()}


def require_model(model: nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Unusable unless the saved tensors are exactly this model's, by name, shape and type."""
    own = model.state_dict()
    if unlike := own.keys() ^ saved.keys():
        raise Unusable(f"its model is another one: {min(unlike)} is on one side only")
    for name, value in own.items():
        if (value.shape, value.dtype) != (saved[name].shape, saved[name].dtype):
            raise Unusable(
                f"its model is another one: {name} is {tuple(saved[name].shape)} {saved[name].dtype}, "
                f"not {tuple(value.shape)} {value.dtype}"
            )


def like_model(model: nn.Module, saved: Mapping[str, torch.Tensor]) -> Tensors:
    """Saved tensors as the model's own ones lie: on its device, sharded where those are."""
    return {name: _like(saved[name], value).to(value.device) for name, value in model.state_dict().items()}


def into_model(model: nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Sets every parameter and buffer; `require_model` was asked before."""
    placed = like_model(model, saved)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(placed[name])


def of_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Tensors, list[dict[str, Any]]]:
    """Moments by parameter name and key, and the numbers of each parameter group."""
    names = _names(model)
    tensors: Tensors = {}
    groups: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        groups.append({key: value for key, value in group.items() if _is_number(value)})
        for parameter in group["params"]:
            for key, value in optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[f"{names[parameter]}{_OF}{key}"] = whole(torch.as_tensor(value))
    return tensors, groups


def require_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, torch.Tensor], groups: Any
) -> None:
    """Unusable unless the moments are of this model's parameters and the groups are this optimizer's."""
    shapes = {name: parameter.shape for parameter, name in _names(model).items()}
    for name, value in saved.items():
        shape = shapes.get(name.rpartition(_OF)[0])
        if shape is None or (value.dim() and value.shape != shape):
            raise Unusable(f"its optimizer's {name} is of no parameter of this model")
    if not isinstance(groups, list) or len(groups) != len(optimizer.param_groups):
        raise Unusable("its optimizer has other parameter groups")
    if not all(isinstance(group, dict) and all(map(_is_number, group.values())) for group in groups):
        raise Unusable("its optimizer's parameter groups hold something else than numbers")


def into_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    saved: Mapping[str, torch.Tensor],
    groups: list[dict[str, Any]],
) -> None:
    """Sets moments and rates; `require_optimizer` was asked before."""
    keys: dict[str, Tensors] = {}
    for name, value in saved.items():
        parameter, _, key = name.rpartition(_OF)
        keys.setdefault(parameter, {})[key] = value
    names = _names(model)
    # PyTorch numbers parameters through all groups; its own loader knows which value belongs on which device.
    document = optimizer.state_dict()
    in_order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    document["state"] = {
        number: {key: _like(value, parameter) for key, value in keys[names[parameter]].items()}
        for number, parameter in enumerate(in_order)
        if names[parameter] in keys
    }
    for group, numbers in zip(document["param_groups"], groups, strict=True):
        group.update({key: value for key, value in numbers.items() if key in group})
    optimizer.load_state_dict(document)


def whole(value: torch.Tensor) -> torch.Tensor:
    """A copy of its own on the CPU; a sharded tensor is gathered, which is a collective."""
    gathered = value.full_tensor() if hasattr(value, "full_tensor") else value
    copy: torch.Tensor = gathered.detach().to("cpu", copy=True).contiguous()
    return copy


def _like(saved: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """The tensor as the model's own one lies: sharded where that is sharded. Counters stay whole."""
    if saved.shape != own.shape or not hasattr(own, "device_mesh"):
        return saved
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(saved.to(own.device), own.device_mesh, own.placements)


def _names(model: nn.Module) -> dict[nn.Parameter, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
