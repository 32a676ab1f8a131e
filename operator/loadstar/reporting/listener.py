"""Accepts TLS connections, never more than can be borne: so many at a time, so many a second, none for long.

What a connection costs is counted from before its handshake, which is the dear part. Each serves one request and lives
for a few seconds whatever it does, so a peer that sends byte by byte, or nothing, only holds its own share.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

from loadstar.reporting.limits import Bucket, Buckets, Rate

_BACKLOG = 512
_TROUBLE_SECONDS = 0.1
"""Pause where the system gives no connection, for want of file descriptors."""

OPENED = Rate(300.0, 600.0)
"""Connections that all may open; what a second of handshakes costs is some 0.3 s."""
OPENED_OF_A_PEER = Rate(150.0, 300.0)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one peer, and all together, may hold and open. A peer is an address: behind a masquerading network all
    pods are one, so its share is far above what jobs need, and below what hurts."""

    at_once: int = 512
    at_once_of_a_peer: int = 128
    opened: Rate = OPENED
    opened_of_a_peer: Rate = OPENED_OF_A_PEER
    seconds: float = 10.0
    """A connection ends after this long."""
    handshake_seconds: float = 5.0


@dataclass(slots=True)
class Listener:
    """Connections to `protocol`, over TLS as `context` says it at the time. `refused` is told of each turned away."""

    protocol: Callable[[], asyncio.Protocol]
    context: Callable[[], ssl.SSLContext]
    limits: ConnectionLimits
    refused: Callable[[], None] = field(default=lambda: None)
    _open: Counter[str] = field(default_factory=Counter)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, listening: socket.socket) -> None:
        """Accept until cancelled; open connections are then cut."""
        loop = asyncio.get_running_loop()
        everybody = Bucket(self.limits.opened, self.limits.opened.burst, monotonic())
        peers: Buckets[str] = Buckets(self.limits.opened_of_a_peer)
        try:
            while True:
                if wait := everybody.take(monotonic()):  # the rest waits in the kernel, at no cost to us
                    await asyncio.sleep(wait)
                    continue
                try:
                    connection, address = await loop.sock_accept(listening)
                except OSError:
                    await asyncio.sleep(_TROUBLE_SECONDS)
                    continue
                peer = str(address[0])
                if self._is_full(peer) or peers.take(peer, monotonic()):
                    self.refused()
                    connection.close()
                    continue
                self._start(connection, peer)
        finally:
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    def _is_full(self, peer: str) -> bool:
        full = len(self._serving) >= self.limits.at_once
        return full or self._open[peer] >= self.limits.at_once_of_a_peer

    def _start(self, connection: socket.socket, peer: str) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._serving.add(task)
        self._open[peer] += 1
        task.add_done_callback(lambda ended: self._ended(ended, peer))

    def _ended(self, task: asyncio.Task[None], peer: str) -> None:
        self._serving.discard(task)
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]

    async def _serve(self, connection: socket.socket) -> None:
        """From the handshake to the end, at most `seconds`."""
        watched = _Watched(self.protocol())
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.seconds):
                await loop.connect_accepted_socket(
                    lambda: watched,
                    connection,
                    ssl=self.context(),
                    ssl_handshake_timeout=self.limits.handshake_seconds,
                )
                await watched.lost.wait()
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError: not TLS, or not ours
            pass
        finally:
            watched.cut()
            connection.close()


class _Watched(asyncio.Protocol):
    """A protocol of which it is known when its connection is lost."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no common class
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._inner.connection_lost(error)
        self.lost.set()

    def cut(self) -> None:
        """End the connection at once, if it is not over."""
        if self._transport is not None and not self.lost.is_set():
            self._transport.abort()


def listening_socket(address: str, port: int) -> socket.socket:
    """A socket that listens. Raises OSError where the port is taken."""
    listening = socket.create_server((address, port), backlog=_BACKLOG)
    listening.setblocking(False)
    return listening
