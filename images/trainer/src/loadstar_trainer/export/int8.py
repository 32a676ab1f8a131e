"""Dynamic quantisation: weights of linear layers as 8-bit integers, activations scaled batch by batch. CPU only."""

import copy
import warnings

import torch
from torch import nn


class OnCpu(nn.Module):  # type: ignore[misc]
    """A model that stays on the CPU, for batches that may lie elsewhere."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.model(features.cpu())
        return scores.to(features.device)


def quantized(model: nn.Module) -> nn.Module:
    """A copy with its linear layers quantised; other layers keep their weights."""
    if torch.backends.quantized.engine == "none":
        torch.backends.quantized.engine = torch.backends.quantized.supported_engines[-1]
    with warnings.catch_warnings():
        # torch.ao moves to a package of its own in later versions, and says so.
        warnings.simplefilter("ignore", DeprecationWarning)
        small: nn.Module = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(copy.deepcopy(model)), {nn.Linear}, dtype=torch.qint8
        )
    return small


def integer_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Of a quantised layer `weight` (int8), `scale` and `zero_point`: its weight is (weight - zero_point) · scale.

    Per layer, or per row where the engine quantises so. Biases and all other layers are as they were.
    """
    tensors: dict[str, torch.Tensor] = {}
    for path, module in model[0].named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, torch.ao.nn.quantized.dynamic.Linear):
            weight = module.weight()
            per_row = weight.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams)
            scale = weight.q_per_channel_scales() if per_row else torch.tensor(weight.q_scale())
            zero = weight.q_per_channel_zero_points() if per_row else torch.tensor(weight.q_zero_point())
            tensors[f"{prefix}weight"] = weight.int_repr().contiguous()
            tensors[f"{prefix}scale"], tensors[f"{prefix}zero_point"] = scale.float(), zero.long()
            if module.bias() is not None:
                tensors[f"{prefix}bias"] = module.bias().detach().clone()
            continue
        own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
        tensors |= {f"{prefix}{name}": value.detach().clone() for name, value in own.items()}
    return tensors
