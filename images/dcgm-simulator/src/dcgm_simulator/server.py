"""HTTP around a Fleet: the exporter's page, and the control API that changes what it shows.

    GET    /metrics  the exporter's page for all nodes
    GET    /load     each node's load as it was written
    PUT    /load     {"node-a": {"kind": "ramp", "from": 0.9, "to": 0.2, "overSeconds": 300}, …}
    PUT    /faults   {"node-a": {"xids": [{"gpu": 0, "code": 79}], "unsupported": ["DCGM_FI_DEV_GPU_TEMP"]}, …}
    DELETE /faults   every node whole again
    GET    /healthz

Nodes that a PUT does not name stay as they are. A request that cannot be used changes nothing and is answered
with 4xx and one sentence of plain text that names the field.
"""

import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dcgm_simulator.exposition import CONTENT_TYPE
from dcgm_simulator.fields import InvalidField
from dcgm_simulator.fleet import Fleet

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes: enough for a csv trace of some days, inline."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str
    content_type: str = "text/plain; charset=utf-8"


def answer(fleet: Fleet, method: str, path: str, body: bytes) -> Answer:
    """The answer to one request, by the routes of this module."""
    match method, path:
        case "GET", "/metrics":
            return Answer(200, fleet.page(), CONTENT_TYPE)
        case "GET", "/healthz":
            return Answer(200, "ok\n")
        case "GET" | "PUT", "/load":
            return _load(fleet, method, body)
        case "PUT" | "DELETE", "/faults":
            return _faults(fleet, method, body)
        case _, "/metrics" | "/healthz" | "/load" | "/faults":
            return Answer(405, f"{method} is not offered on {path}.\n")
    return Answer(404, f"There is nothing at {path}; try /metrics, /load, /faults or /healthz.\n")


def _load(fleet: Fleet, method: str, body: bytes) -> Answer:
    if method == "PUT":
        try:
            fleet.set_loads(_document(body))
        except InvalidField as error:
            return Answer(422, f"{error}\n")
    return Answer(200, json.dumps(fleet.loads()) + "\n", "application/json")


def _faults(fleet: Fleet, method: str, body: bytes) -> Answer:
    try:
        if method == "PUT":
            fleet.set_faults(_document(body))
        else:
            fleet.clear_faults()
    except InvalidField as error:
        return Answer(422, f"{error}\n")
    return Answer(200, "ok\n")


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:  # also for bytes that are not UTF-8
        raise InvalidField("the request's body", f"is not JSON: {error}") from None


def server(fleet: Fleet, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound to its port (0: any free one) and waits for `serve_forever`."""

    class Handler(_Handler):
        served = fleet

    return ThreadingHTTPServer((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    served: Fleet
    protocol_version = "HTTP/1.1"
    server_version = "dcgm-simulator"
    timeout = (
        60  # seconds for a client to say something; a scraper keeps its connection for longer than a scrape
    )

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            self._send(
                Answer(413, f"Content-Length: must be a number of at most {BODY_LIMIT} bytes.\n"), last=True
            )
            return
        body = self.rfile.read(int(length))
        self._send(answer(self.served, self.command, self.path.partition("?")[0], body))

    do_GET = do_PUT = do_DELETE = do_POST = do_PATCH = _answer

    def _send(self, what: Answer, last: bool = False) -> None:
        """Answer; `last` closes the connection, whose body was not read."""
        payload = what.text.encode()
        self.send_response(what.status)
        self.send_header("Content-Type", what.content_type)
        self.send_header("Content-Length", str(len(payload)))
        if last:
            self.send_header("Connection", "close")  # this also makes the base class close it
        self.end_headers()
        self.wfile.write(payload)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log what changes something; a line per scrape would hide it."""
        if self.command != "GET":
            super().log_request(code, size)
