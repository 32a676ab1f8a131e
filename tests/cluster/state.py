"""The state of running test clusters: a folder for each, with kubeconfig, logs and recorded processes."""

import os
from collections.abc import Iterator
from pathlib import Path

from .cache import cache_dir, remove
from .processes import Identity, end, recorded
from .steps import StepFailed

_OWNER = "owner.json"


def state_root() -> Path:
    """Where all clusters keep their state: `$LOADSTAR_STATE`, else `state` in the cache."""
    named = os.environ.get("LOADSTAR_STATE")
    if not named:
        return cache_dir("state")
    root = Path(named).resolve()
    root.mkdir(parents=True, exist_ok=True)
    return root


def state_dir(name: str) -> Path:
    """The folder of the cluster `name`; it may not exist."""
    return state_root() / name


def claim(folder: Path, owner: Identity | None) -> None:
    """Make the folder of a new cluster, which is to go when the process `owner` has gone (None: to stay).

    What a failed start left there, for its logs, is removed. Raises StepFailed when a cluster uses the folder.
    """
    holder = Identity.read(folder / _OWNER)
    held = holder is not None and holder != owner and holder.alive()
    if held or any(process.alive() for process in recorded(folder)):
        raise StepFailed(
            f"a cluster {folder.name!r} is running: end it (`python -m tests.cluster down --name {folder.name}`)"
            " or choose another name"
        )
    remove(folder)
    folder.mkdir(mode=0o700)
    if owner:
        owner.write(folder / _OWNER)


def wipe(folder: Path) -> None:
    """End every process that the folder records, then remove the folder. What is gone already is no error."""
    end(recorded(folder))
    remove(folder)


def abandoned(owner_file: str = _OWNER) -> Iterator[Path]:
    """The folders of clusters whose owner, named in this file of theirs, died without stopping them."""
    for folder in sorted(state_root().iterdir()):
        owner = Identity.read(folder / owner_file)
        if owner and not owner.alive():
            yield folder


def wipe_abandoned() -> list[str]:
    """Wipe the clusters whose owner died without stopping them; returns their names."""
    names = []
    for folder in abandoned():
        wipe(folder)
        names.append(folder.name)
    return names
