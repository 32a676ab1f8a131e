"""Fixtures for all tests; see the modules that are named here."""

import asyncio

pytest_plugins = [
    "tests.cluster.fixtures",
    "tests.cluster.kind_fixtures",
    "tests.cluster.monitoring.fixtures",
]


def pytest_configure() -> None:
    """Say that there is no event loop, so that none is made for the asking.

    Python 3.11 makes one for pytest-asyncio, which asks what to restore after an async test; nobody closes it,
    and its warning, an error here, hits whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)
