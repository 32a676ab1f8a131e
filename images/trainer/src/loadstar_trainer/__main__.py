"""One rank: `python -m loadstar_trainer`, started once per rank by `loadstar_trainer.launch` or torchrun.

Reads the job from LOADSTAR_SPEC, ends with exit code 0, 65 (the job as written cannot run), 75 (another rank is
gone), 143 (SIGTERM) or 1, and leaves the final record in the termination log and as the last line of its output.
"""

import os
import sys
import traceback
from typing import Any, NoReturn

from loadstar_trainer import record
from loadstar_trainer.endpoint import Endpoint
from loadstar_trainer.environment import SPEC, Identity, Ranks, record_path
from loadstar_trainer.failures import Failure, Interrupted, PeerLost
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.reporter import Reporter
from loadstar_trainer.reporting import Reports
from loadstar_trainer.spec import parse


def main() -> int:
    """The exit code of this rank."""
    interruption = Interruption()
    reports: Reports | None = None
    try:
        identity, ranks = Identity.read(os.environ), Ranks.read(os.environ)
        spec = parse(os.environ.get(SPEC, ""))
        # PyTorch takes seconds to import: a bad spec is told before.
        from loadstar_trainer.run import run

        endpoint = Endpoint.read(os.environ) if ranks.rank == 0 else None
        reports = Reports(Reporter(endpoint)) if endpoint else None
        result = run(spec, ranks, interruption, identity, reports)
    except Exception as error:
        return _fail(_failure(error, interruption), reports)
    if ranks.rank == 0:
        final = record.of_result(identity, result)
        _leave(final)
        if reports:
            reports.end(final, result.metrics)
    return 0


def _failure(error: Exception, interruption: Interruption) -> Failure:
    """The error as a failure; what breaks after SIGTERM (peers leave at once) is the interruption's doing."""
    if isinstance(error, Failure) and not (isinstance(error, PeerLost) and interruption.requested):
        return error
    traceback.print_exc()
    if interruption.requested:
        return Interrupted(f"Stopped by SIGTERM ({error}).")
    return Failure("TrainingFailed", f"{type(error).__name__}: {error}")


def _fail(failure: Failure, reports: Reports | None) -> int:
    """Every rank may write: the first to fail keeps its words, see `record.write`.

    How training went until then is told, too: nothing shows better what went wrong.
    """
    try:
        identity = Identity.read(os.environ)
    except Failure:
        identity = Identity("", 0)
    print(f"{failure.reason}: {failure}", file=sys.stderr, flush=True)
    final = record.of_failure(identity, failure.reason, str(failure))
    _leave(final)
    if reports and reports.curves:
        reports.end(final)
    return failure.exit_code


def _leave(final: dict[str, Any]) -> None:
    """Of several ranks that fail, only the one whose record is kept prints it."""
    if record.write(final, record_path(os.environ)):
        # One write with its newline: print makes two, and ranks share the output.
        sys.stdout.write(record.encode(final).decode() + "\n")
        sys.stdout.flush()


def end(code: int) -> NoReturn:
    """End this process without tearing the interpreter down.

    The threads of a process group that is still open abort a process that tears down under them (exit code 134), and
    after SIGTERM it is open: ranks leave at once, none waits for the others.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
