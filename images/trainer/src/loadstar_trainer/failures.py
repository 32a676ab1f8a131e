"""The ways a run ends other than well, each with the reason and the exit code that the operator acts on."""

# The operator never retries 65 (sysexits' EX_DATAERR): the job as written fails alike in every attempt.
EXIT_REFUSED = 65
EXIT_FAILED = 1
EXIT_INTERRUPTED = 143
# sysexits' EX_TEMPFAIL: another rank is gone, which says nothing against the job; its restart is not counted.
EXIT_PEER_LOST = 75


class Failure(Exception):
    """A run that cannot go on; `reason` is one CamelCase word, the text a sentence for the job's owner."""

    exit_code = EXIT_FAILED

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Refused(Failure):
    """The job as written cannot run; the message names the field and what to change."""

    exit_code = EXIT_REFUSED


class Interrupted(Failure):
    """SIGTERM reached a rank and all ranks stopped after the same step."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, message: str) -> None:
        super().__init__("Interrupted", message)


class PeerLost(Failure):
    """Another rank is gone, and no rank can go on without it; that rank knows why."""

    exit_code = EXIT_PEER_LOST

    def __init__(self, message: str) -> None:
        super().__init__("PeerLost", message)
