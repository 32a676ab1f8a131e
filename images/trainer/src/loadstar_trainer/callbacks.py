"""What others may do at certain points of training, without a line of theirs in the loop."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadstar_trainer.state import State


@dataclass(frozen=True)
class Epoch:
    """One finished epoch. Metrics are those of the whole data, not of this rank's share.

    `percent` and `remaining_seconds` are of the whole run, all folds of a cross-validation together; `fold` is from 1,
    0 where there are none.
    """

    number: int
    of: int
    train_loss: float
    validation: dict[str, float]
    seconds: float
    percent: float = 0.0
    remaining_seconds: float = 0.0
    learning_rate: float = 0.0
    fold: int = 0


class Callback:
    """Called in every rank, in the order of the list given to the loop; each hook does nothing by default.

    What `state` is, and how to save and resume by it: see `loadstar_trainer.state`.
    """

    def on_folds_begin(self, finished: list[dict[str, Any]]) -> None:
        """Cross-validation begins: who resumes adds the result (JSON) of each fold that is done; it is then skipped."""

    def on_fold_end(self, finished: list[dict[str, Any]]) -> None:
        """One more fold's result is in the list."""

    def on_train_begin(self, epochs: int, state: "State") -> None:
        """A model is about to be trained; who resumes restores the state here."""

    def on_update(self, state: "State") -> None:
        """After each update of the weights. A callback without this hook costs the loop nothing."""

    def on_interrupt(self, state: "State") -> None:
        """SIGTERM reached a rank: training ends, in all ranks, after this."""

    def on_epoch_end(self, epoch: Epoch, state: "State") -> None: ...

    def on_train_end(self, state: "State") -> None: ...


class Log(Callback):
    """One line per epoch for people who read the pod's log; give it to rank 0 only."""

    def on_epoch_end(self, epoch: Epoch, state: "State") -> None:  # noqa: ARG002
        fold = f"fold {epoch.fold}  " if epoch.fold else ""
        number = f"{epoch.number:>{len(str(epoch.of))}}/{epoch.of}"
        validation = "".join(f"  validation {name} {value:.4f}" for name, value in epoch.validation.items())
        line = f"{fold}epoch {number}  loss {epoch.train_loss:.4f}{validation}  {epoch.seconds:.3f} s"
        print(line, flush=True)
