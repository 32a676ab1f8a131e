"""A candidate as a process of its own, to be killed: `python -m tests.integration.holder KUBECONFIG NAMESPACE`.

Prints `leading` once it holds the Lease, and ends with exit code 3 when it loses it.
"""

import asyncio
import sys

from loadstar.clients.connection import connect
from loadstar.clients.kube import Kube
from loadstar.controller.election import LIMITS, Election, LeadershipLost, Terms

LOST = 3


def quick(namespace: str) -> Terms:
    """The usual Lease, in a hurry."""
    return Terms(namespace, duration=3.0, renew=2.0, retry=0.3)


async def lead(kubeconfig: str, namespace: str) -> None:
    async with Kube(await connect(kubeconfig), limits=LIMITS) as kube:
        election = Election(kube, quick(namespace), "holder")
        await election.acquire()
        print("leading", flush=True)
        await election.hold()


if __name__ == "__main__":
    try:
        asyncio.run(lead(*sys.argv[1:3]))
    except LeadershipLost as lost:
        print(lost, flush=True)
        sys.exit(LOST)
