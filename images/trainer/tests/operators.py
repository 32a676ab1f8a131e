"""The operator's progress endpoint as a pod sees it: a server of TLS that keeps what it was told."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TLS = Path(__file__).parent / "tls"
STATUS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team/trainjobs/iris/status"
RECORD = "/apis/loadstar.dev/v1alpha1/namespaces/team/trainingjobs/iris/record"


@dataclass
class Operator:
    """`posts` are (path, bearer token, body); `answers` are taken one by one, then 200."""

    url: str
    folder: Path
    posts: list[tuple[str, str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def environment(self) -> dict[str, str]:
        return {
            "KUBEFLOW_TRAINER_SERVER_URL": self.url,
            "KUBEFLOW_TRAINER_SERVER_CA_CERT": str(self.folder / "ca.crt"),
            "KUBEFLOW_TRAINER_SERVER_TOKEN": str(self.folder / "token"),
        }

    def statuses(self) -> list[dict[str, Any]]:
        return [body["trainerStatus"] for path, _, body in self.posts if path == STATUS]

    def records(self) -> list[dict[str, Any]]:
        return [body for path, _, body in self.posts if path == RECORD]

    def wait_for_one(self) -> None:
        assert self.arrived.acquire(timeout=60)


@contextmanager
def operator(folder: Path) -> Iterator[Operator]:
    """One that listens, with its CA's certificate and a token in this folder."""
    (folder / "ca.crt").write_bytes((TLS / "localhost.crt").read_bytes())
    (folder / "token").write_text("token-1\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            listening.posts.append((self.path, self.headers["Authorization"].removeprefix("Bearer "), body))
            self.send_response(listening.answers.pop(0) if listening.answers else 200)
            self.end_headers()
            listening.arrived.release()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.crt", TLS / "localhost.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    listening = Operator(f"https://localhost:{server.server_address[1]}{STATUS}", folder)
    try:
        yield listening
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
