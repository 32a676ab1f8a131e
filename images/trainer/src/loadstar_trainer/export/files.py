"""Writing the folder of an exported model."""

import importlib.util
import json
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loadstar_trainer.checkpoint import manifest as manifests
from loadstar_trainer.checkpoint.store import sync_folder, warn
from loadstar_trainer.environment import Identity
from loadstar_trainer.export.int8 import integer_tensors
from loadstar_trainer.failures import Failure, Refused
from loadstar_trainer.record import Exported
from loadstar_trainer.spec import Export
from loadstar_trainer.spec.storage import FORMATS

FOLDER = "model"
LARGEST_BATCH = 1 << 30  # PyTorch proves that the exported program takes any size up to this


@dataclass(frozen=True)
class Trained:
    """What is exported: a model that is whole, on the CPU and in evaluation mode, and what is to be said of it.

    `example` is a batch of two samples. `small` is the quantised model, where one is wanted, with its accuracy.
    """

    model: nn.Module
    example: torch.Tensor
    description: dict[str, Any]
    spec_hash: str
    small: nn.Module | None = None
    accuracy: float | None = None


def require_formats(export: Export) -> None:
    """Refused where the image lacks what a format needs: told before training, not after it."""
    if "onnx" in export.formats and importlib.util.find_spec("onnx") is None:
        raise Refused(
            "InvalidExport",
            "export.formats has onnx, and the image has no Python package onnx; install it in trainer.image, "
            "or take torchExport.",
        )


def export(trained: Trained, asked: Export, identity: Identity) -> Exported:
    """Failure where the folder cannot be written, or holds the model of a later attempt."""
    root = Path(asked.path)
    unfinished = root / f".{FOLDER}-{identity.attempt}-{os.getpid()}.tmp"
    try:
        _require_current(root / FOLDER, identity)
        unfinished.mkdir(parents=True)
        text = json.dumps(trained.description, indent=1, allow_nan=False)
        (unfinished / "model.json").write_text(f"{text}\n")
        formats = _write(trained.model, trained.example, asked.formats, unfinished)
        if trained.small is not None:
            manifests.write_tensors(integer_tensors(trained.small), unfinished / "model.int8.safetensors")
            formats = (*formats, "int8")
        digest = _seal(unfinished, identity, trained.spec_hash)
        _publish(unfinished, root / FOLDER)
    except OSError as error:
        raise Failure("ExportUnwritable", f"export.path {root}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Exported(str(root / FOLDER), digest, formats, trained.accuracy)


def _write(
    model: nn.Module, example: torch.Tensor, formats: tuple[str, ...], folder: Path
) -> tuple[str, ...]:
    """Returns the formats that came out. The weights always do: with model.json they are the model."""
    weights = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    manifests.write_tensors(weights, folder / "model.safetensors")
    return tuple(name for name in FORMATS if name in formats and _written(name, model, example, folder))


def _written(name: str, model: nn.Module, example: torch.Tensor, folder: Path) -> bool:
    """What PyTorch's exporters cannot do with a model must not cost the result of its training."""
    if name == "safetensors":
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch's to its own developers
            (_torch_export if name == "torchExport" else _onnx)(model, example, folder)
    except OSError:
        raise
    except Exception as error:
        warn(f"export.formats: {name} is left out: {type(error).__name__}: {error}")
        return False
    return True


def _torch_export(model: nn.Module, example: torch.Tensor, folder: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},), strict=False)
    torch.export.save(program, folder / "model.pt2")


def _onnx(model: nn.Module, example: torch.Tensor, folder: Path) -> None:
    torch.onnx.export(
        model,
        (example,),
        str(folder / "model.onnx"),
        input_names=["features"],
        output_names=["scores"],
        dynamic_axes={"features": {0: "batch"}, "scores": {0: "batch"}},
        dynamo=False,  # PyTorch's newer exporter needs onnxscript, another package yet
    )


def _seal(folder: Path, identity: Identity, spec_hash: str) -> str:
    """Writes the manifest and returns its digest."""
    files = {path.name: manifests.measure(path, sync=True) for path in sorted(folder.iterdir())}
    document = {
        "version": manifests.VERSION,
        "jobUid": identity.job_uid,
        "attempt": identity.attempt,
        "specHash": spec_hash,
        "files": manifests.listed(files),
    }
    (folder / manifests.NAME).write_bytes(manifests.sealed(document))
    manifests.measure(folder / manifests.NAME, sync=True)
    sync_folder(folder)
    return manifests.digest(document)


def _require_current(folder: Path, identity: Identity) -> None:
    """Failure where a later attempt of the same job has exported its model already."""
    try:
        there = json.loads((folder / manifests.NAME).read_bytes())
        uid, attempt = there["jobUid"], int(there["attempt"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if uid == identity.job_uid and attempt > identity.attempt:
        raise Failure("Superseded", f"Attempt {attempt} has exported its model; this one is stale.")


def _publish(unfinished: Path, folder: Path) -> None:
    """In the former one's place: for a moment there is none, but never half a one."""
    former = unfinished.with_name(f"{unfinished.name}.former")
    if folder.exists():
        folder.rename(former)
    unfinished.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)
