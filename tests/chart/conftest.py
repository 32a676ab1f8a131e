"""Every test of the chart runs with both major versions of Helm."""

from typing import cast

import pytest

from tests.chart.helm import PROGRAMS, Helm


@pytest.fixture(scope="session", params=PROGRAMS)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    program = cast(str, request.param)
    return Helm(program, tmp_path_factory.mktemp(program))
