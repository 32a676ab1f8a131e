"""Events on TrainingJobs, for `kubectl describe`: told in passing, written in their own time, never in the way.

What repeats itself within ten minutes counts up one Event instead of making another; a flood is spread out,
so that telling never takes the API server's time from launching.
"""

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from loadstar.api import labels
from loadstar.api.text import one_line
from loadstar.clients.errors import AlreadyExists, ClientError, NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.resources import EVENTS
from loadstar.core.decisions import Event

log = logging.getLogger(__name__)

SERIES_SECONDS: Final = 600.0
"""The same event again within this time of its last telling counts up the first."""
REMEMBERED: Final = 4096
"""Events that can be counted up; of more, the ones not told for longest are forgotten."""
BACKLOG: Final = 10_000
"""Events told and not written yet; beyond it, new ones are lost (and counted as lost)."""
PAUSE_SECONDS: Final = 0.02
"""Between two writes: at most about forty a second, a small part of what a burst of launches takes."""
BUSY_SECONDS: Final = 0.25
"""Between two looks whether it is still busy."""
PATIENCE_SECONDS: Final = 20.0
"""How long an Event may be held back by other work."""
NOTE_BYTES: Final = 1024
"""The API server refuses longer messages."""
ACTION: Final = "Reconcile"
CONTROLLER: Final = f"{labels.GROUP}/operator"

Key = tuple[str, str]
"""Namespace and name of a TrainingJob."""


@dataclass(frozen=True, slots=True)
class _Told:
    key: Key
    uid: str
    event: Event
    at: float


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    last: float


class Events:
    """Tells Events. `tell` is for everybody, `run` is the one task that writes them."""

    def __init__(
        self,
        kube: Kube,
        instance: str,
        clock: Callable[[], float],
        lost: Callable[[], None],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`instance` names this operator process, `clock` gives Unix seconds, `lost` counts what was dropped.

        While `busy` says so, writing waits, but no Event for longer than PATIENCE_SECONDS.
        """
        self._kube = kube
        self._instance = instance[:128]
        self._clock = clock
        self._lost = lost
        self._busy = busy
        self._backlog: asyncio.Queue[_Told] = asyncio.Queue(BACKLOG)
        self._series: OrderedDict[tuple[str, str, str, bool], _Series] = OrderedDict()
        self._number = itertools.count()

    def tell(self, key: Key, uid: str, event: Event) -> None:
        """Have an Event written on the TrainingJob `key` of that uid. Returns at once and never raises."""
        try:
            self._backlog.put_nowait(_Told(key, uid, event, self._clock()))
        except asyncio.QueueFull:
            self._lost()

    async def run(self) -> None:
        """Write what is told, until cancelled."""
        while True:
            told = await self._backlog.get()
            while self._busy() and self._clock() - told.at < PATIENCE_SECONDS:
                await asyncio.sleep(BUSY_SECONDS)
            await self._write(told)
            await asyncio.sleep(PAUSE_SECONDS)

    async def drain(self) -> None:
        """Write what is still waiting; for an orderly end, within a time-out of the caller's."""
        while not self._backlog.empty():
            await self._write(self._backlog.get_nowait())

    async def _write(self, told: _Told) -> None:
        try:
            await self._count_up_or_create(told)
        except ClientError as error:
            self._lost()
            log.warning("%s/%s: event %s is lost: %s", *told.key, told.event.reason, error)

    async def _count_up_or_create(self, told: _Told) -> None:
        note = one_line(told.event.message, NOTE_BYTES)
        same = (told.uid, told.event.reason, note, told.event.warning)
        series = self._series.get(same)
        if (
            series is not None
            and told.at - series.last <= SERIES_SECONDS
            and await self._count_up(series, told)
        ):
            self._series.move_to_end(same)
            return
        self._series[same] = _Series(await self._create(told, note), 1, told.at)
        self._series.move_to_end(same)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

    async def _count_up(self, series: _Series, told: _Told) -> bool:
        """Whether the Event was still there to be counted up: the API server forgets them after an hour."""
        patch = {"series": {"count": series.count + 1, "lastObservedTime": _micro_time(told.at)}}
        try:
            await self._kube.patch(EVENTS, series.name, told.key[0], patch)
        except NotFound:
            return False
        series.count += 1
        series.last = told.at
        return True

    async def _create(self, told: _Told, note: str) -> str:
        namespace, job = told.key
        name = f"{job}.{int(told.at * 1e6):x}{next(self._number) % 4096:03x}"
        body: dict[str, Any] = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": _micro_time(told.at),
            "type": "Warning" if told.event.warning else "Normal",
            "reason": told.event.reason,
            "action": ACTION,
            "note": note,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": labels.API_VERSION,
                "kind": labels.KIND,
                "namespace": namespace,
                "name": job,
                "uid": told.uid,
            },
        }
        try:
            await self._kube.create(EVENTS, body, namespace)
        except AlreadyExists:  # the first try's answer was lost on its way
            log.debug("event %s was there already", name)
        return name


def _micro_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
