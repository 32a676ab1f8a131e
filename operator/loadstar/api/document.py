"""What the trainer is told (LOADSTAR_SPEC): its share of the spec, places turned into paths of the pod."""

from typing import Any, Final

from loadstar.api.checkpoint import CheckpointSpec, ExportSpec
from loadstar.api.dataset import DatasetSpec, SyntheticSpec
from loadstar.api.evaluation import EvaluationSpec
from loadstar.api.locations import (
    CHECKPOINT_MOUNT,
    DATASET_MOUNT,
    EXPORT_MOUNT,
    WEIGHTS_MOUNT,
    location_of,
)
from loadstar.api.model import DEFAULT_HEADS, DEFAULT_WIDTH, ModelSpec
from loadstar.api.schema import Strict
from loadstar.api.training import TrainingSpec
from loadstar.api.v1alpha1 import TrainingJob

Json = dict[str, Any]

_MODEL_DEFAULTS: Final[dict[str, Json]] = {
    "linear": {},
    "mlp": {"hiddenLayers": [64, 64], "activation": "relu"},
    "cnn": {"channels": [32, 64], "activation": "relu"},
    "transformer": {"layers": 2, "heads": DEFAULT_HEADS, "width": DEFAULT_WIDTH, "activation": "gelu"},
}
_CONTEXT_LENGTH: Final = 128
_SCHEDULE_DEFAULTS: Final[dict[str, Json]] = {
    "constant": {},
    "linear": {"minLearningRate": 0.0},
    "cosine": {"minLearningRate": 0.0},
    "step": {"stepEpochs": 10, "gamma": 0.1},
}
_AUGMENT_DEFAULTS: Final[dict[str, Json]] = {
    "rotate": {"degrees": 10.0},
    "flip": {},
    "crop": {"padding": 2},
}


def trainer_document(job: TrainingJob) -> Json:
    """model, dataset, training, evaluation, checkpoint and export, defaults filled in and URIs made paths.

    What doesn't apply (channels of an mlp, momentum of adam) or isn't asked for (export) is absent. One's own program
    only has a checkpoint, if anything.
    """
    spec, document = job.spec, {}
    if spec.model and spec.dataset:
        document["model"] = _model(spec.model, spec.dataset)
        document["dataset"] = _dataset(spec.dataset)
        document["training"] = _training(spec.training or TrainingSpec())
        document["evaluation"] = _wire(spec.evaluation or EvaluationSpec(), "goal")
    if spec.checkpoint:
        document["checkpoint"] = _checkpoint(spec.checkpoint, job)
    if spec.export:
        document["export"] = _export(spec.export, job)
    return document


def checkpoint_path(job: TrainingJob) -> str | None:
    """The folder of the job's checkpoints in its pods: one of the job's own, as jobs may share a claim."""
    checkpoint = job.spec.checkpoint
    return _folder(checkpoint.uri, CHECKPOINT_MOUNT, job) if checkpoint else None


def export_uri(job: TrainingJob) -> str | None:
    """Where the trained network goes: beside the checkpoints, unless the job says otherwise."""
    spec = job.spec
    if spec.export is None:
        return None
    return spec.export.uri or (spec.checkpoint.uri if spec.checkpoint else None)


def _model(model: ModelSpec, dataset: DatasetSpec) -> Json:
    defaults = dict(_MODEL_DEFAULTS[model.type])
    if model.preset:
        del defaults["channels"]
    if model.type == "transformer" and dataset.is_text:
        defaults["contextLength"] = _CONTEXT_LENGTH
    told = defaults | _wire(model, "initial_weights")
    if model.initial_weights:
        told["initialWeights"] = {"path": location_of(model.initial_weights.uri).below(WEIGHTS_MOUNT)}
    return told


def _dataset(dataset: DatasetSpec) -> Json:
    if dataset.builtin == "synthetic-regression":
        dataset = dataset.model_copy(update={"synthetic": dataset.synthetic or SyntheticSpec()})
    told = _wire(dataset, "uri", "secret_name")
    if dataset.uri:
        place = location_of(dataset.uri)
        told |= {"uri": dataset.uri} if place.scheme == "s3" else {"path": place.below(DATASET_MOUNT)}
    changes = told["preprocess"].get("augment", [])
    if changes:
        told["preprocess"]["augment"] = [_AUGMENT_DEFAULTS[change["type"]] | change for change in changes]
    return told


def _training(training: TrainingSpec) -> Json:
    told = _wire(training)
    if training.optimizer == "sgd":
        told.setdefault("momentum", 0.0)
    told["schedule"] = _SCHEDULE_DEFAULTS[training.schedule.type] | told["schedule"]
    return told


def _checkpoint(checkpoint: CheckpointSpec, job: TrainingJob) -> Json:
    told = _wire(checkpoint, "uri")
    if (
        not job.spec.trainer.is_own_program
        and not {"everyEpochs", "everySteps", "everySeconds"} & told.keys()
    ):
        told["everyEpochs"] = 1
    return {"path": _folder(checkpoint.uri, CHECKPOINT_MOUNT, job), **told}


def _export(export: ExportSpec, job: TrainingJob) -> Json:
    return {"path": _folder(export_uri(job) or "", EXPORT_MOUNT, job), **_wire(export, "uri")}


def _folder(uri: str, mount: str, job: TrainingJob) -> str:
    return f"{location_of(uri).below(mount)}/{job.metadata.name}"


def _wire(part: Strict, *without: str) -> Json:
    return part.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(without))
