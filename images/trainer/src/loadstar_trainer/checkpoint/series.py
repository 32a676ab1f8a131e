"""The checkpoints of one run, all ranks together: saving the whole state of training, and going on from it.

The result of a resumed run on as many ranks is that of an undisturbed one, bit for bit on a CPU: whatever a later step
depends on is in the checkpoint. On another number of ranks sums are rounded otherwise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from loadstar_trainer.checkpoint import tensors as states
from loadstar_trainer.checkpoint.manifest import Unusable
from loadstar_trainer.checkpoint.store import Checkpoint, Content, Moment, Store, load, warn
from loadstar_trainer.gang import Gang
from loadstar_trainer.record import ResumedFrom, SavedCheckpoint
from loadstar_trainer.state import State

T = TypeVar("T")
JSON = dict[str, Any]
MODEL, OPTIMIZER, BEST = "model", "optimizer", "best"
TRAINING, EXTRA = "training", "extra"
COUNTS = ("fold", "epoch", "step", "updates")
# What values of a wrong kind run into when training takes them over.
_MISFITS = (Unusable, KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError)


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
        self.newest: SavedCheckpoint | None = None  # of this run or what it went on from; known to rank 0
        if gang.rank == 0:
            store.claim()

    def save(self, state: State, moment: Moment, extra: JSON) -> bool:
        """Writes the state of training, and `extra` for those who look in before they resume; whether it did so."""
        content = self._content(state, extra)
        saved = self._store.save(moment, content) if self._gang.rank == 0 else None
        if saved:
            self.newest = _described(saved)
        return self._gang.total([float(saved is not None)])[0] > 0

    def newest_extra(self) -> JSON:
        """`extra` of the newest checkpoint that has one that can be read; empty where there is none."""
        candidates = self._candidates()
        while choice := self._agree_on(next(candidates, None)):
            extra = self._all(choice, lambda: dict(load(self._open(choice)).values[EXTRA]))
            if extra is not None:
                return extra
        return {}

    def resume(self, state: State) -> ResumedFrom | None:
        """Puts training where the newest usable checkpoint left it; None where there is none of the state's fold."""
        candidates = self._candidates()
        while choice := self._agree_on(next(candidates, None)):
            opened = self._all(choice, lambda: self._fitting(choice, state))
            if opened is None:
                continue
            checkpoint, content = opened
            if content.values[TRAINING]["fold"] != state.fold:
                return None
            if self._take(choice, content, state):
                self.newest = _described(checkpoint)
                return ResumedFrom(choice.attempt, choice.step, checkpoint.manifest.world_size)
        return None

    def _candidates(self) -> Iterator[Checkpoint]:
        return self._store.candidates() if self._gang.rank == 0 else iter(())

    def _content(self, state: State, extra: JSON) -> Content:
        moments, groups = states.of_optimizer(state.model, state.optimizer)
        tensors = {MODEL: states.of_model(state.model), OPTIMIZER: moments}
        if state.best is not None:
            tensors[BEST] = {name: states.whole(weight) for name, weight in state.best.weights.items()}
        return Content(tensors, {OPTIMIZER: groups, TRAINING: state.values(self._gang), EXTRA: extra})

    def _agree_on(self, checkpoint: Checkpoint | None) -> _Choice | None:
        own = _Choice.of(checkpoint) if checkpoint else _Choice(0, 0, b"")
        return _Choice.decode(self._gang.total(own.encode()))

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

    def _open(self, choice: _Choice) -> Checkpoint:
        checkpoint = self._store.open(self._store.root / str(choice))
        if checkpoint.manifest.digest != f"sha256:{choice.digest.hex()}":
            raise Unusable("this rank sees another one than rank 0")
        return checkpoint

    def _fitting(self, choice: _Choice, state: State) -> tuple[Checkpoint, Content]:
        """The checkpoint with its content, as far as that can be told before taking it over."""
        checkpoint = self._open(choice)
        content = load(checkpoint)
        tensors, training = content.tensors, content.values[TRAINING]
        if missing := {MODEL, OPTIMIZER} - tensors.keys():
            raise Unusable(f"{min(missing)}.safetensors is missing")
        states.require_model(state.model, tensors[MODEL])
        if best := tensors.get(BEST):
            states.require_model(state.model, best)
        states.require_optimizer(state.model, state.optimizer, tensors[OPTIMIZER], content.values[OPTIMIZER])
        for name in COUNTS:
            if type(training[name]) is not int or training[name] < 0:
                raise Unusable(f"its {name} is no count")
        return checkpoint, content

    def _take(self, choice: _Choice, content: Content, state: State) -> bool:
        """Takes the content over in all ranks, or in none: what one of them cannot use, all put back."""
        before = self._content(state, {})
        if self._all(choice, lambda: self._adopt(content, state)):
            return True
        self._adopt(before, state)
        return False

    def _adopt(self, content: Content, state: State) -> bool:
        tensors = content.tensors
        best = states.like_model(state.model, tensors[BEST]) if tensors.get(BEST) else {}
        state.restore(content.values[TRAINING], best, self._gang)
        states.into_model(state.model, tensors[MODEL])
        states.into_optimizer(state.model, state.optimizer, tensors[OPTIMIZER], content.values[OPTIMIZER])
        return True


def _described(checkpoint: Checkpoint) -> SavedCheckpoint:
    own = checkpoint.manifest
    return SavedCheckpoint(str(checkpoint.folder), own.step, own.epoch, own.digest)
