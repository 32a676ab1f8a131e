"""A cluster of the harness ends without a trace, also where whoever started it was killed.

What is left is looked for on the whole machine: nobody else may start or end containers meanwhile.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.cluster.engine import engine
from tests.cluster.engine.footprint import appeared, footprint
from tests.cluster.kind import KindCluster, end_abandoned
from tests.cluster.kind_nodes import NodeContainers
from tests.waiting import until

pytestmark = pytest.mark.engine


def _before() -> dict[str, set[str]]:
    """What is on the machine, without a private engine unless others use it."""
    engine.stop()
    return footprint()


@pytest.fixture
def other() -> Iterator[KindCluster]:
    """A cluster of one node; ended after the test."""
    cluster = KindCluster(f"other-{uuid4().hex[:6]}", workers=0)
    yield cluster
    cluster.down()


@dataclass(frozen=True)
class Life:
    """What was seen of a bare cluster that was started and ended while KUBECONFIG named another file."""

    answer: str
    """Its API server's word on itself, while it ran."""
    decoy_written: bool
    left: dict[str, set[str]]
    folder_left: bool


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    """One whole life of a cluster, for all tests that look at it."""
    cluster = KindCluster(f"other-{uuid4().hex[:6]}", workers=0)
    decoy = cluster.folder.parent / f"{cluster.name}-decoy"
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("KUBECONFIG", str(decoy))
            before = _before()
            cluster.start()
            answer = cluster.kubectl("get", "--raw=/readyz")
            cluster.down()
        yield Life(answer, decoy.exists(), appeared(before, footprint()), cluster.folder.exists())
    finally:
        cluster.down()
        decoy.unlink(missing_ok=True)


def test_the_kubeconfig_of_the_user_is_not_touched(life: Life) -> None:
    assert life.answer == "ok"
    assert not life.decoy_written


def test_an_ended_cluster_leaves_nothing_on_the_machine(life: Life) -> None:
    assert life.left == {}
    assert not life.folder_left


def test_a_cluster_whose_owner_was_killed_while_it_started_is_ended(other: KindCluster) -> None:
    before = _before()
    start = "from tests.cluster.kind import KindCluster; from tests.cluster.processes import Identity\n"
    start += f"KindCluster({other.name!r}, workers=0, owner=Identity.of_this_process()).start()"
    with subprocess.Popen([sys.executable, "-c", start]) as starter:
        until(
            lambda: (it := engine.current()) is not None and NodeContainers(other.name, it).running(),
            "its nodes' containers",
        )
        os.kill(starter.pid, signal.SIGKILL)
    end_abandoned()
    assert appeared(before, footprint()) == {}
    assert not other.folder.exists()


def test_down_without_a_cluster_does_nothing(other: KindCluster) -> None:
    before = _before()
    other.down()
    assert appeared(before, footprint()) == {}
