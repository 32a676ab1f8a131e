"""Fixtures for all tests; see the modules that are named here."""

import asyncio

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.cluster.fixtures",
    "tests.cluster.kind_fixtures",
    "tests.cluster.monitoring.fixtures",
]

# Properties are judged by what they find, never by how fast the machine is. `make test` looks at the same examples each
# time, so that what is green stays so; `--hypothesis-profile=explore` looks for others.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("loadstar", _PATIENT, database=None, derandomize=True)
settings.register_profile("explore", _PATIENT)
settings.load_profile("loadstar")


def pytest_configure() -> None:
    """Say that there is no event loop, so that none is made for the asking.

    Python 3.11 makes one for pytest-asyncio, which asks what to restore after an async test; nobody closes it,
    and its warning, an error here, hits whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)
