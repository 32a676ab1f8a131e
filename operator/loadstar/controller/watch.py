"""Kopf as it is run here: it lists and watches, and calls the handlers."""

import asyncio
import signal
from typing import Any

import kopf
from kopf._core.engines.peering import Identity

from loadstar.clients.connection import Connection, Credentials
from loadstar.controller.handlers import kopf_settings


async def watch(
    registry: kopf.OperatorRegistry, connection: Connection, name: str, ends: asyncio.Event
) -> None:
    """Watch what `registry` has handlers for until `ends`, which is also set when Kopf ends by itself."""
    settings, started = kopf.OperatorSettings(), asyncio.Event()
    kopf_settings(settings)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _login(await connection.credentials())

    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(_take_signals(started, ends))
        await kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            clusterwide=True,
            ready_flag=started,
            stop_flag=ends,
            identity=Identity(
                name
            ),  # Kopf would ask for the name of the user, and in a container there is none
        )
        taking.cancel()
    ends.set()


async def _take_signals(started: asyncio.Event, ends: asyncio.Event) -> None:
    """Have the signals that end the process set `ends` again: Kopf takes them for itself when it starts, and before it
    told anybody of them it would wait five seconds for all tasks of the process, which are not its own."""
    await started.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ends.set)


def _login(credentials: Credentials) -> kopf.ConnectionInfo:
    scheme, _, token = credentials.token.partition(" ")
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.ca_path or None,
        insecure=credentials.insecure,
        certificate_path=credentials.certificate_path or None,
        private_key_path=credentials.key_path or None,
        scheme=scheme or None,
        token=token or None,
    )
