"""What is built once and used by every later run: a folder outside the work tree.

`once` is the only way anything gets in: a build writes to a temporary sibling and is renamed when it is
complete, so an interrupted build leaves nothing that could be taken for a whole one.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


def cache_dir(*parts: str) -> Path:
    """A folder of the cache, created if it is missing.

    The cache is `$LOADSTAR_CACHE`, else `$XDG_CACHE_HOME/loadstar`, else `~/.cache/loadstar`.
    """
    named = os.environ.get("LOADSTAR_CACHE")
    root = Path(named or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loadstar")
    folder = root.resolve().joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def once(key_path: Path, build: Callable[[Path], None]) -> Path:
    """Return `key_path`, built by `build(path)` if it is not there yet.

    `build` gets a path beside `key_path` that does not exist, and makes a file or a folder of it. Of several
    processes that want the same key one builds and the others wait. Whatever `build` raises goes to the
    caller, and nothing of the attempt stays.
    """
    if key_path.exists():
        return key_path
    key_path.parent.mkdir(parents=True, exist_ok=True)
    with locked(key_path.with_name(f".{key_path.name}.lock")):
        if key_path.exists():
            return key_path
        unfinished = key_path.with_name(f".{key_path.name}.unfinished")
        remove(unfinished)  # under the lock: what is there now was left by a build that was killed
        try:
            build(unfinished)
            unfinished.rename(key_path)
        finally:
            remove(unfinished)
    return key_path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path`; the kernel lets it go when the holder dies, however it dies."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another process holds {path}", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove(path: Path) -> None:
    """Remove the file or the folder `path`, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def oldest_first(folder: Path, pattern: str) -> list[Path]:
    """What is complete in a folder, by its name's pattern."""
    with _tidying(folder):
        return _by_age(folder, pattern)


def remove_all_but(newest: int, folder: Path, pattern: str) -> None:
    """Remove what is older in a folder; clusters that start side by side may all be about to."""
    with _tidying(folder):
        for older in _by_age(folder, pattern)[:-newest]:
            remove(older)


def _tidying(folder: Path) -> AbstractContextManager[None]:
    """Nobody else removes anything meanwhile: what was listed is still there when it is looked at."""
    return locked(folder / ".removing.lock")


def _by_age(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
