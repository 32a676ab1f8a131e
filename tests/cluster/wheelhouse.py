"""Wheels fetched on the host, for image builds whose containers have no network."""

import hashlib
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from packaging.markers import Marker

from tests.cluster.cache import cache_dir, once
from tests.cluster.steps import run_logged

PYTHON_VERSION = "3.13"
"""Of the images: both the public base and the one made from Debian have it."""

_REQUIREMENT = re.compile(
    r"^(?P<requirement>[^#\s][^;\\\n]*?) *(?:; (?P<marker>[^\\\n]+?))? *\\$", re.MULTILINE
)


def wheels(locks: Sequence[Path]) -> Path:
    """A folder with the wheels that the lock files name, their hashes checked; fetched on first use.

    Raises `steps.StepFailed`.
    """
    digest = hashlib.sha256(PYTHON_VERSION.encode())
    for lock in locks:
        digest.update(lock.read_bytes())
    return once(cache_dir("wheels") / digest.hexdigest()[:12], lambda target: _fetch(locks, target))


def unpacked(locks: Sequence[Path]) -> Path:
    """A folder that, on PYTHONPATH, brings what the lock files name; unpacked on first use.

    Raises `steps.StepFailed`.
    """
    source = wheels(locks)
    return once(cache_dir("packages") / source.name, lambda target: _unpack(source, target))


def for_python(lock: str, version: str) -> str:
    """A lock file's text with only what a CPython `version` ("3.13") on Linux installs, and no markers.

    pip judges markers by the Python that runs it, not by the one that it downloads for.
    """
    environment = {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": "linux"}
    blocks = re.split(r"^(?=[^#\s])", lock, flags=re.MULTILINE)
    return "".join(_unmarked(block) for block in blocks if _applies(block, environment))


def _applies(block: str, environment: dict[str, str]) -> bool:
    found = _REQUIREMENT.match(block)
    marker = found and found["marker"]
    return not marker or Marker(marker).evaluate(environment)


def _unmarked(block: str) -> str:
    return _REQUIREMENT.sub(lambda found: f"{found['requirement']} \\", block, count=1)


def _fetch(locks: Sequence[Path], target: Path) -> None:
    target.mkdir()
    for lock in locks:
        requirements = target / f"{lock.stem}.txt"
        requirements.write_text(for_python(lock.read_text(), PYTHON_VERSION))
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--require-hashes",
            f"--dest={target}",
        ]
        command += [
            "--only-binary=:all:",
            f"--python-version={PYTHON_VERSION}",
            f"--requirement={requirements}",
        ]
        run_logged(
            f"Fetching the wheels of {lock.name} for the images",
            command,
            log=cache_dir("logs") / f"wheels-{lock.stem}.log",
        )
        requirements.unlink()


def _unpack(source: Path, target: Path) -> None:
    target.mkdir()
    for wheel in sorted(source.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
