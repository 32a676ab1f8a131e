"""The private engine of machines without Docker: it serves, and it leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.engine import engine, leftovers
from tests.cluster.engine.footprint import appeared, footprint
from tests.cluster.engine.image_archive import write_image

pytestmark = pytest.mark.engine

_IMAGE = "localhost/engine-test:1"
_PRIVILEGED = ("run", "--detach", "--privileged", "--volume=/lib/modules:/lib/modules:ro")
_PUBLISHED = ("run", "--detach", "--network=engine-test", "--publish=127.0.0.1::80")
_SLEEP = (_IMAGE, "/bin/sleep", "600")


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, set[str]]]:
    """What is on the machine before an engine runs; one that the test leaves running is stopped.

    The engine has images and containers of its own here: an engine starts again the containers of a cluster that
    ended with the machine, and would then not be the test's alone.
    """
    if os.geteuid() != 0:
        pytest.skip("a private engine needs root")
    if (running := engine.current()) is not None:
        pytest.skip(
            "the private engine is in use" if running else "Docker runs here: no private engine is needed"
        )
    monkeypatch.setenv("LOADSTAR_ENGINE_DATA", str(tmp_path / "data"))
    yield footprint()
    engine.stop()


@pytest.fixture
def sleeper(tmp_path: Path) -> Path:
    """An image with nothing but /bin/sleep and its libraries."""
    binary = Path("/bin/sleep").resolve()
    listed = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout.split()
    files = {word: Path(word).resolve() for word in listed if word.startswith("/")} | {"/bin/sleep": binary}
    archive = tmp_path / "sleeper.tar"
    write_image(archive, _IMAGE, files, [])
    return archive


def _docker(*arguments: str) -> str:
    env = {**os.environ, **engine.ensure()}
    return subprocess.run(["docker", *arguments], env=env, check=True, capture_output=True, text=True).stdout


def _busy_engine(sleeper: Path) -> None:
    """An engine with a privileged container, a network of its own and a published port, as kind makes them."""
    _docker("load", "--input", str(sleeper))
    _docker("network", "create", "engine-test")
    _docker(*_PRIVILEGED, "--name=engine-test-1", *_SLEEP)
    _docker(*_PUBLISHED, "--name=engine-test-2", *_SLEEP)


def _tidy() -> None:
    """Remove from the engine's cache what the tests put there."""
    _docker("rm", "--force", "engine-test-1", "engine-test-2")
    _docker("network", "rm", "engine-test")
    _docker("rmi", _IMAGE)


def test_a_stopped_engine_leaves_nothing_behind(before: dict[str, set[str]], sleeper: Path) -> None:
    _busy_engine(sleeper)
    _tidy()
    assert engine.stop()
    assert appeared(before, footprint()) == {}


def test_an_engine_with_running_containers_refuses_to_stop(
    before: dict[str, set[str]], sleeper: Path
) -> None:
    _busy_engine(sleeper)
    assert not engine.stop()
    _tidy()
    assert engine.stop()


def test_what_a_killed_engine_leaves_is_removed(before: dict[str, set[str]], sleeper: Path) -> None:
    _busy_engine(sleeper)
    daemon = leftovers.running_daemon()
    assert daemon is not None
    os.kill(daemon, signal.SIGKILL)
    assert engine.stop()
    assert appeared(before, footprint()) == {}
    _tidy()  # with a new engine: containers of the killed one are still on disk


def test_another_process_that_uses_the_engine_keeps_it_up(before: dict[str, set[str]]) -> None:
    engine.ensure()
    wait = "from tests.cluster.engine import engine; engine.ensure(); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        assert not engine.stop()
        other.communicate("\n")
    assert engine.stop()


def test_the_engine_needs_no_docker_program_on_path(
    before: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).glob("*"):
            if program.name != "docker" and not (tmp_path / program.name).exists():
                (tmp_path / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    environment = engine.ensure()
    assert shutil.which("docker") is None
    assert shutil.which("docker", path=environment["PATH"]) is not None
