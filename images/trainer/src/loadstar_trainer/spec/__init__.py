"""The part of a TrainingJob's spec that the trainer acts on, parsed once:

    {"model", "dataset", "training", "evaluation", "checkpoint", "export"}

`parse` takes JSON text, refuses whatever it does not know, and names every bad field in one message. Places are paths
in this file system (`dataset.path`, `checkpoint.path`, `export.path`, `model.initialWeights.path`): who starts
the trainer has mounted them; only s3 stays a `dataset.uri`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from loadstar_trainer.failures import Refused
from loadstar_trainer.fields import Section
from loadstar_trainer.spec.dataset import Augment, Dataset, Split, Synthetic, read_dataset
from loadstar_trainer.spec.evaluation import Evaluation, read_evaluation
from loadstar_trainer.spec.model import Model, read_model
from loadstar_trainer.spec.storage import Checkpoint, Export, read_checkpoint, read_export
from loadstar_trainer.spec.tasks import BUILTIN_CLASSES, task_problems
from loadstar_trainer.spec.training import EarlyStopping, Schedule, Training, read_training

__all__ = [
    "Augment",
    "Checkpoint",
    "Dataset",
    "EarlyStopping",
    "Evaluation",
    "Export",
    "Model",
    "Schedule",
    "Spec",
    "Split",
    "Synthetic",
    "Training",
    "parse",
]


@dataclass(frozen=True)
class Spec:
    """None: nothing is checkpointed, or exported."""

    model: Model
    dataset: Dataset
    training: Training
    evaluation: Evaluation = field(default_factory=Evaluation)
    checkpoint: Checkpoint | None = None
    export: Export | None = None

    @property
    def wanted_metrics(self) -> tuple[str, ...]:
        """Metrics that the spec names, in evaluation or for early stopping: they must fit the task."""
        stopping = self.training.early_stopping
        return (*self.evaluation.metrics, *((stopping.metric,) if stopping else ()))


def parse(text: str) -> Spec:
    """Refused, reason InvalidSpec, with one clause per bad field."""
    problems: list[str] = []
    root = Section("", _decoded(text), problems)
    dataset = read_dataset(root.section("dataset"))
    checkpoint = read_checkpoint(root.section("checkpoint")) if "checkpoint" in root else None
    spec = Spec(
        read_model(root.section("model"), dataset),
        dataset,
        read_training(root.section("training")),
        read_evaluation(root.section("evaluation")),
        checkpoint,
        read_export(root.section("export"), checkpoint) if "export" in root else None,
    )
    root.close()
    problems += _problems_between(spec)
    if problems:
        raise Refused("InvalidSpec", "; ".join(problems) + ".")
    return spec


def _decoded(text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise Refused("InvalidSpec", f"LOADSTAR_SPEC is not JSON ({error}); give one JSON object.") from None


def _problems_between(spec: Spec) -> list[str]:
    """What does not go together across sections, as far as the spec alone tells."""
    problems = []
    training, dataset = spec.training, spec.dataset
    if training.early_stopping and not dataset.split.validation:
        problems.append(
            "training.earlyStopping looks at the validation part; make dataset.split.validation more than 0"
        )
    if dataset.is_language and spec.evaluation.folds:
        problems.append("evaluation.crossValidation needs samples, and a text is one; remove it")
    if dataset.is_text and spec.evaluation.importance_repeats:
        problems.append("evaluation.featureImportance needs columns of numbers; remove it")
    task = dataset.task
    # The classes of one's own data are counted when they are read: `task_problems` is asked again then.
    if task and (dataset.builtin or dataset.is_language):
        classes = BUILTIN_CLASSES.get(dataset.builtin, 0)
        problems += task_problems(task, classes, training.loss, spec.wanted_metrics, training.class_weights)
    return problems
