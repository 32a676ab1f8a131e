"""The simulator's HTTP side: routes, refusals, and the program itself on a real port."""

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcgm_simulator.config import read_config
from dcgm_simulator.fleet import Fleet
from dcgm_simulator.server import BODY_LIMIT, answer, server

SOURCES = Path(__file__).parents[2] / "images" / "dcgm-simulator" / "src"


@pytest.fixture
def fleet() -> Fleet:
    here = Path("/nowhere")
    return Fleet(read_config("nodes: [{name: node-a}]", here), here, lambda: 0.0)


@pytest.fixture
def connection(fleet: Fleet) -> Iterator[http.client.HTTPConnection]:
    with server(fleet, "127.0.0.1", 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = http.client.HTTPConnection("127.0.0.1", serving.server_address[1], timeout=10)
        try:
            yield client
        finally:
            client.close()
            serving.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/healthz", b"", 200, "ok"),
        ("GET", "/metrics", b"", 200, "# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz)."),
        ("GET", "/load", b"", 200, '{"node-a": {"kind": "constant", "value": 0}}'),
        ("PUT", "/load", b"{", 422, "the request's body: is not JSON"),
        ("PUT", "/load", b"\xff", 422, "the request's body: is not JSON"),
        ("PUT", "/load", b"[]", 422, "the document: must be a mapping of fields, but is []"),
        (
            "PUT",
            "/load",
            b'{"node-a": {"kind": "constant", "value": 2}}',
            422,
            "node-a.value: must be a number",
        ),
        ("PUT", "/faults", b'{"node-a": {"xids": [{"gpu": 0}]}}', 422, "node-a.xids[0].code: is required"),
        ("DELETE", "/load", b"", 405, "DELETE is not offered on /load."),
        ("GET", "/load/node-a", b"", 404, "There is nothing at /load/node-a; try /metrics"),
    ],
)
def test_each_request_gets_its_answer(
    fleet: Fleet, method: str, path: str, body: bytes, status: int, text: str
) -> None:
    got = answer(fleet, method, path, body)

    assert got.status == status
    assert got.text.startswith(text)


def test_a_put_answers_with_the_loads_as_they_are_now(fleet: Fleet) -> None:
    got = answer(fleet, "PUT", "/load", b'{"node-a": {"kind": "silent"}}')

    assert json.loads(got.text) == {"node-a": {"kind": "silent"}}


def test_faults_come_and_go_over_http(fleet: Fleet) -> None:
    def xid() -> bool:
        page = answer(fleet, "GET", "/metrics", b"").text
        return any(
            line.startswith("DCGM_FI_DEV_XID_ERRORS{") and line.endswith(" 79") for line in page.splitlines()
        )

    assert answer(fleet, "PUT", "/faults", b'{"node-a": {"xids": [{"gpu": 0, "code": 79}]}}').status == 200
    assert xid()
    assert answer(fleet, "DELETE", "/faults", b"").status == 200
    assert not xid()


def test_several_requests_share_one_connection(connection: http.client.HTTPConnection) -> None:
    connection.request("PUT", "/load", json.dumps({"node-a": {"kind": "constant", "value": 0.5}}))
    assert connection.getresponse().read().startswith(b'{"node-a"')

    connection.request("GET", "/metrics?x=1")
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"DCGM_FI_PROF_GR_ENGINE_ACTIVE" in response.read()


def test_a_body_that_is_too_large_is_refused_unread(connection: http.client.HTTPConnection) -> None:
    connection.request("PUT", "/load", headers={"Content-Length": str(BODY_LIMIT + 1)})

    response = connection.getresponse()

    assert (response.status, response.headers["Connection"]) == (413, "close")
    response.read()


def _program(config: Path) -> list[str]:
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", "0"]
    return [sys.executable, "-m", "dcgm_simulator", *arguments]


def test_the_program_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    config = tmp_path / "nodes.yaml"
    config.write_text("nodes: [{name: node-a}]")
    with subprocess.Popen(_program(config), cwd=SOURCES, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline().rpartition(" ")[2])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/healthz")
        assert client.getresponse().read() == b"ok\n"
        client.close()
        program.terminate()
        assert program.wait(timeout=10) == 0


def test_the_program_says_what_is_wrong_with_its_configuration(tmp_path: Path) -> None:
    config = tmp_path / "nodes.yaml"
    config.write_text("nodes: [{name: node-a, gpus: two}]")

    done = subprocess.run(_program(config), cwd=SOURCES, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        f"dcgm-simulator: {config}: nodes[0].gpus: must be a whole number from 1 to 64, but is 'two'\n"
    )
