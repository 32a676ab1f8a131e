"""Whose token it is: asked of the API server once (TokenReview), and remembered for a while.

A token is bound to one job by its audience and to one pod by its uid. What it says of itself is read first, so that
rubbish never costs a call; only the API server's word counts in the end, which also knows tokens of pods that are gone.
"""

import base64
import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from loadstar.clients.errors import ClientError
from loadstar.clients.kube import Kube
from loadstar.clients.resources import TOKEN_REVIEWS
from loadstar.reporting.limits import Buckets, Rate

TRUSTED_SECONDS: Final = 300.0
"""How long an answer is believed: so long may a token still be used after its pod was deleted."""
REFUSED_SECONDS: Final = 30.0
REMEMBERED: Final = 4096
LONGEST_TOKEN: Final = 8192
REVIEWS_OF_A_PEER: Final = Rate(5.0, 256)
"""TokenReviews on behalf of one address: its pods' tokens all at once, but no flood of forged ones."""
POD_NAME: Final = "authentication.kubernetes.io/pod-name"
POD_UID: Final = "authentication.kubernetes.io/pod-uid"


class TokenRefused(Exception):
    """The token does not open anything here. `status` is 401 where another token might, 403 where none of this kind."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TooManyReviews(Exception):
    """Too many unknown tokens come from one address; `wait` in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__("too many tokens that are not known yet")
        self.wait = wait


class ReviewUnavailable(Exception):
    """The API server can't be asked now."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The pod that a token is bound to."""

    namespace: str
    pod: str
    uid: str


@dataclass(frozen=True, slots=True)
class _Claims:
    bearer: Bearer
    audiences: tuple[str, ...]
    expires: float


@dataclass(slots=True)
class Tokens:
    """Verifies tokens. `clock` gives Unix seconds; `known` says whether a job of ours has such a pod."""

    kube: Kube
    clock: Callable[[], float]
    known: Callable[[Bearer], bool]
    reviewed: Callable[[bool], None] = field(default=lambda _: None)
    """Told of every TokenReview, whether it was of a good token."""
    _remembered: "OrderedDict[bytes, tuple[float, Bearer | TokenRefused]]" = field(
        default_factory=OrderedDict
    )
    _peers: Buckets[str] = field(default_factory=lambda: Buckets(REVIEWS_OF_A_PEER))

    async def bearer(self, token: str, audience: str, peer: str) -> Bearer:
        """The pod that a token for `audience` belongs to.

        Raises TokenRefused, TooManyReviews, ReviewUnavailable.
        """
        now = self.clock()
        claims = read_claims(token)
        if claims.expires <= now:
            raise TokenRefused(401, "the token has expired: read its file again")
        if audience not in claims.audiences:
            raise TokenRefused(403, f"the token is not for {audience}")
        key = hashlib.sha256(f"{audience} {token}".encode()).digest()
        until, found = self._remembered.get(key, (0.0, None))
        if found is None or until <= now:
            if not self.known(claims.bearer):
                raise TokenRefused(403, "the token is not bound to a pod of this TrainingJob")
            if wait := self._peers.take(peer, now):
                raise TooManyReviews(wait)
            found = await self._review(token, audience, claims)
            lasts = TRUSTED_SECONDS if isinstance(found, Bearer) else REFUSED_SECONDS
            self._remember(key, min(now + lasts, claims.expires), found)
        if isinstance(found, TokenRefused):
            raise found
        return found

    def _remember(self, key: bytes, until: float, found: Bearer | TokenRefused) -> None:
        self._remembered[key] = (until, found)
        self._remembered.move_to_end(key)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    async def _review(self, token: str, audience: str, claims: _Claims) -> Bearer | TokenRefused:
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "metadata": {"name": "progress"},
            "spec": {"token": token, "audiences": [audience]},
        }
        try:
            answer = await self.kube.create(TOKEN_REVIEWS, body)
        except ClientError as error:
            raise ReviewUnavailable(str(error)) from error
        good = _accepted(answer.get("status") or {}, audience) == claims.bearer
        self.reviewed(good)
        return claims.bearer if good else TokenRefused(401, "the API server does not accept the token")


def read_claims(token: str) -> _Claims:
    """What a token says of itself; nothing of it is proven. Raises TokenRefused."""
    malformed = TokenRefused(
        401, "a projected service account token is needed: Authorization: Bearer <token>"
    )
    parts = token.split(".")
    if len(token) > LONGEST_TOKEN or len(parts) != 3 or not token.isascii():
        raise malformed
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        bound = claims["kubernetes.io"]
        expires = float(claims["exp"])
        namespace, pod = bound["namespace"], bound.get("pod") or {}
        bearer = Bearer(str(namespace), str(pod.get("name", "")), str(pod.get("uid", "")))
        if not math.isfinite(expires):
            raise malformed
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise malformed from None
    return _Claims(bearer, tuple(str(audience) for audience in audiences), expires)


def _accepted(status: dict[str, Any], audience: str) -> Bearer | None:
    """The pod in a TokenReview's answer; None where it is no yes to this audience."""
    if status.get("authenticated") is not True or audience not in (status.get("audiences") or ()):
        return None
    user = status.get("user") or {}
    extra = user.get("extra") or {}
    account = str(user.get("username", "")).split(":")  # system:serviceaccount:<namespace>:<name>
    if len(account) != 4 or account[:2] != ["system", "serviceaccount"]:
        return None
    pod, uid = (extra.get(name) or [""] for name in (POD_NAME, POD_UID))
    return Bearer(account[2], str(pod[0]), str(uid[0]))
