"""Checkpoints as a callback of training: resumes at its beginning, saves as often as the spec says, and at SIGTERM."""

import time
from pathlib import Path
from typing import Any

from loadstar_trainer.callbacks import Callback, Epoch
from loadstar_trainer.checkpoint.identity import spec_hash
from loadstar_trainer.checkpoint.series import Series
from loadstar_trainer.checkpoint.store import Moment, Store
from loadstar_trainer.environment import Identity
from loadstar_trainer.gang import Gang
from loadstar_trainer.record import ResumedFrom, SavedCheckpoint
from loadstar_trainer.spec import Spec
from loadstar_trainer.spec.tasks import ERRORS
from loadstar_trainer.state import State

LOOK = 0.5  # seconds, about, between two looks at the clock that all ranks take together


class Saving(Callback):
    """In every rank; all ranks reach the same decisions, as saving takes all of them.

    A checkpoint's step counts updates from the beginning of the run, through all folds.
    """

    def __init__(self, series: Series, gang: Gang, spec: Spec) -> None:
        assert spec.checkpoint is not None
        self._series = series
        self._gang = gang
        self._spec = spec.checkpoint
        self._judged_by = spec.training.early_stopping.metric if spec.training.early_stopping else "loss"
        self._folds: list[dict[str, Any]] = []
        self._updates_before = 0
        self._position: tuple[int, ...] | None = None
        self._score: float | None = None
        self._clock = Clock(self._spec.every_seconds, gang)
        self.resumed_from: ResumedFrom | None = None

    @property
    def newest(self) -> SavedCheckpoint | None:
        """The last checkpoint of this run that is on the disk; known to rank 0."""
        return self._series.newest

    def on_folds_begin(self, finished: list[dict[str, Any]]) -> None:
        extra = self._series.newest_extra() if self._spec.resume else {}
        finished.extend(extra.get("folds", []))
        self._folds = list(finished)
        self._updates_before = int(extra.get("updatesBefore", 0))

    def on_fold_end(self, finished: list[dict[str, Any]]) -> None:
        self._folds = list(finished)

    def on_train_begin(self, epochs: int, state: State) -> None:  # noqa: ARG002
        # Whatever this attempt has written itself is behind the model that begins now.
        resumed = self._series.resume(state) if self._spec.resume and self._position is None else None
        if resumed is None:
            return
        self.resumed_from = self.resumed_from or resumed
        self._position = _position(state)
        if self._gang.rank == 0:
            print(f"resumed from attempt {resumed.attempt}, step {resumed.step}", flush=True)

    def on_interrupt(self, state: State) -> None:
        self._save(state)

    def on_epoch_end(self, epoch: Epoch, state: State) -> None:
        self._score = self._judge(epoch)
        every = self._spec.every_epochs
        if (every and state.epoch % every == 0) or self._clock.is_due():
            self._save(state)

    def on_train_end(self, state: State) -> None:
        self._save(state)
        if state.fold:
            self._updates_before += state.updates

    def _save(self, state: State) -> None:
        """Unless this very position is on the disk. What could not be written is tried again at the next occasion."""
        if self._position == _position(state):
            return
        score = self._score if state.step == 0 and not state.fold else None
        moment = Moment(self._updates_before + state.updates, state.epoch, self._gang.world_size, score)
        extra: dict[str, Any] = {"folds": self._folds, "updatesBefore": self._updates_before}
        if self._series.save(state, moment, extra):
            self._position = _position(state)
        self._clock.restart()

    def _judge(self, epoch: Epoch) -> float | None:
        """Smaller is better; None where nothing was validated."""
        for metric in (self._judged_by, *ERRORS):
            if metric in epoch.validation:
                value = epoch.validation[metric]
                return value if metric in ERRORS else -value
        return None


class SavingBetweenEpochs(Saving):
    """For intervals shorter than an epoch: the only one that has to look at every update."""

    def on_update(self, state: State) -> None:
        every = self._spec.every_steps
        if (every and (self._updates_before + state.updates) % every == 0) or self._clock.is_due():
            self._save(state)


class Clock:
    """Whether so many seconds have gone by since the last restart, by rank 0's clock and in all ranks alike.

    Asking the other ranks takes time, so only some of the calls do: `_stride` is agreed on by all ranks.
    """

    def __init__(self, seconds: int, gang: Gang) -> None:
        self._seconds = seconds
        self._gang = gang
        self._started = self._looked = time.monotonic()
        self._calls = 0
        self._stride = 1

    def is_due(self) -> bool:
        if not self._seconds:
            return False
        self._calls += 1
        if self._calls < self._stride:
            return False
        now = time.monotonic()
        mine = self._gang.rank == 0
        call = (now - self._looked) / self._calls
        due, call = self._gang.total([mine * (now - self._started >= self._seconds), mine * call])
        self._stride = max(1, int(LOOK / max(call, 1e-6)))
        self._calls, self._looked = 0, now
        return due > 0

    def restart(self) -> None:
        self._started = time.monotonic()


def saving(spec: Spec, data_hash: str, identity: Identity, gang: Gang) -> Saving | None:
    """The callback that the spec asks for; None where it asks for no checkpoints.

    Failure where the folder cannot be written, or a later attempt writes there.
    """
    if spec.checkpoint is None:
        return None
    store = Store(Path(spec.checkpoint.path), identity, spec_hash(spec, data_hash), spec.checkpoint.keep)
    kind = Saving if spec.checkpoint.every_epochs else SavingBetweenEpochs
    return kind(Series(store, gang), gang, spec)


def _position(state: State) -> tuple[int, ...]:
    return (state.fold, state.epoch, state.step, state.updates)
