"""How gradients become new weights: penalties, clipping, the learning rate and the step itself."""

from collections.abc import Callable

import torch
from torch import nn

from loadstar_trainer.schedule import Rates
from loadstar_trainer.spec import Training


class Updater:
    """One update of the weights from the gradients that are there, which are gone afterwards."""

    def __init__(
        self, model: nn.Module, training: Training, rates: Rates, scaler: torch.amp.GradScaler | None
    ) -> None:
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # Weights, not biases and scales: those shift outputs, and a penalty on them only misplaces them.
        self._penalised = [parameter for parameter in self._parameters if parameter.ndim > 1]
        self._training = training
        self._rates = rates
        self._scaler = scaler
        self._between = bool(training.l1 or training.l2 or training.gradient_clip_norm)
        self.optimizer = optimizer(self._parameters, training)
        self._step = quick_step(self.optimizer)

    def update(self, number: int) -> None:
        """`number` counts updates from 0."""
        if not self._rates.constant:
            for group in self.optimizer.param_groups:
                group["lr"] = self._rates.at(number)
        if self._scaler is None:
            if self._between:
                self._adjust()
            self._step()
        else:
            self._scaler.unscale_(self.optimizer)
            self._adjust()
            self._scaler.step(self.optimizer)
            self._scaler.update()
        for parameter in self._parameters:
            parameter.grad = None

    def _adjust(self) -> None:
        self._penalise()
        if self._training.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._training.gradient_clip_norm)

    def _penalise(self) -> None:
        """Adds the gradient of l1 · Σ|w| + l2 · Σw², which is cheaper than having it in the loss."""
        l1, l2 = self._training.l1, self._training.l2
        for weight in self._penalised if l1 or l2 else ():
            gradient, values = weight.grad, weight.detach()
            assert gradient is not None
            if l1:
                gradient.add_(values.sign(), alpha=l1)
            if l2:
                gradient.add_(values, alpha=2 * l2)


def quick_step(of: torch.optim.Optimizer) -> Callable[[], None]:
    """The optimizer's step without its wrappers, which serve hooks and profilers.

    They also import PyTorch's compiler, for half as long as all of PyTorch takes to start.
    """
    step = type(of).step
    while hasattr(step, "__wrapped__"):
        step = step.__wrapped__

    def take() -> None:
        with torch.no_grad():
            step(of)

    return take


def optimizer(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """One kernel for all parameters where PyTorch has it: for small models the step is most of the work.

    Not for sharded ones, which not all of these kernels take.
    """
    fused = True if training.strategy == "ddp" else None
    _keep_compiler_out()
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=training.momentum, weight_decay=decay, fused=fused)
    if training.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, weight_decay=decay, foreach=fused)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    return kind(parameters, rate, weight_decay=decay, fused=fused)


def _keep_compiler_out() -> None:
    """Marks what an optimizer's making calls as seen by the compiler: else its first call imports that, too."""
    method = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None)
    if method is not None and not hasattr(method, "__dynamo_disable"):
        vars(method)["__dynamo_disable"] = method
