"""The folder of one job's checkpoints: written whole or not at all, fenced by attempt, the oldest removed."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadstar_trainer.checkpoint import manifest as manifests
from loadstar_trainer.checkpoint.manifest import Entry, Manifest, Unusable
from loadstar_trainer.environment import Identity
from loadstar_trainer.failures import Failure

if TYPE_CHECKING:
    from torch import Tensor

STATE = "state.json"
LARGEST_STATE = 64 << 20  # bytes
_ATTEMPT = re.compile(r"attempt-(\d{1,9})")
_STEP = re.compile(r"step-(\d{1,18})")
_UNFINISHED = ".tmp"


@dataclass(frozen=True)
class Content:
    """What a checkpoint holds: tensors by file and name, and JSON for what is no tensor."""

    tensors: "dict[str, dict[str, Tensor]]"
    values: dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """Where in training a checkpoint is taken; `score` as in the manifest."""

    step: int
    epoch: int
    world_size: int
    score: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on the disk."""

    folder: Path
    manifest: Manifest

    def __str__(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"


class Store:
    """Rank 0's way to the disk. Other ranks only read what rank 0 names.

    The fence is the attempt's own folder, made by `claim`: once that of a later attempt exists, this
    attempt writes and removes nothing more. What a stale attempt still had under way lands in its own
    folder, where a later attempt does not look once it has taken its pick.
    """

    def __init__(self, path: Path, identity: Identity, spec_hash: str, keep: int) -> None:
        self.root = path / identity.job_uid if identity.job_uid else path
        self.identity = identity
        self._spec_hash = spec_hash
        self._keep = keep

    @property
    def _own(self) -> Path:
        return self.root / f"attempt-{self.identity.attempt}"

    def claim(self) -> None:
        """Makes this attempt the one that may write. Failure where a later one did so before, or nobody can."""
        try:
            self._own.mkdir(parents=True, exist_ok=True)
            sync_folder(self.root)
        except OSError as error:
            raise Failure(
                "CheckpointUnwritable", f"checkpoint.path {self.root}: {error.strerror}."
            ) from error
        self._require_current()
        for attempt in self._attempts():
            for unfinished in (self.root / f"attempt-{attempt}").glob(f".*{_UNFINISHED}"):
                shutil.rmtree(unfinished, ignore_errors=True)

    def save(self, moment: Moment, content: Content) -> Checkpoint | None:
        """Writes one checkpoint and removes those that are no longer kept.

        None, with a warning, where it cannot be written (disk full): training goes on and older ones stay.
        Failure where a later attempt has taken over.
        """
        self._require_current()
        unfinished = self._own / f".step-{moment.step}-{os.getpid()}{_UNFINISHED}"
        try:
            manifest = self._write(unfinished, moment, content)
            self._require_current()
            folder = self._publish(unfinished, moment.step)
        except OSError as error:
            warn(f"no checkpoint of step {moment.step}: {error}")
            return None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._prune()
        return Checkpoint(folder, manifest)

    def candidates(self) -> Iterator[Checkpoint]:
        """Usable checkpoints, the best to resume from first: latest attempt, then latest step.

        The others are passed over with a warning that names the reason.
        """
        for folder in self._folders():
            try:
                yield self.open(folder)
            except Unusable as reason:
                warn(f"checkpoint {folder.parent.name}/{folder.name} is skipped: {reason}.")

    def open(self, folder: Path) -> Checkpoint:
        """The checkpoint in this folder, every file verified; Unusable where it is damaged or another job's."""
        manifest = manifests.read(folder)
        self._require_own(manifest)
        manifests.verify(folder, manifest)
        return Checkpoint(folder, manifest)

    def _require_own(self, manifest: Manifest) -> None:
        if manifest.job_uid != self.identity.job_uid:
            raise Unusable(f"it is of another job ({manifest.job_uid or 'without uid'})")
        if manifest.spec_hash != self._spec_hash:
            raise Unusable("it is of another model, data set or training: its spec hash differs")

    def _require_current(self) -> None:
        newest = max(self._attempts(), default=0)
        if newest > self.identity.attempt:
            raise Failure(
                "Superseded",
                f"Attempt {newest} has taken over the checkpoints; attempt {self.identity.attempt} stops.",
            )

    def _attempts(self) -> list[int]:
        return _numbers(self.root, _ATTEMPT)

    def _folders(self) -> list[Path]:
        """Every finished checkpoint's folder, newest first."""
        return [
            self.root / f"attempt-{attempt}" / f"step-{step}"
            for attempt in self._attempts()
            for step in _numbers(self.root / f"attempt-{attempt}", _STEP)
        ]

    def _write(self, folder: Path, moment: Moment, content: Content) -> Manifest:
        folder.mkdir()
        files: dict[str, Entry] = {}
        for stem, tensors in content.tensors.items():
            path = folder / f"{stem}.safetensors"
            manifests.write_tensors(tensors, path)
            files[path.name] = manifests.measure(path, sync=True)
        (folder / STATE).write_text(json.dumps(content.values, allow_nan=False))
        files[STATE] = manifests.measure(folder / STATE, sync=True)
        manifest = Manifest(
            self.identity.job_uid,
            self.identity.attempt,
            moment.step,
            moment.epoch,
            moment.world_size,
            self._spec_hash,
            moment.score,
            files,
        )
        (folder / manifests.NAME).write_bytes(manifest.encode())
        manifests.measure(folder / manifests.NAME, sync=True)
        sync_folder(folder)
        return manifest

    def _publish(self, unfinished: Path, step: int) -> Path:
        """Gives a complete folder its name; one that was there by this name (a damaged one) makes way."""
        folder = self._own / f"step-{step}"
        if folder.exists():
            former = unfinished.with_name(f".former-step-{step}-{os.getpid()}{_UNFINISHED}")
            folder.rename(former)
            unfinished.rename(folder)
            shutil.rmtree(former, ignore_errors=True)
        else:
            unfinished.rename(folder)
        sync_folder(self._own)
        return folder

    def _prune(self) -> None:
        """Keeps the newest and the best of this training; what it cannot read it leaves to its owner."""
        known: list[Checkpoint] = []
        for folder in self._folders():
            try:
                manifest = manifests.read(folder)
                self._require_own(manifest)
            except Unusable:
                continue
            known.append(Checkpoint(folder, manifest))
        scored = [each for each in known if each.manifest.score is not None]
        best = min(scored, key=lambda each: each.manifest.score or 0.0, default=None)
        for checkpoint in known[self._keep :]:
            if checkpoint is not best:
                self._remove(checkpoint.folder)

    def _remove(self, folder: Path) -> None:
        """Renamed first: half a checkpoint never bears a checkpoint's name."""
        doomed = folder.with_name(f".{folder.name}-{os.getpid()}{_UNFINISHED}")
        try:
            folder.rename(doomed)
        except OSError as error:
            warn(f"checkpoint {folder.parent.name}/{folder.name} cannot be removed: {error.strerror}.")
        shutil.rmtree(doomed, ignore_errors=True)


def load(checkpoint: Checkpoint) -> Content:
    """The content of a verified checkpoint; Unusable where a file is not of the format that its name says."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, dict[str, Tensor]] = {}
    state = checkpoint.folder / STATE
    try:
        if state.stat().st_size > LARGEST_STATE:
            raise Unusable(f"{STATE} is larger than {LARGEST_STATE} bytes")
        values = json.loads(state.read_bytes())
        for name in checkpoint.manifest.files:
            if name.endswith(".safetensors"):
                tensors[name.removesuffix(".safetensors")] = load_file(checkpoint.folder / name)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise Unusable(f"it cannot be read ({type(error).__name__}: {error})") from None
    if not isinstance(values, dict):
        raise Unusable(f"{STATE} holds no object")
    return Content(tensors, values)


def warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr, flush=True)


def _numbers(folder: Path, pattern: re.Pattern[str]) -> list[int]:
    """The numbers in the names of folders of this kind, largest first."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted((int(match[1]) for name in names if (match := pattern.fullmatch(name))), reverse=True)


def sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
