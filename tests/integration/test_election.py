"""The Lease on a real API server, with holders that are killed and frozen."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadstar.clients.connection import connect
from loadstar.clients.errors import NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.resources import LEASES
from loadstar.controller.election import LIMITS, Election
from tests.cluster.fixtures import Cluster
from tests.integration.holder import LOST, quick

pytestmark = pytest.mark.controlplane


@pytest.fixture
async def kube(control_plane: Cluster) -> AsyncIterator[Kube]:
    async with Kube(await connect(str(control_plane.kubeconfig)), limits=LIMITS) as client:
        yield client


@asynccontextmanager
async def holder(cluster: Cluster, namespace: str) -> AsyncIterator[Process]:
    """Another process that holds the Lease; killed at the end, if it is still there."""
    command = ("-m", "tests.integration.holder", str(cluster.kubeconfig), namespace)
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"leading\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def candidate(kube: Kube, namespace: str, identity: str = "candidate") -> Election:
    return Election(kube, quick(namespace), identity)


async def test_a_holder_that_is_killed_is_followed(
    kube: Kube, control_plane: Cluster, namespace: str
) -> None:
    async with holder(control_plane, namespace) as process:
        following = asyncio.create_task(candidate(kube, namespace).acquire())
        process.kill()
        await asyncio.wait_for(following, 90)
    lease = await kube.get(LEASES, "loadstar", namespace)
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("candidate", 1)


async def test_a_holder_that_was_frozen_ends_when_it_finds_itself_followed(
    kube: Kube, control_plane: Cluster, namespace: str
) -> None:
    async with holder(control_plane, namespace) as process:
        process.send_signal(signal.SIGSTOP)
        await asyncio.wait_for(candidate(kube, namespace).acquire(), 90)
        process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(process.wait(), 90) == LOST


async def test_a_restarted_process_of_the_same_identity_takes_over_at_its_first_look(
    kube: Kube, namespace: str
) -> None:
    await candidate(kube, namespace, "pod-1").acquire()
    assert await candidate(kube, namespace, "pod-1")._attempt()


async def test_a_lease_that_was_given_up_is_taken_at_the_first_look(kube: Kube, namespace: str) -> None:
    first = candidate(kube, namespace, "first")
    await first.acquire()
    second = candidate(kube, namespace, "second")
    assert not await second._attempt()
    await first.release()
    assert await second._attempt()


async def test_of_many_that_want_a_new_lease_one_gets_it(kube: Kube, namespace: str) -> None:
    candidates = [candidate(kube, namespace, f"c-{number}") for number in range(8)]
    won = await asyncio.gather(*(one._attempt() for one in candidates))
    assert won.count(True) == 1


async def test_a_namespace_that_is_not_there_is_told_with_what_to_do(kube: Kube) -> None:
    with pytest.raises(NotFound, match="create it, or name another with LOADSTAR_NAMESPACE"):
        await candidate(kube, "no-such-namespace").acquire()
