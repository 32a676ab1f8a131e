"""A plain client of the Kubernetes API for the harness itself: JSON over one kept-alive connection, no models.

It shares no code with the operator, so that a fault in the operator's client cannot hide in the tests.
"""

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_CONTENT_TYPES = {"PATCH": "application/merge-patch+json"}


class ApiError(Exception):
    """The API server refused a request; `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """Requests to the server that a kubeconfig's current context names. Not for several threads at a time."""

    def __init__(self, kubeconfig: Path, timeout: float = 30.0) -> None:
        settings = yaml.safe_load(kubeconfig.read_text())
        context = _named(settings["contexts"], settings["current-context"])["context"]
        cluster = _named(settings["clusters"], context["cluster"])["cluster"]
        user = _named(settings["users"], context["user"])["user"]
        self.tls = _tls(cluster, user)
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self.server: str = cluster["server"]
        self._timeout = timeout
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPSConnection:
        where = urlsplit(self.server)
        return http.client.HTTPSConnection(
            where.hostname or "", where.port, context=self.tls, timeout=self._timeout
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises ApiError, and OSError when the server cannot be reached."""
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Any:
        """Create an object; returns it as the server stored it."""
        return self.request("POST", path, body)

    def merge(self, path: str, body: Any) -> Any:
        """Change an object by a JSON merge patch."""
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> Any:
        """Delete an object, or all of a collection."""
        return self.request("DELETE", path)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the answer's JSON, or its text where it is none."""
        headers = {**self._headers, "Content-Type": _CONTENT_TYPES.get(method, "application/json")}
        content = json.dumps(body) if body is not None else None
        repeated = False
        try:
            answer, text = self._exchange(method, path, content, headers)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            # The server has closed a kept connection meanwhile: once more, on a new one.
            repeated = True
            answer, text = self._exchange(method, path, content, headers)
        is_json = answer.headers.get_content_type() == "application/json"
        result: Any = json.loads(text) if is_json else text.decode()
        if repeated and (method, answer.status) == ("DELETE", 404):
            return result  # the first one did it, and only its answer was lost
        if answer.status >= 400:
            raise ApiError(answer.status, result["message"] if is_json else result)
        return result

    def _exchange(
        self, method: str, path: str, content: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            self._connection.request(method, path, content, headers)
            answer = self._connection.getresponse()
            return answer, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens it again
            raise


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    """TLS towards the server, with the user's certificate if it has one."""
    authority = _content(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # the ssl module reads them from files only
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _content(entry: dict[str, Any], field: str) -> bytes | None:
    """What a kubeconfig holds in itself (`<field>-data`) or names as a file."""
    if f"{field}-data" in entry:
        return base64.b64decode(entry[f"{field}-data"])
    return Path(entry[field]).read_bytes() if field in entry else None
