"""One rank's way to its first step, with the time of each stage: prints them as JSON. Started by `startup`."""

import time

PROCESS = time.time()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402


def main() -> None:
    """The stages of `loadstar_trainer.__main__` and `run`, in their order, up to the first update."""
    stamps = {"process": PROCESS - float(os.environ["BEGAN"])}
    last = time.time()

    def stage(name: str) -> None:
        nonlocal last
        now = time.time()
        stamps[name], last = now - last, now

    import torch  # noqa: F401

    stage("import torch")
    from loadstar_trainer import data
    from loadstar_trainer.callbacks import Callback
    from loadstar_trainer.environment import Ranks
    from loadstar_trainer.fit import Fit
    from loadstar_trainer.gang import Gang
    from loadstar_trainer.interruption import Interruption
    from loadstar_trainer.run import build
    from loadstar_trainer.spec import parse
    from loadstar_trainer.train import Course

    stage("import loadstar_trainer")

    class Stop(Callback):
        def on_train_begin(self, epochs: int, state: Any) -> None:  # noqa: ARG002
            stage("model, optimizer")

        def on_update(self, state: Any) -> None:  # noqa: ARG002
            stage("first step")
            print(json.dumps(stamps), flush=True)
            os._exit(0)

    spec = parse(os.environ["LOADSTAR_SPEC"])
    prepared = data.prepare(spec.dataset)
    stage("data")
    fit = Fit(spec, Gang(Ranks()), [Stop()], Interruption())
    fit.train(prepared, build(spec, prepared)[0], Course())
    sys.exit("no step was taken")


if __name__ == "__main__":
    main()
