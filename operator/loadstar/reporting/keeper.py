"""Keeps the certificates in a Secret of the operator's namespace, so that pods go on to trust a restarted operator."""

import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from loadstar.clients.errors import ClientError, Conflict, Forbidden, NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.resources import SECRETS
from loadstar.reporting.certificates import Certificates, up_to_date

log = logging.getLogger(__name__)

_FIELDS: Final = {
    "authority": "ca.crt",
    "authority_key": "ca.key",
    "server": "tls.crt",
    "server_key": "tls.key",
}
_TRIES: Final = 3
"""Two operators may come to renew at the same moment; whoever is late takes what the other wrote."""


@dataclass(slots=True)
class Keeper:
    """The certificates of one Secret, for these host names."""

    kube: Kube
    namespace: str
    name: str
    hosts: tuple[str, ...]
    _last: Certificates | None = None

    async def certificates(self, now: datetime) -> Certificates:
        """What is kept, renewed and stored where it is due. Where the Secret can't be read or written, they are only
        remembered, and a warning says what that means. Never raises what the client raises."""
        for _ in range(_TRIES):
            try:
                self._last = await self._renewed(now)
                break
            except Conflict:
                continue
            except ClientError as error:
                log.warning(
                    "the Secret %s/%s can't be used, so running pods can't report to the operator after this one: %s",
                    self.namespace,
                    self.name,
                    error,
                )
                break
        self._last = up_to_date(self._last, self.hosts, now)
        return self._last

    async def _renewed(self, now: datetime) -> Certificates:
        try:
            secret = await self.kube.get(SECRETS, self.name, self.namespace)
        except NotFound:
            fresh = up_to_date(self._last, self.hosts, now)
            await self._create(fresh)
            return fresh
        kept = _read(secret)
        fresh = up_to_date(kept, self.hosts, now)
        if fresh != kept:
            await self.kube.replace(SECRETS, {**secret, "data": _data(fresh)}, self.namespace)
        return fresh

    async def _create(self, certificates: Certificates) -> None:
        body = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "type": "Opaque",
            "data": _data(certificates),
        }
        try:
            await self.kube.create(SECRETS, body, self.namespace)
        except Forbidden as error:
            raise Forbidden(f"{error}; it is part of the chart, install that again", status=403) from error


def _data(certificates: Certificates) -> dict[str, str]:
    return {key: base64.b64encode(getattr(certificates, field)).decode() for field, key in _FIELDS.items()}


def _read(secret: Mapping[str, Any]) -> Certificates | None:
    """None where the Secret is empty, as the chart makes it, or holds something else."""
    data = secret.get("data") or {}
    try:
        return Certificates(**{field: base64.b64decode(data[key]) for field, key in _FIELDS.items()})
    except (KeyError, TypeError, binascii.Error):
        return None
