"""All ranks of a job as one thing: device, sums over ranks, data-parallel wrapping, agreeing to stop."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from loadstar_trainer.environment import Ranks
from loadstar_trainer.failures import Failure, PeerLost, Refused

# Pods of a gang start apart: one may still pull its image while the first waits.
PATIENCE = timedelta(minutes=10)
# What PyTorch's and gloo's errors say where the other end of a connection is gone.
SIGNS_OF_LOSS = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Connection was likely closed",
    "Broken pipe",
    "Socket closed",
    "Timed out waiting",
    "remote process exited",
    "failed to recv",
)


class Gang:
    """The ranks, connected. A rank on its own has no process group and pays for none.

    Collectives of the loop's own bookkeeping run on the CPU over gloo, whatever carries the gradients:
    reading a flag back from a GPU after each step would stall it.
    """

    def __init__(self, ranks: Ranks) -> None:
        """Waits until all ranks are there; Failure where they are not within PATIENCE."""
        self.rank = ranks.rank
        self.world_size = ranks.world_size
        self.device = choose_device(ranks)
        self.backend = "none"
        self._control: dist.ProcessGroup | None = None
        self._vote: tuple[torch.Tensor, dist.Work] | None = None
        if ranks.world_size > 1:
            self._connect()

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """This rank's part of `rows`: over all ranks each row once, none added to make parts equal."""
        return rows[self.rank :: self.world_size]

    def total(self, values: list[float]) -> list[float]:
        """Each value summed over all ranks, in double precision."""
        if self._control is None:
            return values
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums, group=self._control)
        return [float(value) for value in sums]

    def gather(self, value: float) -> list[float]:
        """Each rank's value, by rank, exactly."""
        if self._control is None:
            return [value]
        values = torch.zeros(self.world_size, dtype=torch.float64)
        values[self.rank] = value
        dist.all_reduce(values, group=self._control)
        return [float(value) for value in values]

    def join(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows of all ranks below one another, on the CPU, in the order of ranks; ranks may have unequally many."""
        rows = rows.cpu()
        if self._control is None:
            return rows
        counts = [int(count) for count in self.gather(float(len(rows)))]
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded, group=self._control)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over ranks during backward, weights taken from rank 0."""
        if self._control is None:
            return model
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices)

    def agreed_to_stop(self, wanted: bool) -> bool:
        """Casts this rank's vote of this step; true for all ranks alike once one of them wanted to stop.

        The answer is that of the step before, so that the vote travels while the next step computes.
        """
        if self._control is None:
            return wanted
        stop = self._counted()
        flag = torch.tensor([int(wanted)])
        work = dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self._control, async_op=True)
        self._vote = (flag, work)
        return stop

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns what breaks within because another rank is gone into PeerLost."""
        try:
            yield
        except RuntimeError as error:
            if self.world_size == 1 or not is_loss(error):
                raise
            cause = str(error).strip().splitlines()[0]
            raise PeerLost(
                f"Rank {self.rank} lost another of the {self.world_size} ranks: {cause}"
            ) from error

    def close(self) -> None:
        """Returns once all ranks are here, so that none leaves while another still needs it.

        The process groups stay open until the process ends: tearing gloo's down while peers leave can hang for ever.
        """
        if self._control is not None:
            self._counted()
            dist.barrier(group=self._control)

    def _counted(self) -> bool:
        if self._vote is None:
            return False
        flag, work = self._vote
        work.wait()
        self._vote = None
        return bool(flag.item())

    def _connect(self) -> None:
        self.backend = "nccl" if self.device.type == "cuda" else "gloo"
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if not _store_has_libuv():
            os.environ.setdefault("USE_LIBUV", "0")
        if self.rank != 0:
            wait_for_master(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), PATIENCE)
        try:
            dist.init_process_group(
                self.backend, rank=self.rank, world_size=self.world_size, timeout=PATIENCE
            )
        except (RuntimeError, ValueError) as error:
            if is_loss(error):
                raise PeerLost(f"A rank went while the {self.world_size} ranks met: {error}") from error
            raise Failure("RanksUnreachable", f"The {self.world_size} ranks did not meet: {error}") from error
        self._control = dist.new_group(backend="gloo") if self.backend == "nccl" else dist.group.WORLD


def is_loss(error: Exception) -> bool:
    """Whether the error means that another rank is gone."""
    return isinstance(error, dist.DistBackendError) or any(sign in str(error) for sign in SIGNS_OF_LOSS)


def choose_device(ranks: Ranks) -> torch.device:
    """One GPU per rank where the pod sees GPUs, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if ranks.local_world_size > torch.cuda.device_count():
        raise Refused(
            "InvalidTrainer",
            f"trainer.numProcPerNode is {ranks.local_world_size} and the pod sees {torch.cuda.device_count()} "
            "GPUs; each rank needs a GPU of its own.",
        )
    return torch.device("cuda", ranks.local_rank)


def wait_for_master(address: str, port: int, patience: timedelta) -> None:
    """Returns once rank 0 listens. Its pod's name may not resolve for a while: that is waited out.

    PyTorch would wait too, but doubles its pauses up to half a minute, all of it idle GPUs.
    """
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            socket.create_connection((address, port), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"Rank 0 at {address}:{port} was not reached within {patience}: {error}."
                raise Failure("RanksUnreachable", message) from error
        time.sleep(0.2)


def _store_has_libuv() -> bool:
    """Whether this build of PyTorch has the store that it uses by default; Debian's does not."""
    options: dict[str, Any] = {"is_master": True, "wait_for_workers": False, "use_libuv": True}
    try:
        dist.TCPStore("localhost", 0, **options)
    except RuntimeError:
        return False
    return True
