"""From a spec to a result: data, model, training, test."""

import time
from pathlib import Path

import torch
from torch import nn

from loadstar_trainer import data as datasets
from loadstar_trainer import models
from loadstar_trainer.callbacks import Callback, Log
from loadstar_trainer.checkpoint.saving import saving
from loadstar_trainer.data import Data
from loadstar_trainer.environment import NOBODY, Identity, Ranks
from loadstar_trainer.failures import Refused
from loadstar_trainer.fit import Fit, Outcome
from loadstar_trainer.folds import cross_validate
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.losses import Objective
from loadstar_trainer.models import weights
from loadstar_trainer.record import Exported, Extras, Result
from loadstar_trainer.spec import Spec
from loadstar_trainer.spec.tasks import CLASSIFICATION, task_problems
from loadstar_trainer.train import Course


def run(
    spec: Spec,
    ranks: Ranks,
    interruption: Interruption,
    identity: Identity = NOBODY,
    reports: Callback | None = None,
) -> Result:
    """Trains and tests in this rank as one of all; every rank returns the same result but for the time taken.

    Where checkpoints and the exported model are is known to rank 0 alone; `reports`, if any, are told of each epoch.
    """
    began = time.monotonic()
    data = datasets.prepare(spec.dataset, spec.model.context_length or None)
    # Before the ranks meet: what the job cannot have is refused at once, by each rank for itself.
    require_fit(spec, data)
    if spec.export is not None:
        from loadstar_trainer.export.files import require_formats

        require_formats(spec.export)
    model, initial_tensors = build(spec, data)
    gang = Gang(ranks)
    if gang.device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    callbacks: list[Callback] = [Log()] if gang.rank == 0 else []
    checkpoints = saving(spec, data.hash, identity, gang)
    callbacks += [checkpoints] if checkpoints else []
    callbacks += [reports] if reports else []
    interruption.install()
    with gang.watched():
        outcome = _train(spec, data, model, Fit(spec, gang, callbacks, interruption))
        exported = _export(spec, data, model, gang, identity)
        gang.close()
    return Result(
        world_size=gang.world_size,
        seed=spec.training.seed,
        data_hash=data.hash,
        device=gang.device.type,
        backend=gang.backend,
        torch=torch.__version__.partition("+")[0],
        samples=data.sizes,
        epochs=outcome.epochs,
        duration_seconds=time.monotonic() - began,
        metrics=outcome.metrics,
        extras=Extras(
            checkpoint=checkpoints.newest if checkpoints else None,
            resumed_from=checkpoints.resumed_from if checkpoints else None,
            model=exported,
            confusion=tuple(map(tuple, outcome.confusion)),
            importance=outcome.importance,
            folds=spec.evaluation.folds,
            initial_tensors=initial_tensors,
        ),
    )


def _train(spec: Spec, data: Data, model: nn.Module, fit: Fit) -> Outcome:
    """With cross-validation: metrics are those of its folds.

    A model that is kept, or asked which columns it goes by, is then trained last, on the parts that the split gives.
    """
    folds = spec.evaluation.folds
    if not folds:
        return fit.train(data, model, Course())
    kept = spec.export is not None or spec.evaluation.importance_repeats > 0
    outcome = cross_validate(spec, fit, lambda fold: build(spec, fold)[0], folds + kept)
    if kept:
        last = fit.train(data, model, Course(0, folds, folds + 1))
        outcome = Outcome(outcome.metrics, outcome.epochs, outcome.confusion, last.importance)
    return outcome


def _export(spec: Spec, data: Data, model: nn.Module, gang: Gang, identity: Identity) -> Exported | None:
    if spec.export is None:
        return None
    from loadstar_trainer.export.trained import export_trained

    return export_trained(spec, data, model, gang, identity)


def build(spec: Spec, data: Data) -> tuple[nn.Module, int | None]:
    """The model, a function of the seed, and how many tensors it took from initialWeights, if it was given any."""
    objective = Objective.of(data.task, spec.training.loss, data.classes)
    torch.manual_seed(spec.training.seed)
    model = models.build(spec.model, data.task, data.shape, objective.outputs)
    path = spec.model.initial_weights
    loaded = weights.load(model, Path(path)) if path is not None else None
    weights.freeze(model, spec.model.freeze)
    return model, loaded


def require_fit(spec: Spec, data: Data) -> None:
    """Refused where the spec asks for what data like these cannot have; of one's own data, that is known only now."""
    training, evaluation = spec.training, spec.evaluation
    classes = data.classes if data.task == CLASSIFICATION else 0
    problems = task_problems(data.task, classes, training.loss, spec.wanted_metrics, training.class_weights)
    if evaluation.importance_repeats and not data.columns:
        problems.append("evaluation.featureImportance only goes with tables, which have columns; remove it")
    elif evaluation.importance_repeats and not isinstance(data.test, datasets.Samples):
        problems.append(
            "evaluation.featureImportance needs data that fit in memory, and these do not; remove it"
        )
    if problems:
        raise Refused("InvalidSpec", "; ".join(problems) + ".")
