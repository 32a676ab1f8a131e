"""When the next attempt may start, read from how often and why the last ones ended."""

from loadstar.core.jobs import JobState

LAUNCH_FAILED = "LaunchFailed"
"""Reason of an attempt whose pods the API server refused."""
PIN_EXPIRED = "PinExpired"
"""Reason of an attempt whose pods kube-scheduler could not bind; the time that this took is wait enough."""
PREEMPTED = "Preempted"
"""Reason of an attempt that was ended for another job; the queue is wait enough."""
RELAUNCH_SECONDS = 30.0
"""How long a gang whose pods the API server refused waits before it is tried again."""
COUNTED_SECONDS = 10.0
COUNTED_CAP_SECONDS = 360.0
"""Waits before counted restart n: COUNTED_SECONDS doubled each time, up to the cap (as batch/v1 Job does)."""
UNCOUNTED_SECONDS = 1.0
UNCOUNTED_CAP_SECONDS = 60.0
"""Waits before the second and later uncounted restarts: a node whose kubelet refuses every pod, at once and for ever,
must not make a loop of it. The first one does not wait."""


def retry_at(state: JobState) -> float:
    """When the next attempt may start (Unix seconds): at once, unless the last one's end asks for a wait."""
    failure = state.last_failure
    if failure is None or failure.attempt != state.attempt:
        return 0.0
    wait = wait_after_failure(state)
    return failure.at + wait if wait else 0.0


def wait_after_failure(state: JobState) -> float:
    """Seconds from the last failure to the next attempt."""
    failure = state.last_failure
    if failure is None or failure.reason in {PIN_EXPIRED, PREEMPTED}:
        return 0.0
    if failure.reason == LAUNCH_FAILED:
        return RELAUNCH_SECONDS
    if failure.exit_code is None:
        return _doubled(UNCOUNTED_SECONDS, state.restarts_infrastructure - 1, UNCOUNTED_CAP_SECONDS)
    return _doubled(COUNTED_SECONDS, state.restarts_counted, COUNTED_CAP_SECONDS)


def _doubled(first: float, times: int, cap: float) -> float:
    """`first` the first time, doubled each further time, up to the cap; 0 before the first time."""
    return 0.0 if times < 1 else min(first * 2.0 ** min(times - 1, 32), cap)
