"""When checkpoints are due, and what makes one the checkpoint of a certain training."""

import dataclasses
import hashlib
import json
import time

from loadstar_trainer.spec import Checkpoint, Spec


class Cadence:
    """Every so many epochs, steps or seconds, as the spec has it. Only the clock differs between ranks."""

    def __init__(self, spec: Checkpoint) -> None:
        self._spec = spec
        self._saved_at = time.monotonic()

    def after_step(self, step: int) -> bool:
        """Whether a checkpoint is due by the number of steps; `step` is the one just taken, from 1."""
        return self._spec.every_steps > 0 and step % self._spec.every_steps == 0

    def after_epoch(self, epoch: int) -> bool:
        """Whether one is due by the number of epochs; `epoch` is the one just finished, from 1."""
        return self._spec.every_epochs > 0 and epoch % self._spec.every_epochs == 0

    def by_clock(self) -> bool:
        """Whether one is due by this rank's clock: the ranks must agree before they act on it."""
        elapsed = time.monotonic() - self._saved_at
        return 0 < self._spec.every_seconds <= elapsed

    def saved(self) -> None:
        self._saved_at = time.monotonic()


def spec_hash(spec: Spec, data_hash: str) -> str:
    """Over all that decides the course of training: a checkpoint of another hash is of no use here."""
    parts = [dataclasses.asdict(part) for part in (spec.model, spec.dataset, spec.training)]
    document = json.dumps([*parts, data_hash], sort_keys=True)
    return f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"
