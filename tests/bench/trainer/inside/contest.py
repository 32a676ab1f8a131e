"""The product's loop, the plainest one and Lightning's, in turns, so that what the machine does besides hits all."""

import gc
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.bench.trainer.inside import lit
from tests.bench.trainer.inside.figure import Figure, at_least, told
from tests.bench.trainer.inside.job import Job, Took, train_with_loadstar
from tests.bench.trainer.inside.plain import train_plainly

OF_PLAIN, OF_LIGHTNING, OF_LIGHTNING_SMALL = 0.97, 1.0, 2.0
_OURS, _PLAIN, _LIGHTNING, _WHOLE = "loadstar", "plain", "lightning", "lightning, whole batches"
CONTENDERS: dict[str, Callable[[Job], Took]] = {
    _OURS: train_with_loadstar,
    _PLAIN: train_plainly,
    _LIGHTNING: lit.train_with_lightning,
    _WHOLE: lit.train_with_lightning_and_whole_batches,
}


def _spec(model: dict[str, Any], dataset: dict[str, Any], epochs: int, batch: int) -> dict[str, Any]:
    training = {"epochs": epochs, "batchSize": batch}
    return {"model": model, "dataset": dataset, "training": training}


_TABLE = {"builtin": "synthetic-regression", "synthetic": {"samples": 125_000, "features": 32}}
_UNSEEN = {"split": {"validation": 0, "test": 0.2}}
_MLP = {"type": "mlp", "hiddenLayers": [64, 64]}
LARGE = {
    "mlp, 100k x 32, batch 4096": _spec(_MLP, {**_TABLE, **_UNSEEN}, 1, 4096),
    "cnn, digits, batch 512": _spec({"type": "cnn"}, {"builtin": "digits", **_UNSEEN}, 2, 512),
}
SMALL = {
    "iris, 50 epochs, batch 32": _spec(_MLP, {"builtin": "iris"}, 50, 32),
    "breast-cancer, 20 epochs, batch 32": _spec(_MLP, {"builtin": "breast-cancer"}, 20, 32),
}


def contest(rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """All jobs, each so many rounds; the figures."""
    lit.quieten()
    torch.set_num_threads(1)  # threads that wait for each other measure what else the machine does
    found: list[Figure] = []
    for name, document in (LARGE | SMALL).items():
        job = Job.of(name, document)
        took = in_turns(job, rounds)
        for contender, times in took.items():
            loop = statistics.median(it.loop for it in times)
            call = statistics.median(it.call for it in times)
            say(f"{name}: {contender:26} {job.samples / loop:>10,.0f} samples/s, the whole call {call:.3f} s")
        found += _figures(job, took, small=name in SMALL)
    return found


def in_turns(job: Job, rounds: int) -> dict[str, list[Took]]:
    """What each contender took in each round, after one round to warm up; who begins goes round."""
    for train in CONTENDERS.values():
        train(job)
    took: dict[str, list[Took]] = {name: [] for name in CONTENDERS}
    names = list(CONTENDERS)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            took[name].append(CONTENDERS[name](job))
    return took


def _figures(job: Job, took: dict[str, list[Took]], *, small: bool) -> Iterator[Figure]:
    loop = statistics.median(it.loop for it in took[_OURS])
    yield told(f"{job.name}: samples/s", job.samples / loop, "samples/s")
    plain = ratio(took[_PLAIN], took[_OURS], lambda it: it.loop)
    name = f"{job.name}: to the plainest loop"
    yield told(name, plain, "ratio") if small else at_least(name, plain, OF_PLAIN)
    least = OF_LIGHTNING_SMALL if small else OF_LIGHTNING
    lightning = ratio(took[_LIGHTNING], took[_OURS], lambda it: it.loop)
    yield at_least(f"{job.name}: to Lightning", lightning, least)
    call = ratio(took[_LIGHTNING], took[_OURS], lambda it: it.call)
    yield at_least(f"{job.name}: to Lightning, whole call", call, least)
    whole = ratio(took[_WHOLE], took[_OURS], lambda it: it.loop)
    yield at_least(f"{job.name}: to Lightning given whole batches", whole, OF_LIGHTNING)


def ratio(theirs: list[Took], ours: list[Took], seconds: Callable[[Took], float]) -> float:
    """How many times faster ours is: the median over rounds, as both had the same machine in each."""
    return statistics.median(seconds(a) / seconds(b) for a, b in zip(theirs, ours, strict=True))
