"""Ranks forked from the test's process, which saves each of them the seconds that importing PyTorch takes."""

import multiprocessing
import multiprocessing.connection
import os
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo  # data-parallel wrapping imports it, for seconds; here once for all ranks
from pods import free_port

from loadstar_trainer.environment import Identity, Ranks
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.record import Result
from loadstar_trainer.run import run
from loadstar_trainer.scores import torchmetrics
from loadstar_trainer.spec import Spec

torch.set_num_threads(1)
torchmetrics()  # likewise at the first test
SECONDS = 120.0
FORK = multiprocessing.get_context("fork")


def in_ranks(count: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What `work` returned in each of `count` connected processes, by rank."""
    answers = FORK.SimpleQueue()
    port = str(free_port())

    def rank_main(rank: int) -> None:
        os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=port)
        answers.put((rank, work(Ranks(rank, count, rank, count))))

    processes = [FORK.Process(target=rank_main, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    # One rank that fails leaves the others waiting: the first to end decides how long they get.
    multiprocessing.connection.wait([process.sentinel for process in processes], SECONDS)
    for process in processes:
        process.join(SECONDS / 2)
        if process.exitcode is None:
            process.kill()
            process.join()
    assert [process.exitcode for process in processes] == [0] * count
    return [answer for _, answer in sorted((answers.get() for _ in processes), key=lambda pair: pair[0])]


def train(spec: Spec, ranks: int = 1) -> Result:
    """The result that all ranks agree on."""
    results: list[Result] = in_ranks(ranks, lambda own: run(spec, own, Interruption()))
    assert all(result.metrics == results[0].metrics for result in results)
    return results[0]


def with_gang(ranks: int, work: Callable[[Gang], Any]) -> list[Any]:
    def connected(own: Ranks) -> Any:
        gang = Gang(own)
        answer = work(gang)
        gang.close()
        return answer

    return in_ranks(ranks, connected)


def attempt(spec: Spec, number: int, ranks: int = 1) -> Result:
    """Rank 0's result of one attempt of a job."""
    results: list[Result] = in_ranks(
        ranks, lambda own: run(spec, own, Interruption(), Identity("uid-1", number))
    )
    return results[0]
