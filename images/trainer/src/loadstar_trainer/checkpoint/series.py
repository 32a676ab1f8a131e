"""The checkpoints of one run, all ranks together: saving the whole state of training, and going on from it.

The result of a resumed run on as many ranks is that of an undisturbed one, bit for bit on a CPU: whatever a later step
depends on is in the checkpoint. On another number of ranks sums are rounded otherwise, and each rank draws
new random numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from loadstar_trainer.checkpoint import tensors as states
from loadstar_trainer.checkpoint.manifest import Unusable
from loadstar_trainer.checkpoint.store import Checkpoint, Content, Moment, Store, load, warn
from loadstar_trainer.checkpoint.tensors import Tensors
from loadstar_trainer.gang import Gang
from loadstar_trainer.record import ResumedFrom, SavedCheckpoint

T = TypeVar("T")
MODEL, OPTIMIZER, RANDOM = "model", "optimizer", "rng"
TRAINING = "training"
# What values of a wrong kind run into when training takes them over.
_MISFITS = (Unusable, KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)


class Resumable(Protocol):
    """Training as its checkpoints see it: beside model and optimizer some JSON, and some more tensors."""

    model: nn.Module
    optimizer: torch.optim.Optimizer

    def values(self) -> dict[str, Any]:
        """Position, schedule, scaler, early stopping, running sums: alike in all ranks."""
        ...

    def tensors(self) -> dict[str, Tensors]:
        """By file: whole tensors on the CPU, such as the weights of the best epoch."""
        ...

    def adopt(self, values: dict[str, Any], tensors: dict[str, Tensors]) -> None:
        """The inverse of both; any error means that these are not of this training."""
        ...


@dataclass(frozen=True)
class _Choice:
    """The checkpoint that rank 0 proposes to all ranks; without a digest it proposes none."""

    attempt: int
    step: int
    digest: bytes

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "_Choice":
        attempt = int(checkpoint.folder.parent.name.removeprefix("attempt-"))
        own = checkpoint.manifest
        return cls(attempt, own.step, bytes.fromhex(own.digest.removeprefix("sha256:")))

    @classmethod
    def decode(cls, values: list[float]) -> "_Choice | None":
        attempt, step, *digest = (int(value) for value in values)
        return cls(attempt, step, bytes(digest)) if any(digest) else None

    def encode(self) -> list[float]:
        """As numbers, which the ranks add up: all but rank 0 add nothing."""
        return [self.attempt, self.step, *self.digest.ljust(32, b"\0")]

    def __str__(self) -> str:
        return f"attempt-{self.attempt}/step-{self.step}"


class Series:
    """All ranks make one and call it alike; only rank 0 writes. `store` is the same folder in all of them."""

    def __init__(self, store: Store, gang: Gang) -> None:
        self._store = store
        self._gang = gang
        self._written: int | None = None
        self.resumed_from: ResumedFrom | None = None
        self.newest: SavedCheckpoint | None = None  # known to rank 0
        if gang.rank == 0:
            store.claim()

    def save(self, training: Resumable, moment: Moment) -> None:
        """Writes the state of training, unless that of this very step is on the disk already."""
        if self._written == moment.step:
            return
        content = self._content(training)
        saved = self._store.save(moment, content) if self._gang.rank == 0 else None
        if saved:
            self.newest = _described(saved)
        # What could not be written is tried again at the next occasion, by all ranks alike.
        if self._gang.total([float(saved is not None)])[0]:
            self._written = moment.step

    def resume(self, training: Resumable) -> ResumedFrom | None:
        """Puts training where the newest usable checkpoint left it; None where there is none."""
        candidates = self._store.candidates() if self._gang.rank == 0 else iter(())
        while choice := self._agree_on(next(candidates, None)):
            checkpoint = self._take(choice, training)
            if checkpoint:
                manifest = checkpoint.manifest
                self._written = manifest.step
                self.newest = _described(checkpoint)
                self.resumed_from = ResumedFrom(choice.attempt, manifest.step, manifest.world_size)
                break
        return self.resumed_from

    def _content(self, training: Resumable) -> Content:
        moments, groups = states.of_optimizer(training.model, training.optimizer)
        files = {
            MODEL: states.of_model(training.model),
            OPTIMIZER: moments,
            RANDOM: {
                name: torch.stack(self._gang.gather(state))
                for name, state in states.of_generators(self._gang.device).items()
            },
        }
        return Content(files | training.tensors(), {OPTIMIZER: groups, TRAINING: training.values()})

    def _agree_on(self, checkpoint: Checkpoint | None) -> _Choice | None:
        own = _Choice.of(checkpoint) if checkpoint else _Choice(0, 0, b"")
        return _Choice.decode(self._gang.total(own.encode()))

    def _take(self, choice: _Choice, training: Resumable) -> Checkpoint | None:
        """All ranks take the checkpoint over, or none does: what one of them cannot use, all pass over."""
        opened = self._all(choice, lambda: self._open(choice, training))
        if opened is None:
            return None
        checkpoint, content = opened
        before = self._content(training)
        if self._all(choice, lambda: self._adopt(content, choice.step, training)):
            return checkpoint
        self._adopt(before, 0, training)
        return None

    def _all(self, choice: _Choice, work: Callable[[], T]) -> T | None:
        """What `work` returned, if it did so in all ranks; else None in all, with a warning from where it did not."""
        done: T | None = None
        try:
            done = work()
        except _MISFITS as error:
            reason = str(error) if isinstance(error, Unusable) else f"{type(error).__name__}: {error}"
            warn(f"checkpoint {choice} is skipped: {reason}.")
        agreed = self._gang.total([float(done is not None)])[0] == self._gang.world_size
        return done if agreed else None

    def _open(self, choice: _Choice, training: Resumable) -> tuple[Checkpoint, Content]:
        checkpoint = self._store.open(self._store.root / str(choice))
        if checkpoint.manifest.digest != f"sha256:{choice.digest.hex()}":
            raise Unusable("this rank sees another one than rank 0")
        content = load(checkpoint)
        if missing := {MODEL, OPTIMIZER, RANDOM} - content.tensors.keys():
            raise Unusable(f"{min(missing)}.safetensors is missing")
        states.require_model(training.model, content.tensors[MODEL])
        states.require_optimizer(
            training.model, training.optimizer, content.tensors[OPTIMIZER], content.values.get(OPTIMIZER)
        )
        return checkpoint, content

    def _adopt(self, content: Content, step: int, training: Resumable) -> bool:
        further = {
            name: part for name, part in content.tensors.items() if name not in (MODEL, OPTIMIZER, RANDOM)
        }
        training.adopt(content.values[TRAINING], further)
        states.into_model(training.model, content.tensors[MODEL])
        states.into_optimizer(
            training.model, training.optimizer, content.tensors[OPTIMIZER], content.values[OPTIMIZER]
        )
        self._adopt_random(content.tensors[RANDOM], step)
        return True

    def _adopt_random(self, saved: Tensors, step: int) -> None:
        gang = self._gang
        kinds = states.of_generators(gang.device).keys()
        if saved.keys() == kinds and all(len(state) == gang.world_size for state in saved.values()):
            states.into_generators({name: state[gang.rank] for name, state in saved.items()}, gang.device)
        else:
            # Other ranks or another kind of device: each draws on from its own seed, but not the same numbers again.
            words = np.random.SeedSequence([torch.initial_seed(), step]).generate_state(1, np.uint64)
            torch.manual_seed(int(words[0]))


def _described(checkpoint: Checkpoint) -> SavedCheckpoint:
    own = checkpoint.manifest
    return SavedCheckpoint(str(checkpoint.folder), own.step, own.epoch, own.digest)
