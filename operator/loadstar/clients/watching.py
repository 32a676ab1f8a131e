"""Changes to a kind's objects, as the API server tells them.

Kopf watches what the operator is about. This is for what there is most of, the pods of everybody: an event costs about
0.15 ms of CPU, a third of what it costs through Kopf's queue and worker per object, which an index has no use for.
"""

import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic_core import from_json

from loadstar.clients.connection import Connection, Exchange
from loadstar.clients.errors import Unavailable, from_status
from loadstar.clients.resources import Resource

WATCH_SECONDS: Final = 300
"""The API server ends a watch after this long: a connection that died silently is noticed."""
SILENCE_SECONDS: Final = 70.0
"""The API server tells its version about once a minute where nothing changes; longer silence is a dead connection."""
BOOKMARK: Final = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Change:
    """An object as it is after a change, or as it was when it was deleted. Of a bookmark only its version counts."""

    type: str
    object: dict[str, Any]

    @property
    def version(self) -> str:
        """Where to go on after this change."""
        version: str = self.object["metadata"]["resourceVersion"]
        return version


async def watch(connection: Connection, resource: Resource, since: str) -> AsyncGenerator[Change]:
    """All changes after resourceVersion `since`, in their order, until the API server ends the watch.

    Raises Expired where `since` is too old: then only a list tells what is there. Raises Unavailable where the
    connection breaks, and what a refused call raises; refused credentials have been read again then.
    """
    query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": since}
    request = Exchange("GET", resource.path(), query | {"timeoutSeconds": str(WATCH_SECONDS)})
    call, sent = f"watch {request.path}", time.monotonic()
    try:
        async with connection.stream(request, SILENCE_SECONDS) as answer:
            if answer.status >= 300:
                if answer.status == 401:
                    await connection.refresh(sent)
                raise from_status(answer.status, _object(await answer.read()), call=call)
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for change in _changes(lines, call):
                    yield change
    except TimeoutError as error:
        raise Unavailable(f"{call}: nothing for {SILENCE_SECONDS:g} s") from error
    except (OSError, aiohttp.ClientError) as error:
        raise Unavailable(f"{call}: {error or type(error).__name__}") from error


def _changes(lines: list[bytes], call: str) -> Iterator[Change]:
    for line in lines:
        event = _object(line)
        if "type" not in event or not isinstance(event.get("object"), dict):
            raise Unavailable(f"{call}: not a change: {line[:200]!r}")
        if event["type"] == "ERROR":
            told = event["object"]
            raise from_status(told.get("code") or 500, told, call=call)
        yield Change(event["type"], event["object"])


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = from_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
