"""Reading what a program printed, over HTTP, and the end of its job: one read, whatever comes of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadstar.clients.connection import connect
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.retry import Retry
from loadstar.controller.apply import Applier
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches
from loadstar.controller.reconcile import LOG_TRIES, Reconciler
from loadstar.controller.workqueue import WorkQueue
from tests.builders import NOW
from tests.unit import raw
from tests.unit.local_server import kubeconfig, serving

STATUS = {
    "phase": "Running",
    "attempt": 1,
    "placement": {
        "policy": "predictive",
        "decidedAt": "2026-11-22T05:00:00Z",
        "horizonSeconds": 300,
        "nodes": [{"name": "node-a", "ranks": [0], "gpus": 1, "forecast": "0.5", "score": "-0.1"}],
    },
}
PROGRAM: dict[str, Any] = {"model": ..., "dataset": ..., "trainer": {"command": ["python", "train.py"]}}
REFUSALS = {404: "NotFound", 403: "Forbidden", 400: "BadRequest", 500: "InternalError"}


class Server:
    """Answers reads of the log with `logs`, one after the other (an int is a refusal), and takes the status."""

    def __init__(self, *logs: str | int) -> None:
        self.logs = list(logs)
        self.asked: list[dict[str, str]] = []
        self.status: dict[str, Any] = {}

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/pods/iris-1-0/log"):
            self.asked.append(dict(request.query))
            log = self.logs.pop(0) if len(self.logs) > 1 else self.logs[0]
            if isinstance(log, int):
                return web.json_response({"reason": REFUSALS[log], "message": "because"}, status=log)
            return web.Response(text=log)
        assert request.path.endswith("/trainingjobs/iris/status"), request.path
        self.status = json.loads(await request.text())["status"]
        return web.json_response(raw.job(99, status=self.status, **PROGRAM))


@asynccontextmanager
async def reconciling(tmp_path: Path, server: Server, **spec: Any) -> AsyncIterator[Reconciler]:
    """A reconciler that knows a job whose only pod has succeeded and left no record."""
    caches = Caches()
    caches.put_job(raw.job(status=STATUS, **{**PROGRAM, **spec}))
    caches.put_node(raw.node())
    caches.put_pod(raw.pod(phase="Succeeded"))
    async with serving(server.answer) as url:
        connection = await connect(str(kubeconfig(tmp_path, url)))
        async with Kube(connection, limits=Limits(retry=Retry(attempts=1, first=0.0))) as kube:
            yield Reconciler(
                caches=caches,
                queue=WorkQueue(),
                board=Board(),
                applier=Applier(kube, caches, "trainer:1", lambda _: None),
                tell=lambda *_: None,
                clock=lambda: NOW,
                pin_timeout=15.0,
                observe=lambda *_: None,
            )


async def test_what_a_program_printed_last_reaches_the_status(tmp_path: Path) -> None:
    server = Server("epoch=1 accuracy=0.5\n\x1b[32mepoch=2 accuracy=0.9733\x1b[0m\n")
    async with reconciling(tmp_path, server) as reconciler:
        await reconciler._pass(raw.KEY)
    assert (server.status["phase"], server.status["accuracy"]) == ("Succeeded", "0.9733")
    assert {"name": "epoch", "value": "2"} in server.status["result"]["metrics"]
    assert server.asked == [{"container": "trainer", "tailLines": "200", "limitBytes": "65536"}]


async def test_a_finished_jobs_log_is_not_read_again(tmp_path: Path) -> None:
    server = Server("accuracy=0.97")
    async with reconciling(tmp_path, server) as reconciler:
        await reconciler._pass(raw.KEY)
        await reconciler._pass(raw.KEY)
    assert len(server.asked) == 1


async def test_a_users_own_patterns_are_used(tmp_path: Path) -> None:
    trainer = {"command": ["a"], "logMetrics": {"patterns": [r"(top1) (\d+)"]}}
    server = Server("accuracy=0.5\ntop1 97\n")
    async with reconciling(tmp_path, server, trainer=trainer) as reconciler:
        await reconciler._pass(raw.KEY)
    assert server.status["result"]["metrics"] == [{"name": "top1", "value": "97"}]


async def test_of_lines_too_long_fewer_are_read(tmp_path: Path) -> None:
    server = Server("x" * 65536, "accuracy=0.97")
    async with reconciling(tmp_path, server) as reconciler:
        await reconciler._pass(raw.KEY)
    assert server.status["accuracy"] == "0.97"
    assert [asked["tailLines"] for asked in server.asked] == ["200", "20"]


@pytest.mark.parametrize(
    ("refusal", "says"), [(404, "the pod iris-1-0 is gone"), (403, "because"), (400, "because")]
)
async def test_a_log_that_nobody_can_read_any_more_ends_the_job_without_a_result(
    tmp_path: Path, refusal: int, says: str
) -> None:
    server = Server(refusal)
    async with reconciling(tmp_path, server) as reconciler:
        await reconciler._pass(raw.KEY)
    assert server.status["phase"] == "Succeeded"
    assert says in server.status["message"]
    assert not {"result", "accuracy"} & server.status.keys()


async def test_a_log_that_cannot_be_read_now_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    server = Server(500)
    async with reconciling(tmp_path, server) as reconciler:
        for _ in range(LOG_TRIES):
            assert not server.status
            try:
                await reconciler._pass(raw.KEY)
            except Exception as error:
                reconciler._retry(raw.KEY, error)
    assert server.status["phase"] == "Succeeded"
    assert len(server.asked) == LOG_TRIES


async def test_a_node_that_comes_back_gives_the_log_after_all(tmp_path: Path) -> None:
    server = Server(500, "accuracy=0.97")
    async with reconciling(tmp_path, server) as reconciler:
        try:
            await reconciler._pass(raw.KEY)
        except Exception as error:
            reconciler._retry(raw.KEY, error)
        await reconciler._pass(raw.KEY)
    assert server.status["accuracy"] == "0.97"
