"""A model as the loop calls it: compiled and spread over the ranks as training asks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from loadstar_trainer.failures import Refused
from loadstar_trainer.gang import Gang
from loadstar_trainer.spec import Training


class Network:
    """`model` is bare and has the weights; `forward` is what a training step calls.

    Gradients come out averaged over ranks, weights are those of rank 0 from the start.
    """

    def __init__(self, model: nn.Module, training: Training, gang: Gang) -> None:
        self.gang = gang
        self.sharded = training.strategy == "fsdp"
        if self.sharded:
            require_sharding(gang.device)
            shard(model, gang)
        self.model = model.to(gang.device)
        self.forward: nn.Module = self.model
        self._joined: DistributedDataParallel | None = None

    def compile(self, example: torch.Tensor) -> None:
        """Compiles if this machine can, else says that it cannot and goes on without."""
        compiled = torch.compile(self.model)
        try:
            compiled(example).sum().backward()
        except Exception as error:  # the compiler's own zoo
            if self.gang.rank == 0:
                cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                print(f"Warning: training.compile has no effect: {cause}", file=sys.stderr, flush=True)
        else:
            self.forward = compiled
        self.model.zero_grad()

    def join(self) -> None:
        """Last of all: nothing may change the model's parameters afterwards."""
        if self.gang.world_size > 1 and not self.sharded:
            self.forward = self._joined = self.gang.wrap(self.forward)

    @contextmanager
    def gradients_stay(self) -> Iterator[None]:
        """Within, gradients add up in each rank; the first backward pass outside averages them over ranks."""
        if self._joined is not None:
            with self._joined.no_sync():
                yield
        elif self.sharded:
            self.model.set_requires_gradient_sync(False)
            yield
            self.model.set_requires_gradient_sync(True)
        else:
            yield


def require_sharding(device: torch.device) -> None:
    if device.type != "cuda":
        raise Refused(
            "InvalidTraining",
            "training.strategy is fsdp, which needs GPUs, and this rank runs on a CPU; "
            "give ddp, or GPUs in trainer.resourcesPerNode.",
        )


def shard(model: nn.Module, gang: Gang) -> None:
    """Spreads the parameters over the ranks: block by block, so that none ever has the whole model on its device."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(gang.device.type, (gang.world_size,))
    for block in getattr(model, "blocks", ()):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
