"""Writing the folder of an exported model."""

import importlib.util
import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loadstar_trainer.checkpoint import manifest as manifests
from loadstar_trainer.checkpoint.manifest import Manifest, Unusable
from loadstar_trainer.checkpoint.store import Moment, sync_folder, warn
from loadstar_trainer.environment import Identity
from loadstar_trainer.export.int8 import OnCpu, integer_tensors, quantized
from loadstar_trainer.failures import Failure, Refused
from loadstar_trainer.record import Exported
from loadstar_trainer.spec import Export
from loadstar_trainer.spec.storage import FORMATS

FOLDER = "model"


@dataclass(frozen=True)
class Origin:
    """Which training a model came out of."""

    identity: Identity
    moment: Moment
    spec_hash: str


def require_formats(export: Export) -> None:
    """Refused where the image lacks what a format needs: told before training, not after it."""
    if "onnx" in export.formats and importlib.util.find_spec("onnx") is None:
        raise Refused(
            "InvalidExport",
            "export.formats has onnx, and the image has no Python package onnx; install it in trainer.image, "
            "or take torchExport.",
        )


def export(
    model: nn.Module,
    example: torch.Tensor,
    description: dict[str, Any],
    asked: Export,
    origin: Origin,
    accuracy: Callable[[nn.Module], float | None],
) -> Exported:
    """Writes a model that is whole, on the CPU and in evaluation mode. `example` is a batch of two samples.

    `accuracy` is asked for the quantised model's. Failure where the folder cannot be written, or belongs to a later
    attempt.
    """
    measured = None
    small = quantized(model) if asked.quantize else None
    if small is not None:
        measured = accuracy(OnCpu(small))
    root = Path(asked.path)
    unfinished = root / f".{FOLDER}-{origin.identity.attempt}-{os.getpid()}.tmp"
    try:
        _require_current(root / FOLDER, origin.identity)
        unfinished.mkdir(parents=True)
        (unfinished / "model.json").write_text(json.dumps(description, indent=1, allow_nan=False) + "\n")
        formats = _write(model, example, asked.formats, unfinished)
        if small is not None:
            manifests.write_tensors(integer_tensors(small), unfinished / "model.int8.safetensors")
        manifest = _seal(unfinished, origin)
        _publish(unfinished, root / FOLDER)
    except OSError as error:
        raise Failure("ExportUnwritable", f"export.path {root}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Exported(
        str(root / FOLDER), manifest.digest, (*formats, "int8") if small is not None else formats, measured
    )


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
    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
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


def _seal(folder: Path, origin: Origin) -> Manifest:
    files = {path.name: manifests.measure(path, sync=True) for path in sorted(folder.iterdir())}
    identity, moment = origin.identity, origin.moment
    manifest = Manifest(
        identity.job_uid,
        identity.attempt,
        moment.step,
        moment.epoch,
        moment.world_size,
        origin.spec_hash,
        None,
        files,
    )
    (folder / manifests.NAME).write_bytes(manifest.encode())
    manifests.measure(folder / manifests.NAME, sync=True)
    sync_folder(folder)
    return manifest


def _require_current(folder: Path, identity: Identity) -> None:
    """Failure where a later attempt of the same job has exported its model already."""
    try:
        there = manifests.read(folder)
    except Unusable:
        return
    if there.job_uid == identity.job_uid and there.attempt > identity.attempt:
        raise Failure("Superseded", f"Attempt {there.attempt} has exported its model; this one is stale.")


def _publish(unfinished: Path, folder: Path) -> None:
    """In the former one's place: for a moment there is none, but never half a one."""
    former = unfinished.with_name(f"{unfinished.name}.former")
    if folder.exists():
        folder.rename(former)
    unfinished.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(former, ignore_errors=True)
