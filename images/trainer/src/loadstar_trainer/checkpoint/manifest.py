"""manifest.json: whose checkpoint a folder holds, and the SHA-256 of each of its files."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
NAME = "manifest.json"
LARGEST = 1 << 20  # bytes of a manifest; ours have less than a thousand
_FILE = re.compile(r"[a-z0-9-]{1,40}\.(safetensors|json)")
_CHUNK = 1 << 20


class Unusable(Exception):
    """A checkpoint that cannot be resumed from; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Entry:
    """One file of a checkpoint."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """`score` is what "best" is judged by, smaller being better; None where nothing was measured.

    `spec_hash` covers what decides the course of training: another hash, another training.
    """

    job_uid: str
    attempt: int
    step: int
    epoch: int
    world_size: int
    spec_hash: str
    score: float | None
    files: Mapping[str, Entry]

    def encode(self) -> bytes:
        return sealed(self._document())

    @property
    def digest(self) -> str:
        """Over everything above, and so over every file; guards the manifest itself as well."""
        return digest(self._document())

    def _document(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "jobUid": self.job_uid,
            "attempt": self.attempt,
            "step": self.step,
            "epoch": self.epoch,
            "worldSize": self.world_size,
            "specHash": self.spec_hash,
            "score": self.score,
            "files": listed(self.files),
        }


def sealed(document: dict[str, Any]) -> bytes:
    """A manifest as it stands on the disk, with its own digest."""
    return _dumps({**document, "digest": digest(document)})


def digest(document: dict[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(_dumps(document)).hexdigest()}"


def listed(files: Mapping[str, Entry]) -> dict[str, dict[str, Any]]:
    return {name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in files.items()}


def read(folder: Path) -> Manifest:
    """The folder's manifest; Unusable where there is none that makes sense. The files are not looked at."""
    path = folder / NAME
    require_file(path)
    if path.stat().st_size > LARGEST:
        raise Unusable(f"{NAME} is larger than {LARGEST} bytes")
    try:
        return _parse(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unusable(f"{NAME} is damaged ({type(error).__name__}: {error})") from None


def verify(folder: Path, manifest: Manifest) -> None:
    """Unusable unless every file is there, is a plain file, and is the one that was written."""
    for name, entry in manifest.files.items():
        require_file(folder / name)
        found = measure(folder / name)
        if found.bytes != entry.bytes:
            raise Unusable(f"{name} has {found.bytes} of {entry.bytes} bytes")
        if found.sha256 != entry.sha256:
            raise Unusable(f"{name} is not what was written: its SHA-256 differs")


def require_file(path: Path) -> None:
    """Unusable unless this is a plain file: a pipe would block, a link leads elsewhere."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        raise Unusable(f"{path.name} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise Unusable(f"{path.name} is no plain file")


def write_tensors(tensors: "Mapping[str, Tensor]", path: Path) -> None:
    """A safetensors file that others may read, too. OSError, also where the library has an error of its own."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(0o644)


def measure(path: Path, *, sync: bool = False) -> Entry:
    """Size and SHA-256 of a file; with `sync` also on the disk afterwards."""
    total, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            size += len(chunk)
        if sync:
            os.fsync(file.fileno())
    return Entry(size, total.hexdigest())


def _parse(document: Any) -> Manifest:
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']} instead of {VERSION}")
    score = document["score"]
    manifest = Manifest(
        str(document["jobUid"]),
        _count(document["attempt"]),
        _count(document["step"]),
        _count(document["epoch"]),
        _count(document["worldSize"]),
        str(document["specHash"]),
        None if score is None else float(score),
        {
            _file(name): Entry(_count(file["bytes"]), str(file["sha256"]))
            for name, file in document["files"].items()
        },
    )
    if document["digest"] != manifest.digest:
        raise ValueError("its digest differs")
    return manifest


def _dumps(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, allow_nan=False, indent=1) + "\n").encode()


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _file(name: str) -> str:
    """Names with a folder in them would lead out of the checkpoint."""
    if not _FILE.fullmatch(name) or name == NAME:
        raise ValueError(f"{name!r} is no file of a checkpoint")
    return name
