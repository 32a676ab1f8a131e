"""One query to Prometheus's HTTP API, bounded in time and size; an answer that is not whole is none."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from loadstar.clients.errors import ConfigurationError, MetricsError

MAX_BYTES: Final = 64 * 2**20
"""Longest answer that is read: half an hour of history for ten thousand nodes takes about a quarter of it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Prometheus is and how to be let in; the fields are the settings `prometheus_*`."""

    url: str
    timeout: float = 5.0
    """Seconds for one query."""
    token_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and (Unix seconds, value) pairs; an instant query gives one."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class QueryApi:
    """Asks one Prometheus server. Raises MetricsError, and nothing else."""

    def __init__(self, endpoint: Endpoint, max_bytes: int = MAX_BYTES) -> None:
        """Raises ConfigurationError where the CA file cannot be read."""
        self._endpoint = endpoint
        self._max_bytes = max_bytes
        self._url = URL(endpoint.url)
        self._tls = _trust(endpoint.ca_file)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def instant(self, query: str) -> list[Series]:
        """The query's value now, by Prometheus's clock."""
        return await self._ask("query", {"query": query}, "vector")

    async def range(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """The query's values from `start` to `end` (Unix seconds), every `step` seconds."""
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return await self._ask("query_range", {"query": query} | span, "matrix")

    async def _ask(self, path: str, parameters: Mapping[str, str], result_type: str) -> list[Series]:
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                status, kind, body = await self._get(path, parameters)
            return _result(status, kind, body, result_type)
        except MetricsError as error:
            problem = str(error)
        except TimeoutError:
            problem = f"no answer within {self._endpoint.timeout:g} s"
        except (OSError, ValueError, aiohttp.ClientError) as error:  # ValueError: a token no header can hold
            problem = f"{error or type(error).__name__}"
        raise MetricsError(f"Prometheus at {self._url.with_user(None)}: {problem}")

    async def _get(self, path: str, parameters: Mapping[str, str]) -> tuple[int, str, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        headers = {"Accept": "application/json"}
        if self._endpoint.token_file:
            headers["Authorization"] = f"Bearer {Path(self._endpoint.token_file).read_text().strip()}"
        async with self._session.get(
            self._url / "api/v1" / path,
            params=parameters,
            headers=headers,
            ssl=self._tls or True,
            allow_redirects=False,  # a redirect leads to a login page, never to an answer
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(2**16):
                body += chunk
                if len(body) > self._max_bytes:
                    raise MetricsError(f"the answer is longer than {self._max_bytes} bytes")
            return response.status, response.content_type, bytes(body)


def _trust(ca_file: str) -> ssl.SSLContext | None:
    if not ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA of Prometheus at {ca_file} cannot be read: {error}") from error


def _result(status: int, kind: str, body: bytes, result_type: str) -> list[Series]:
    """The series of a whole and successful answer. Raises MetricsError for any other."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise MetricsError(
            f"answered {status} with {kind or 'nothing'} instead of JSON: is the address right?"
        )
    if status != 200 or answer.get("status") != "success":
        raise MetricsError(f"answered {status}: {answer.get('error') or 'no explanation given'}")
    if answer.get("warnings") or answer.get("isPartial"):
        raise MetricsError(f"the answer is not complete: {answer.get('warnings') or 'partial response'}")
    try:
        data = answer["data"]
        if data["resultType"] != result_type:
            raise MetricsError(f"the answer holds a {data['resultType']}, not a {result_type}")
        return [_series(one, result_type) for one in data["result"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MetricsError(f"the answer is not in Prometheus's format: {error!r}") from error


def _series(one: dict[str, Any], result_type: str) -> Series:
    points = one["values"] if result_type == "matrix" else [one["value"]]
    labels = {str(name): str(value) for name, value in one["metric"].items()}
    return Series(labels, tuple((float(at), float(value)) for at, value in points))
