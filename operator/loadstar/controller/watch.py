"""Kopf as it is run here: it lists and watches, and calls the handlers."""

import asyncio
from typing import Any

import kopf
from kopf._core.engines.peering import Identity

from loadstar.clients.connection import Connection, Credentials
from loadstar.controller.handlers import kopf_settings


async def watch(
    registry: kopf.OperatorRegistry, connection: Connection, name: str, ends: asyncio.Event
) -> None:
    """Watch what `registry` has handlers for until `ends`, which is set at the end: Kopf takes the process's signals
    for itself, so that its end is the end of all."""
    settings = kopf.OperatorSettings()
    kopf_settings(settings)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _login(await connection.credentials())

    await kopf.operator(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=True,
        stop_flag=ends,
        identity=Identity(name),  # Kopf would ask for the name of the user, and in a container there is none
    )
    ends.set()


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
