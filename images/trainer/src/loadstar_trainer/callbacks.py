"""What others may do at certain points of training, without a line of theirs in the loop."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One finished epoch. Metrics are those of the whole data, not of this rank's share."""

    number: int
    of: int
    train_loss: float
    validation: dict[str, float]
    seconds: float


class Callback:
    """Called in every rank, in the order of the list given to the loop; each hook does nothing by default."""

    def on_train_begin(self, epochs: int) -> None: ...

    def on_epoch_end(self, epoch: Epoch) -> None: ...

    def on_train_end(self) -> None: ...


class Log(Callback):
    """One line per epoch for people who read the pod's log; give it to rank 0 only."""

    def on_epoch_end(self, epoch: Epoch) -> None:
        number = f"{epoch.number:>{len(str(epoch.of))}}/{epoch.of}"
        validation = "".join(f"  validation {name} {value:.4f}" for name, value in epoch.validation.items())
        line = f"epoch {number}  loss {epoch.train_loss:.4f}{validation}  {epoch.seconds:.3f} s"
        print(line, flush=True)
