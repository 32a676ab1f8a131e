"""The plainest loop that PyTorch allows: tensors in memory, shuffled indices, nothing reported."""

import time

import torch
from torch import nn

from tests.bench.trainer.inside.job import Job, Took, device, settle


def train_plainly(job: Job) -> Took:
    """As one writes it by hand; validation after each epoch and the test at the end, where the job has them."""
    model, where = job.model(), device()
    began = time.perf_counter()
    model.to(where)
    features, targets = job.part("training", where)
    validation, test = job.part("validation", where), job.part("test", where)
    criterion, optimizer = job.loss(), job.optimizer(model)
    settle()
    loop_began = time.perf_counter()
    for _ in range(job.spec.training.epochs):
        order = torch.randperm(len(features), device=where)
        for start in range(0, len(features), job.spec.training.batch_size):
            rows = order[start : start + job.spec.training.batch_size]
            optimizer.zero_grad()
            loss = criterion(model(features[rows]), targets[rows])
            loss.backward()
            optimizer.step()
        if len(validation[0]):
            _measure(job, model, criterion, *validation)
    settle()
    loop_ended = time.perf_counter()
    _measure(job, model, criterion, *test)
    return Took(loop_ended - loop_began, time.perf_counter() - began)


def _measure(
    job: Job, model: nn.Module, criterion: nn.Module, features: torch.Tensor, targets: torch.Tensor
) -> tuple[float, float]:
    """Loss and accuracy."""
    model.eval()
    with torch.no_grad():
        outputs = model(features)
        loss = criterion(outputs, targets).item()
        accuracy = (outputs.argmax(dim=1) == targets).float().mean().item() if job.classifies else 0.0
    model.train()
    return loss, accuracy
