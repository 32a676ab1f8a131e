"""What can go wrong at the edge, in words that callers decide on.

Every client call ends in a value or in exactly one of these. `Unavailable` is the only one worth
repeating as it is; all others are answers, and repeating the same call gives the same answer.
"""

from collections.abc import Mapping
from typing import Any, Final


class ClientError(Exception):
    """Anything a client of this package raises on purpose."""


class ConfigurationError(ClientError):
    """The client cannot be set up as asked: a file is missing or unreadable, or nothing names a cluster."""


class MetricsError(ClientError):
    """Prometheus gave no answer that can be trusted. The message says what it gave and what to check."""


class ApiError(ClientError):
    """The API server refused a call.

    `status` is the HTTP code (0: no response at all), `reason` the API's CamelCase word, `details` the
    `Status` object's details with the causes per field.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.details = dict(details or {})


class NotFound(ApiError):
    """404: the object, its namespace or its kind does not exist."""


class Conflict(ApiError):
    """409: somebody else changed the object, or a precondition (uid, resourceVersion) does not hold."""


class AlreadyExists(Conflict):
    """409 on create: an object of that name is there; it may be ours from before a crash."""


class Invalid(ApiError):
    """400, 422 and other refusals of the request itself: it will never be accepted as it is."""


class Forbidden(ApiError):
    """403: RBAC, admission or a quota says no."""


class Unauthorized(ApiError):
    """401, also after the credentials were read again."""


class Expired(ApiError):
    """410: a list's continue token or a resourceVersion is too old."""


class Unavailable(ApiError):
    """No answer for now: connection refused or reset, time-out, 429 or 5xx.

    `retry_after` is the server's own wish in seconds, where it gave one.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **answer: Any) -> None:
        super().__init__(message, **answer)
        self.retry_after = retry_after


_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
}

_SCHEMA_ERROR: Final = "failed to create typed patch object"
"""How a server-side apply says, with code 500, that the object does not fit the kind's schema."""


def from_status(
    status: int, body: Mapping[str, Any], *, call: str, retry_after: float | None = None
) -> ApiError:
    """Turn a refusing response into its error.

    `body` is the decoded `Status` object, empty where something other than the API server answered.
    """
    reason = str(body.get("reason") or "")
    message = f"{call}: {status} {body.get('message') or reason or 'no explanation given'}"
    details = body.get("details")
    answer: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "details": details if isinstance(details, Mapping) else None,
    }
    if status == 500 and _SCHEMA_ERROR in message:
        return Invalid(message, **answer)
    if status == 429 or status >= 500:
        return Unavailable(message, retry_after=retry_after, **answer)
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists(message, **answer)
    return _BY_STATUS.get(status, Invalid)(message, **answer)
