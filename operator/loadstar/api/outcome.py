"""Between the wire and the core: a result as status.result, and back."""

from loadstar.api import result as wire
from loadstar.core import results as core


def wire_result(result: core.Result | None) -> wire.Result | None:
    """A result as a status holds it."""
    if result is None:
        return None
    saved, model, resumed = result.checkpoint, result.model, result.resumed_from
    return wire.Result(
        metrics=tuple(wire.Metric(name=name, value=value) for name, value in result.metrics),
        world_size=result.world_size,
        seed=result.seed,
        data_hash=result.data_hash,
        epochs=result.epochs,
        duration_seconds=result.duration_seconds,
        confusion_matrix=result.confusion_matrix or None,
        importance=tuple(wire.Importance(name=name, value=value) for name, value in result.importance)
        or None,
        checkpoint=saved
        and wire.SavedCheckpoint(path=saved.path, digest=saved.digest, epoch=saved.epoch, step=saved.step),
        model=model and wire.ExportedModel(path=model.path, digest=model.digest, formats=model.formats),
        resumed_from=resumed
        and wire.Resumption(attempt=resumed.attempt, step=resumed.step, world_size=resumed.world_size),
        quantized=wire.Quantized(accuracy=result.quantized_accuracy) if result.quantized_accuracy else None,
        cross_validation=None if result.folds is None else wire.CrossValidated(folds=result.folds),
        initial_weights=None
        if result.initial_tensors is None
        else wire.Inherited(tensors=result.initial_tensors),
    )


def core_result(result: wire.Result, accuracy: str | None) -> core.Result:
    """A result as the core keeps it; numbers stay the text that the trainer wrote."""
    return core.Result(
        metrics=tuple((metric.name, metric.value) for metric in result.metrics),
        world_size=result.world_size,
        seed=result.seed,
        data_hash=result.data_hash,
        epochs=result.epochs,
        duration_seconds=result.duration_seconds,
        accuracy=accuracy,
        confusion_matrix=result.confusion_matrix or (),
        importance=tuple((column.name, column.value) for column in result.importance or ()),
        checkpoint=_checkpoint(result.checkpoint),
        model=_model(result.model),
        resumed_from=_resumption(result.resumed_from),
        quantized_accuracy=result.quantized.accuracy if result.quantized else None,
        folds=result.cross_validation.folds if result.cross_validation else None,
        initial_tensors=result.initial_weights.tensors if result.initial_weights else None,
    )


def _checkpoint(saved: wire.SavedCheckpoint | None) -> core.SavedCheckpoint | None:
    return core.SavedCheckpoint(saved.path, saved.digest, saved.epoch, saved.step) if saved else None


def _model(model: wire.ExportedModel | None) -> core.ExportedModel | None:
    return core.ExportedModel(model.path, model.digest, model.formats) if model else None


def _resumption(resumed: wire.Resumption | None) -> core.Resumption | None:
    return core.Resumption(resumed.attempt, resumed.step, resumed.world_size) if resumed else None
