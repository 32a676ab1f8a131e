"""From a spec to a result: data, model, training, test."""

import time

import torch

from loadstar_trainer import data as datasets
from loadstar_trainer import models
from loadstar_trainer.callbacks import Callback, Log
from loadstar_trainer.environment import Ranks
from loadstar_trainer.evaluate import Part
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.record import Result
from loadstar_trainer.spec import Spec
from loadstar_trainer.train import Trainer


def run(spec: Spec, ranks: Ranks, interruption: Interruption) -> Result:
    """Trains and tests in this rank as one of all; every rank returns the same result but for the time taken."""
    began = time.monotonic()
    data = datasets.prepare(spec.dataset)
    # Before the ranks meet: what the job cannot have is refused at once, by each rank for itself.
    torch.manual_seed(spec.training.seed)
    model = models.build(spec.model, data.shape, data.classes or 1)
    gang = Gang(ranks)
    torch.manual_seed(spec.training.seed + gang.rank)  # dropout: another mask in each rank
    if gang.device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    training, validation, test = (
        Part.place(samples, data.classes, gang.device)
        for samples in (data.training, data.validation, data.test)
    )
    callbacks: list[Callback] = [Log()] if gang.rank == 0 else []
    trainer = Trainer(model.to(gang.device), spec.training, gang, callbacks)
    interruption.install()
    last = trainer.train(training, validation, interruption)
    metrics = trainer.evaluate(test, "test")
    metrics |= {f"validation{name.capitalize()}": value for name, value in last.validation.items()}
    metrics["trainLoss"] = last.train_loss
    gang.close()
    return Result(
        world_size=gang.world_size,
        seed=spec.training.seed,
        data_hash=data.hash,
        device=gang.device.type,
        backend=gang.backend,
        torch=torch.__version__.partition("+")[0],
        samples=data.sizes,
        epochs=last.number,
        duration_seconds=time.monotonic() - began,
        metrics=metrics,
    )
