"""The final record: one line of JSON that the operator reads from the pod's termination message."""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from loadstar_trainer.curves import MOST_POINTS, Curves
from loadstar_trainer.environment import Identity

VERSION = 1
LIMIT = 4096  # bytes; the kubelet cuts a longer termination message, which would break the JSON
LARGEST = 64 * 1024  # bytes that the operator's endpoint takes, where the record goes too
LONGEST_DECIMAL = 32  # characters
MOST_CLASSES = 100  # of a confusion matrix

# What a record can do without, the least missed last: left out from the end until the record fits.
OPTIONAL = (
    "checkpoint",
    "resumedFrom",
    "model",
    "confusionMatrix",
    "importance",
    "quantized",
    "crossValidation",
    "initialWeights",
)


@dataclass(frozen=True)
class SavedCheckpoint:
    """The newest checkpoint on the disk. The digest is that of its manifest, which holds those of all files."""

    path: str
    step: int
    epoch: int
    digest: str


@dataclass(frozen=True)
class ResumedFrom:
    """The checkpoint that training went on from; another world size than this run's is said, not hidden."""

    attempt: int
    step: int
    world_size: int


@dataclass(frozen=True)
class Exported:
    """The trained model's folder. `accuracy` is the quantized model's, beside the original's in `metrics`."""

    path: str
    digest: str
    formats: tuple[str, ...]
    quantized_accuracy: float | None = None


@dataclass(frozen=True)
class Extras:
    """What only some runs have to say; nothing of it is in the record where it is None or empty.

    `confusion` counts samples, rows by true class; `importance` is by column, the loss of quality without it.
    """

    checkpoint: SavedCheckpoint | None = None
    resumed_from: ResumedFrom | None = None
    model: Exported | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    folds: int = 0
    initial_tensors: int | None = None


@dataclass(frozen=True)
class Result:
    """What a finished run has to say. Metric values are finite; `metrics` keeps its order."""

    world_size: int
    seed: int
    data_hash: str
    device: str
    backend: str
    torch: str
    samples: dict[str, int]
    epochs: int
    duration_seconds: float
    metrics: dict[str, float]
    extras: Extras = field(default_factory=Extras)


def of_result(identity: Identity, result: Result) -> dict[str, Any]:
    """The record of success; `accuracy` is there only where the metrics have one."""
    record: dict[str, Any] = {
        "version": VERSION,
        "jobUid": identity.job_uid,
        "attempt": identity.attempt,
        "worldSize": result.world_size,
        "seed": result.seed,
        "dataHash": result.data_hash,
        "device": result.device,
        "backend": result.backend,
        "torch": result.torch,
        "samples": result.samples,
        "epochs": result.epochs,
        "durationSeconds": round(result.duration_seconds, 3),
    }
    if "accuracy" in result.metrics:
        record["accuracy"] = decimal(result.metrics["accuracy"])
    record["metrics"] = named(result.metrics)
    return record | _optional(result.extras)


def of_metrics(identity: Identity, world_size: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    """The record of somebody's own program, which has metrics to tell and nothing else.

    Metrics at the end are left out where not all of them fit.
    """
    record: dict[str, Any] = {
        "version": VERSION,
        "jobUid": identity.job_uid,
        "attempt": identity.attempt,
        "worldSize": world_size,
    }
    if "accuracy" in metrics:
        record["accuracy"] = decimal(metrics["accuracy"])
    record["metrics"] = named(metrics)
    while len(_dumps(record)) > LIMIT:
        record["metrics"].pop()
    return record


def named(values: Mapping[str, float]) -> list[dict[str, str]]:
    return [{"name": name, "value": decimal(value)} for name, value in values.items()]


def _optional(extras: Extras) -> dict[str, Any]:
    """In the order of OPTIONAL."""
    saved, resumed, model = extras.checkpoint, extras.resumed_from, extras.model
    fields: dict[str, Any] = {}
    if saved:
        fields["checkpoint"] = {
            "step": saved.step,
            "epoch": saved.epoch,
            "digest": saved.digest,
            "path": saved.path,
        }
    if resumed:
        fields["resumedFrom"] = {
            "attempt": resumed.attempt,
            "step": resumed.step,
            "worldSize": resumed.world_size,
        }
    if model:
        fields["model"] = {"path": model.path, "digest": model.digest, "formats": list(model.formats)}
    if 0 < len(extras.confusion) <= MOST_CLASSES:
        fields["confusionMatrix"] = [list(row) for row in extras.confusion]
    if extras.importance:
        fields["importance"] = named(extras.importance)
    if model and model.quantized_accuracy is not None:
        fields["quantized"] = {"accuracy": decimal(model.quantized_accuracy)}
    if extras.folds:
        fields["crossValidation"] = {"folds": extras.folds}
    if extras.initial_tensors is not None:
        fields["initialWeights"] = {"tensors": extras.initial_tensors}
    return fields


def of_failure(identity: Identity, reason: str, message: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "jobUid": identity.job_uid,
        "attempt": identity.attempt,
        "error": {"reason": reason, "message": message},
    }


def decimal(value: float) -> str:
    """The shortest decimal that reads back as exactly this number; in exponent form only where it would be long."""
    plain = format(Decimal(repr(value)), "f")
    return plain if len(plain) <= LONGEST_DECIMAL else repr(value)


def encode(record: dict[str, Any], limit: int = LIMIT) -> bytes:
    """One line of UTF-8 JSON of at most `limit` bytes: fields of OPTIONAL go first, then the middle of an error.

    ValueError where it is another field that is too long.
    """
    encoded = _dumps(record)
    kept = dict(record)
    for name in reversed(OPTIONAL):
        if len(encoded) <= limit:
            break
        if kept.pop(name, None) is not None:
            encoded = _dumps(kept)
    if len(encoded) > limit:
        encoded = _shortened(kept, limit)
    return encoded


def posted(record: dict[str, Any], curves: Curves) -> bytes:
    """The record as the operator's endpoint gets it: with as many points of the course as there is room for."""
    bare, most = encode(record, LARGEST), MOST_POINTS
    while curves and most:
        whole = _dumps({**record, "curves": curves.document(most)})
        if len(whole) <= LARGEST:
            return whole
        most //= 2
    return bare


def _shortened(record: dict[str, Any], limit: int) -> bytes:
    message = record.get("error", {}).get("message", "")
    # Characters to keep: escapes and wide characters take more bytes than one, hence the search downwards.
    for keep in range(len(message) - 1, 0, -1):
        shortened = f"{message[: keep - keep // 2]} … {message[len(message) - keep // 2 :]}"
        encoded = _dumps({**record, "error": {**record["error"], "message": shortened}})
        if len(encoded) <= limit:
            return encoded
    raise ValueError(f"a final record of {len(_dumps(record))} bytes exceeds {limit}")


def write(record: dict[str, Any], path: Path) -> bool:
    """Puts the record at `path`; whether it did so. OSError where the path cannot be written.

    A record of failure never replaces another: the rank that fails first knows the cause, those
    that fail after it only know that they lost a peer.
    """
    encoded = encode(record)
    # In place and locked, not renamed over: the kubelet mounts this very file, and ranks share it.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with open(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if "error" in record and file.read(1):
            return False
        file.seek(0)
        file.truncate()
        file.write(encoded)
    return True


def clear(path: Path) -> None:
    """Empties the file, so that a run never passes off an earlier one's record as its own."""
    if path.exists():
        os.truncate(path, 0)


def _dumps(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="replace")
