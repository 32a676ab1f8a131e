"""The same job with PyTorch Lightning as its users write it, without its logger, checkpoints and progress bar."""

import logging
import time
import warnings
from typing import Any

import pytorch_lightning as lightning
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from tests.bench.trainer.inside.job import Job, Pair, Took, settle

CPU = torch.device("cpu")


class Module(lightning.LightningModule):  # type: ignore[misc]
    """A model, its loss, its optimizer."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.model, self.job, self.criterion = job.model(), job, job.loss()

    def training_step(self, batch: Pair) -> torch.Tensor:
        loss: torch.Tensor = self.criterion(self.model(batch[0]), batch[1])
        return loss

    def validation_step(self, batch: Pair) -> None:
        self._log("validation", batch)

    def test_step(self, batch: Pair) -> None:
        self._log("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.job.optimizer(self.model)

    def _log(self, part: str, batch: Pair) -> None:
        outputs = self.model(batch[0])
        self.log(f"{part}_loss", self.criterion(outputs, batch[1]))
        if self.job.classifies:
            self.log(f"{part}_accuracy", (outputs.argmax(dim=1) == batch[1]).float().mean())


class Clock(lightning.Callback):  # type: ignore[misc]
    """When the loop began and ended."""

    def on_train_start(self, *_: Any) -> None:
        settle()
        self.began = time.perf_counter()

    def on_train_end(self, *_: Any) -> None:
        settle()
        self.ended = time.perf_counter()


def train_with_lightning(job: Job) -> Took:
    """`DataLoader(dataset, batch_size, shuffle=True)`: the loader fetches sample by sample and collates them."""
    dataset = TensorDataset(*job.part("training", CPU))
    return _train(job, DataLoader(dataset, job.spec.training.batch_size, shuffle=True))


def train_with_lightning_and_whole_batches(job: Job) -> Took:
    """The loader given whole batches of indices, which few know of: what is left is Lightning's own loop."""
    dataset = TensorDataset(*job.part("training", CPU))
    batches = BatchSampler(RandomSampler(dataset), job.spec.training.batch_size, drop_last=False)
    return _train(job, DataLoader(dataset, sampler=batches, batch_size=None))


def _train(job: Job, loader: DataLoader[Any]) -> Took:
    module, clock = Module(job), Clock()
    validation, test = (
        DataLoader(TensorDataset(*part), 1024) if len(part[0]) else None
        for part in (job.part("validation", CPU), job.part("test", CPU))
    )
    began = time.perf_counter()
    trainer = lightning.Trainer(
        max_epochs=job.spec.training.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(module, loader, validation)
    trainer.test(module, test, verbose=False)
    settle()
    return Took(clock.ended - clock.began, time.perf_counter() - began)


def quieten() -> None:
    """What Lightning says of each run: which devices there are, and that a loader could have more workers."""
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)\.")
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
