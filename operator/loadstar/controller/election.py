"""One replica acts: whoever holds a Lease. The others wait; who loses it must end at once.

The official client's lock is not used: it keeps time by the wall clock and writes local time as UTC, a refused
connection ends its loop, and a renewal may wait five minutes for an answer, long after somebody else took over.

Safe without synchronised clocks: a candidate measures by its own clock for how long it has seen the Lease
unchanged, and a holder stops (`renew`) well before any candidate can have waited that long (`duration`).
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from loadstar.clients.errors import ClientError, Conflict, NotFound
from loadstar.clients.kube import Kube, Limits, Object
from loadstar.clients.resources import LEASES
from loadstar.clients.retry import Retry

log = logging.getLogger(__name__)

LIMITS: Final = Limits(concurrency=1, timeout=4.0, retry=Retry(attempts=1))
"""For the client that renews: the next renewal is the repetition, and each has to be over before the next."""
RELEASED_SECONDS: Final = 1
"""Duration written into a Lease that is given up; the API wants at least 1."""


class LeadershipLost(Exception):
    """Somebody else may act from now on: the process must end, with a non-zero exit code."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The Lease and its times in seconds: duration > renew > retry."""

    namespace: str
    name: str = "loadstar"
    duration: float = 12.0
    """Unchanged for this long, the Lease may be taken by anybody."""
    renew: float = 8.0
    """Not renewed for this long, the holder gives up."""
    retry: float = 2.0
    """Between two renewals or looks."""


def identity(chosen: str = "") -> str:
    """Who we are: `chosen`, or host name and random letters, so that two processes of a host differ."""
    return chosen or f"{socket.gethostname()}_{secrets.token_hex(4)}"


@dataclass(slots=True)
class Election:
    """One candidate. `kube` should be its own, with LIMITS: renewals must not queue behind a thousand launches."""

    kube: Kube
    terms: Terms
    identity: str
    clock: Callable[[], float] = time.monotonic
    _seen: Object = field(default_factory=dict)
    """The Lease as last read or written."""
    _since: float = 0.0
    """When, by our clock, the Lease was first seen as it is."""
    _renewed: float = 0.0
    """When, by our clock, the last renewal that succeeded was sent."""

    async def acquire(self) -> None:
        """Wait until the Lease is ours. Raises NotFound where the namespace does not exist."""
        waiting_for = ""
        while not await self._attempt():
            holder = _holder(self._seen)
            if holder != waiting_for:
                log.info("waiting for the Lease %s, held by %s", self.terms.name, holder or "nobody")
                waiting_for = holder
            await asyncio.sleep(self._patience())
        log.info("%s holds the Lease %s/%s", self.identity, self.terms.namespace, self.terms.name)

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeadershipLost."""
        while True:
            await asyncio.sleep(self.terms.retry)
            left = self._renewed + self.terms.renew - self.clock()
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    kept = await self._attempt()
            except TimeoutError:
                kept = False
            if not kept and _holder(self._seen) not in {self.identity, ""}:
                raise LeadershipLost(f"the Lease {self.terms.name} was taken by {_holder(self._seen)}")
            if not kept and self.clock() - self._renewed >= self.terms.renew:
                raise LeadershipLost(
                    f"the Lease {self.terms.name} could not be renewed for {self.terms.renew:g} s"
                )

    async def release(self) -> None:
        """Give the Lease up, so that the next one need not wait. For an orderly end; errors are only logged."""
        if _holder(self._seen) != self.identity:
            return
        spec = self._seen["spec"] | {"holderIdentity": "", "leaseDurationSeconds": RELEASED_SECONDS}
        try:
            await self.kube.replace(LEASES, self._seen | {"spec": spec}, self.terms.namespace)
        except ClientError as error:
            log.warning("the Lease was not given up, the next holder waits for it to expire: %s", error)

    async def _attempt(self) -> bool:
        """Take or renew the Lease if we may. False: not now; troubles with the API server are only logged."""
        sent = self.clock()
        lease: Object | None = None
        try:
            lease = await self._read()
            if lease is None:
                written = await self.kube.create(LEASES, self._claim({}), self.terms.namespace)
            elif self._may_claim(lease):
                written = await self.kube.replace(LEASES, self._claim(lease), self.terms.namespace)
            else:
                return False
        except Conflict:  # another candidate, or our own write whose answer was lost: the next look tells
            return False
        except NotFound as error:
            if lease is not None:  # deleted since we read it: made anew at the next look
                return False
            raise NotFound(
                f"{error}; the Lease lives in the namespace {self.terms.namespace}: create it, or name another "
                "with LOADSTAR_NAMESPACE",
                status=404,
            ) from error
        except ClientError as error:
            log.warning("the Lease %s: %s", self.terms.name, error)
            return False
        self._note(written)
        self._renewed = sent
        return True

    async def _read(self) -> Object | None:
        try:
            lease = await self.kube.get(LEASES, self.terms.name, self.terms.namespace)
        except NotFound:
            return None
        self._note(lease)
        return lease

    def _note(self, lease: Object) -> None:
        if lease["metadata"]["resourceVersion"] != self._seen.get("metadata", {}).get("resourceVersion"):
            self._since = self.clock()
        self._seen = lease

    def _may_claim(self, lease: Object) -> bool:
        return _holder(lease) in {"", self.identity} or self._unchanged() >= self._duration(lease)

    def _unchanged(self) -> float:
        """For how long, by our own clock, the Lease has been as it is."""
        return self.clock() - self._since

    def _duration(self, lease: Object) -> float:
        """The holder's own word counts, as it may run with other settings than ours."""
        return float(lease.get("spec", {}).get("leaseDurationSeconds") or self.terms.duration)

    def _patience(self) -> float:
        """Until the next look: the usual time, or just until the Lease runs out where that is sooner."""
        left = self._duration(self._seen) - self._unchanged()
        return min(self.terms.retry, left) if left > 0 else self.terms.retry

    def _claim(self, lease: Object) -> Object:
        """The Lease with us as its holder; keeps the resourceVersion, so that of two claims only one wins."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict(lease.get("spec") or {})
        if _holder(lease) != self.identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if lease else 0)
        spec |= {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.terms.duration)),
            "renewTime": now,
        }
        metadata = lease.get("metadata") or {"name": self.terms.name, "namespace": self.terms.namespace}
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def _holder(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")
