"""When the next attempt may start, read from how often and why the last ones ended."""

from loadstar.core.jobs import JobState

LAUNCH_FAILED = "LaunchFailed"
"""Reason of an attempt whose pods the API server refused."""
RELAUNCH_SECONDS = 30.0
"""How long a gang whose pods the API server refused waits before it is tried again."""
BACKOFF_SECONDS = 10.0
BACKOFF_CAP_SECONDS = 360.0
"""Waits before counted restart n: BACKOFF_SECONDS doubled each time, up to the cap (as batch/v1 Job does)."""


def retry_at(state: JobState) -> float:
    """When the next attempt may start: at once, unless the last one ended by the program's own failure."""
    failure = state.last_failure
    if failure is None or failure.attempt != state.attempt:
        return 0.0
    if failure.reason == LAUNCH_FAILED:
        return failure.at + RELAUNCH_SECONDS
    if failure.exit_code is None:
        return 0.0
    return failure.at + backoff(state)


def backoff(state: JobState) -> float:
    """Seconds that the next counted restart waits."""
    if state.restarts_counted == 0:
        return 0.0
    return float(min(BACKOFF_SECONDS * 2.0 ** (state.restarts_counted - 1), BACKOFF_CAP_SECONDS))
