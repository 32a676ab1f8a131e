"""The way to one API server: address, TLS and credentials, kept fresh, and one HTTP exchange at a time.

kubernetes.aio reads the kubeconfig or the pod's service account and owns the HTTP session; its generated
API, with typed models, is left aside: bodies go out and come back as plain JSON.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.aio.config.kube_config import load_kube_config

import loadstar
from loadstar.clients.errors import ConfigurationError

REFRESH_SECONDS: Final = 60.0
"""Credentials are read again this often: bound tokens on disk are replaced well before they expire."""
POOL: Final = 128
"""Connections to the API server at most; the callers' own bound on concurrency is lower."""
_TOKEN: Final = "BearerToken"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request as the API server gets it; `body` is sent as JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """What another client of the same process (Kopf's watches) needs to reach the same server."""

    server: str
    token: str
    """With its scheme, as the Authorization header has it; empty with client certificates."""
    ca_path: str
    certificate_path: str
    key_path: str
    insecure: bool


class Connection:
    """An authenticated session with one API server. Made by `connect`, closed by `close`."""

    def __init__(self, configuration: Configuration, reload: Callable[[], Awaitable[None]]) -> None:
        self._configuration = configuration
        self._reload = reload
        self._http = RESTClientObject(configuration)
        self._read_at = time.monotonic()
        self._lock = asyncio.Lock()

    @property
    def server(self) -> str:
        return str(self._configuration.host)

    async def credentials(self) -> Credentials:
        """The credentials as they are now, read again first where they are due."""
        await self._refresh_when_due()
        configuration = self._configuration
        return Credentials(
            server=self.server,
            token=configuration.api_key.get(_TOKEN, ""),
            ca_path=configuration.ssl_ca_cert or "",
            certificate_path=configuration.cert_file or "",
            key_path=configuration.key_file or "",
            insecure=not configuration.verify_ssl,
        )

    async def exchange(self, request: Exchange, timeout: float) -> Answer:
        """Send one request and read its response within `timeout` seconds.

        Raises OSError, TimeoutError or aiohttp.ClientError; an HTTP error status is an answer like any other.
        """
        response = await self._send(request, aiohttp.ClientTimeout(total=timeout))
        try:
            return Answer(response.status, response.headers, await response.read())
        finally:
            response.release()

    @asynccontextmanager
    async def stream(self, request: Exchange, silence: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and give its response to be read bit by bit; TimeoutError after `silence` seconds of none.

        Raises as `exchange` does, from reading too.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=silence, sock_read=silence)
        response = await self._send(request, limits)
        try:
            yield response
        finally:
            response.close()  # a stream that is left early can't be used again

    async def refresh(self, since: float) -> None:
        """Read the credentials again, unless that was done after `since` (time.monotonic()).

        So a hundred calls that are refused together read them once.
        """
        async with self._lock:
            if self._read_at > since:
                return
            await self._reload()
            if self._configuration.cert_file:  # a session keeps the certificate it was opened with
                stale, self._http = self._http, RESTClientObject(self._configuration)
                await stale.close()
            self._read_at = time.monotonic()

    async def close(self) -> None:
        await self._http.close()

    async def _send(self, request: Exchange, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        await self._refresh_when_due()
        sent = await self._http.request(
            request.method,
            self._url(request),
            headers=self._headers(request),
            body=request.body,
            _request_timeout=timeout,
        )
        response: aiohttp.ClientResponse = sent.response
        return response

    async def _refresh_when_due(self) -> None:
        if time.monotonic() - self._read_at < REFRESH_SECONDS or self._lock.locked():
            return
        async with self._lock:
            if time.monotonic() - self._read_at >= REFRESH_SECONDS:
                await self._reload()
                self._read_at = time.monotonic()

    def _url(self, request: Exchange) -> str:
        query = f"?{urlencode(request.query)}" if request.query else ""
        return f"{self.server}{request.path}{query}"

    def _headers(self, request: Exchange) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Content-Type": request.content_type,
            "User-Agent": f"loadstar/{loadstar.__version__}",
        }
        if token := self._configuration.api_key.get(_TOKEN):
            headers["Authorization"] = token
        return headers


async def connect(kubeconfig: str = "") -> Connection:
    """Open the way to the cluster that `kubeconfig` names (a path, or several joined by the path separator).

    An empty one means the pod's own service account, and outside of a pod kubectl's default file.
    Raises ConfigurationError.
    """
    if not kubeconfig and os.environ.get(SERVICE_HOST_ENV_NAME):
        return await _in_cluster()
    path = kubeconfig or str(Path.home() / ".kube" / "config")
    if not any(Path(part).expanduser().is_file() for part in path.split(os.pathsep)):
        raise ConfigurationError(
            f"no kubeconfig at {path}: name one with --kubeconfig, LOADSTAR_KUBECONFIG or KUBECONFIG"
        )
    return await _from_kubeconfig(path)


async def _in_cluster() -> Connection:
    configuration = _configuration()
    loader = InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, try_refresh_token=False)

    async def reload() -> None:
        try:
            loader.load_and_set(configuration)
        except (ConfigException, OSError) as error:
            raise ConfigurationError(f"the pod's service account cannot be read: {error}") from error

    await reload()
    return Connection(configuration, reload)


async def _from_kubeconfig(path: str) -> Connection:
    configuration = _configuration()

    async def reload() -> None:
        # The loader trusts the file's shape: a missing or misplaced key is any of these.
        shape = (ConfigException, OSError, yaml.YAMLError, TypeError, ValueError, KeyError, AttributeError)
        try:
            await load_kube_config(path, client_configuration=configuration, persist_config=False)
        except shape as error:
            raise ConfigurationError(f"kubeconfig {path}: {error}") from error

    await reload()
    return Connection(configuration, reload)


def _configuration() -> Configuration:
    configuration = Configuration()
    configuration.connection_pool_maxsize = POOL
    configuration.retries = None  # the retry policy is clients.retry's alone
    # Else aiohttp looks for a .netrc in a thread at every request; a proxy is in `configuration.proxy` already.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration
