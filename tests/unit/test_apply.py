"""What is made of an API server that does not accept a pod."""

from typing import Any, cast

import pytest

from loadstar.clients.errors import AlreadyExists, ApiError, Forbidden, Invalid, Unavailable
from loadstar.controller.apply import Applier, LaunchRefused
from loadstar.controller.caches import Caches
from loadstar.core.decisions import CreatePod
from tests.contract.jobs import UID
from tests.unit import raw
from tests.unit.raw import KEY


class Server:
    """Answers every creation with one error; a pod of that name belongs to `owner`."""

    def __init__(self, error: ApiError, owner: str = "") -> None:
        self.error, self.owner = error, owner

    async def create(self, *_: Any) -> Any:
        raise self.error

    async def get(self, *_: Any) -> Any:
        found = raw.pod()
        found["metadata"]["ownerReferences"][0] = raw.OWNER | {"uid": self.owner}
        return found


async def launch(server: Server) -> Caches:
    caches = Caches()
    caches.put_job(raw.job())
    applier = Applier(cast(Any, server), caches, "trainer:1", lambda _: None)
    await applier.act(KEY, caches.jobs[KEY], (CreatePod(1, 0, "node-a"),))
    return caches


@pytest.mark.parametrize("error", [Forbidden, Invalid])
async def test_a_refusal_says_why_and_what_to_do(error: type[ApiError]) -> None:
    message = "exceeded quota: gpus; lift the quota or the policy that it names, or change the job"
    with pytest.raises(LaunchRefused, match=message):
        await launch(Server(error("exceeded quota: gpus")))


async def test_an_api_server_that_is_away_refuses_nothing() -> None:
    with pytest.raises(Unavailable):
        await launch(Server(Unavailable("connection refused")))


async def test_a_pod_from_before_a_crash_is_adopted() -> None:
    caches = await launch(Server(AlreadyExists("it exists"), owner=UID))
    assert [pod.name for pod in caches.pods_of(UID, 0.0)] == ["iris-1-0"]


async def test_a_pod_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(LaunchRefused, match="a Pod named iris-1-0 exists and does not belong to this job"):
        await launch(Server(AlreadyExists("it exists"), owner="somebody"))
