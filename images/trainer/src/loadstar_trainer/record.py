"""The final record: one line of JSON that the operator reads from the pod's termination message."""

import fcntl
import json
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from loadstar_trainer.environment import Identity

VERSION = 1
LIMIT = 4096  # bytes; the kubelet cuts a longer termination message, which would break the JSON


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
    record["metrics"] = [{"name": name, "value": decimal(value)} for name, value in result.metrics.items()]
    return record


def of_failure(identity: Identity, reason: str, message: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "jobUid": identity.job_uid,
        "attempt": identity.attempt,
        "error": {"reason": reason, "message": message},
    }


def decimal(value: float) -> str:
    """The shortest decimal that reads back as exactly this number, never in exponent form."""
    return format(Decimal(repr(value)), "f")


def encode(record: dict[str, Any]) -> bytes:
    """One line of UTF-8 JSON of at most LIMIT bytes; a longer error message loses its middle.

    ValueError where another field than the message is what is too long.
    """
    encoded = _dumps(record)
    excess = len(encoded) - LIMIT
    if excess <= 0:
        return encoded
    message = record.get("error", {}).get("message", "")
    # Characters to keep: escapes and wide characters take more bytes than one, hence the search downwards.
    for keep in range(len(message) - 1, 0, -1):
        shortened = f"{message[: keep - keep // 2]} … {message[len(message) - keep // 2 :]}"
        encoded = _dumps({**record, "error": {**record["error"], "message": shortened}})
        if len(encoded) <= LIMIT:
            return encoded
    raise ValueError(f"a final record of {excess + LIMIT} bytes exceeds {LIMIT}")


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
