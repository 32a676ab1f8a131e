"""The number format of the forward pass: fp32, or bf16 and fp16 where autocast deems them safe."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Training

FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """`autocast` is the context of a forward pass; `scaler` keeps fp16 gradients from vanishing."""

    def __init__(self, training: Training, device: torch.device) -> None:
        """Refused where the device cannot do it."""
        self._dtype = FORMATS.get(training.precision)
        self._device = device.type
        self.scaler: torch.amp.GradScaler | None = None
        if training.precision == "fp16":
            _require_fp16(training, device)
            self.scaler = torch.amp.GradScaler(device.type)
        if training.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(False):
            raise Refused(
                "InvalidTraining", "training.precision is bf16, which this GPU lacks; give fp16 or fp32."
            )

    def autocast(self) -> AbstractContextManager[Any]:
        if self._dtype is None:
            return nullcontext()
        context: AbstractContextManager[Any] = torch.autocast(self._device, self._dtype)
        return context


def _require_fp16(training: Training, device: torch.device) -> None:
    if device.type != "cuda":
        raise Refused(
            "InvalidTraining",
            f"training.precision is fp16, which needs a GPU, and this rank runs on a {device.type.upper()}; "
            "give bf16 or fp32.",
        )
    if training.strategy == "fsdp":
        raise Refused(
            "InvalidTraining", "training.precision fp16 does not go with training.strategy fsdp; give bf16."
        )
