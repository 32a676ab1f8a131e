"""What a program of a user's own printed last: read once, at its end, where it left no record."""

import logging
from typing import Final

from loadstar.api import labels
from loadstar.api.convert import InvalidTrainingJob
from loadstar.api.pods import pod_name
from loadstar.api.printed import printed_metrics
from loadstar.clients.errors import Forbidden, Invalid, NotFound, Unavailable
from loadstar.clients.kube import Kube
from loadstar.controller.caches import Key, Tracked
from loadstar.core.results import Printed

log = logging.getLogger(__name__)

LARGEST: Final = 64 * 1024
"""Bytes of a log that are read."""
LINES: Final = (200, 20, 1)
"""Last lines that are asked for. The server cuts off the end of what is too large, which is what matters here: then
fewer lines are asked for."""


async def read_printed(kube: Kube, key: Key, tracked: Tracked, *, last_try: bool) -> Printed:
    """The metrics in the last lines of rank 0's log; a problem where nobody can read them any more.

    Raises Unavailable where another try may help, unless this is the last one.
    """
    namespace, name = key
    pod = pod_name(name, tracked.state.attempt, 0)
    try:
        text = await _last_lines(kube, pod, namespace)
    except NotFound:
        return _unreadable(key, f"the pod {pod} is gone")
    except (Forbidden, Invalid) as error:
        return _unreadable(key, str(error))
    except Unavailable as error:
        if not last_try:
            raise
        return _unreadable(key, str(error))
    return Printed(printed_metrics(text, _patterns(tracked)))


async def _last_lines(kube: Kube, pod: str, namespace: str) -> str:
    raw = b""
    for lines in LINES:
        raw = await kube.log(
            pod, namespace, container=labels.CONTAINER, tail_lines=lines, limit_bytes=LARGEST
        )
        if len(raw) < LARGEST:
            break
    return raw.decode(errors="replace")


def _patterns(tracked: Tracked) -> tuple[str, ...]:
    if isinstance(tracked.asked, InvalidTrainingJob):
        return ()
    wanted = tracked.asked[0].spec.trainer.log_metrics
    return wanted.patterns if wanted else ()


def _unreadable(key: Key, problem: str) -> Printed:
    log.warning("%s/%s: the log can't be read for metrics: %s", *key, problem)
    return Printed(problem=problem)
