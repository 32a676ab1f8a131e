"""The operator's progress endpoint as a pod sees it: where it is, how to speak to it. Kubeflow Trainer's protocol.

Environment (all three, or there is no endpoint): KUBEFLOW_TRAINER_SERVER_URL, the full URL that progress goes to;
KUBEFLOW_TRAINER_SERVER_CA_CERT and KUBEFLOW_TRAINER_SERVER_TOKEN, paths of the CA's certificate and of the token.
"""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

URL = "KUBEFLOW_TRAINER_SERVER_URL"
CA = "KUBEFLOW_TRAINER_SERVER_CA_CERT"
TOKEN = "KUBEFLOW_TRAINER_SERVER_TOKEN"
TIMEOUT = 5.0  # seconds, for connecting and for each wait for an answer


class Rejected(Exception):
    """The server's answer is not 2xx. `lasting`: the same request would be refused again."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"HTTP {status}: {answer}")
        self.lasting = 400 <= status < 500 and status not in (408, 429)


@dataclass(frozen=True)
class Endpoint:
    """`path` is that of progress; the final record has its own below the same host."""

    host: str
    port: int
    path: str
    record_path: str
    ca: Path
    token: Path

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Endpoint | None":
        """None where the environment names no endpoint that can be spoken to safely: https and nothing else."""
        url, ca, token = env.get(URL), env.get(CA), env.get(TOKEN)
        if not (url and ca and token):
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 443
        except ValueError:
            return None
        if parts.scheme != "https" or not host:
            return None
        return cls(host, port, parts.path, _record_path(parts.path), Path(ca), Path(token))

    def post(self, path: str, body: bytes) -> None:
        """Sends one JSON document. OSError, Rejected or http.client's errors where it did not arrive.

        Neither proxies nor redirects are followed: the token goes to this host or nowhere. Certificate and token
        are read again each time, as the kubelet renews them.
        """
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=TIMEOUT, context=ssl.create_default_context(cafile=str(self.ca))
        )
        headers = {
            "Authorization": f"Bearer {self.token.read_text().strip()}",
            "Content-Type": "application/json",
        }
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read(1024).decode(errors="replace")
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise Rejected(answer.status, text)


def _record_path(path: str) -> str:
    """…/apis/<group>/<version>/namespaces/NS/trainjobs/NAME/status → where the job's final record goes."""
    root, _, resource = path.rpartition("/apis/")
    words = resource.split("/")
    namespace, name = (words[3], words[5]) if len(words) == 7 else ("", "")
    return f"{root}/apis/loadstar.dev/v1alpha1/namespaces/{namespace}/trainingjobs/{name}/record"
