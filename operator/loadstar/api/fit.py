"""Rules between the parts of a spec: whether model, data, loss and metrics fit each other, and who trains."""

from collections.abc import Callable
from typing import Any

from loadstar.api.dataset import is_text, known_format, known_task, may_be_images
from loadstar.api.evaluation import OF_CLASSES, OF_NUMBERS, OF_TEXT
from loadstar.api.schema import Group, Rule
from loadstar.api.trainer import IS_OWN_PROGRAM, processes_per_node
from loadstar.api.training import CLASS_LOSSES, DEFAULT_BATCH_SIZE

Spec = Any
"""A TrainingJobSpec, whose module imports this one."""

_OWN = IS_OWN_PROGRAM.format("self.trainer")
_TASK = known_task("self.dataset")
_FORMAT = known_format("self.dataset")
_TEXT = is_text("self.dataset")


def _not_of_own_programs(field: str, what: str, given: Callable[[Spec], bool]) -> Rule:
    parts = field.split(".")
    there = " && ".join(f"has(self.{'.'.join(parts[: depth + 1])})" for depth in range(len(parts)))
    return Rule(
        f"!({there})",
        lambda spec: not given(spec) or not spec.trainer.is_own_program,
        f"{field} {what}: remove it, or trainer.command and trainer.args",
        f".{field}",
    )


def _of(part: str, field: str) -> Callable[[Spec], bool]:
    return lambda spec: getattr(getattr(spec, part), field, None) is not None


_TELLS = "tells Loadstar's own trainer what to do, and one's own program is given"

PROGRAM_RULES = (
    Rule(
        f"has(self.model) && has(self.dataset) || {_OWN}",
        lambda s: s.trainer.is_own_program or (s.model is not None and s.dataset is not None),
        "model and dataset say what to train: give both, or one's own program as trainer.command or trainer.args",
        ".model",
    ),
    Group(
        _OWN,
        (
            _not_of_own_programs("model", _TELLS, lambda s: s.model is not None),
            _not_of_own_programs("dataset", _TELLS, lambda s: s.dataset is not None),
            _not_of_own_programs("training", _TELLS, lambda s: s.training is not None),
            _not_of_own_programs("export", _TELLS, lambda s: s.export is not None),
            _not_of_own_programs("evaluation.metrics", _TELLS, _of("evaluation", "metrics")),
            _not_of_own_programs("evaluation.crossValidation", _TELLS, _of("evaluation", "cross_validation")),
            _not_of_own_programs(
                "evaluation.featureImportance", _TELLS, _of("evaluation", "feature_importance")
            ),
            _not_of_own_programs("checkpoint.everyEpochs", _TELLS, _of("checkpoint", "every_epochs")),
            _not_of_own_programs("checkpoint.everySteps", _TELLS, _of("checkpoint", "every_steps")),
            _not_of_own_programs("checkpoint.everySeconds", _TELLS, _of("checkpoint", "every_seconds")),
        ),
        "spec",
    ),
)


def _task_is(spec: Spec, *tasks: str) -> bool:
    """Whether the task is one of these, or not known before the data is read; so too without a data set."""
    return spec.dataset is None or spec.dataset.known_task in {*tasks, None}


def _is_task(*tasks: str) -> str:
    """The same in CEL."""
    return f"(!has(self.dataset) || {_TASK} in [{', '.join(repr(task) for task in (*tasks, ''))}])"


def _loss(spec: Spec) -> str | None:
    return spec.training.loss if spec.training else None


_ONLY_OF = (
    (OF_CLASSES, ("classification",), "classes"),
    (OF_NUMBERS, ("regression",), "numbers"),
    (OF_TEXT, ("language",), "a text"),
    (("accuracy",), ("classification", "language"), "classes and text"),
)
"""Metrics, the tasks whose results they measure, and what these are made of."""


def _only_of(metrics: tuple[str, ...], what: str) -> str:
    return f"{', '.join(metrics)} can only be measured of {what}: name metrics that fit the data"


def _listed(metrics: tuple[str, ...]) -> str:
    return f"[{', '.join(repr(metric) for metric in metrics)}]"


def _evaluation_fits(metrics: tuple[str, ...], tasks: tuple[str, ...], what: str) -> Rule:
    return Rule(
        f"!has(self.evaluation.metrics) || {_is_task(*tasks)} || "
        f"!self.evaluation.metrics.exists(metric, metric in {_listed(metrics)})",
        lambda s: (
            _task_is(s, *tasks)
            or not set((s.evaluation.metrics if s.evaluation else None) or ()) & set(metrics)
        ),
        _only_of(metrics, what),
        ".evaluation.metrics",
    )


def _stopping_fits(metrics: tuple[str, ...], tasks: tuple[str, ...], what: str) -> Rule:
    return Rule(
        f"!has(self.training.earlyStopping) || {_is_task(*tasks)} || "
        f"!(self.training.earlyStopping.metric in {_listed(metrics)})",
        lambda s: (
            _task_is(s, *tasks)
            or s.training is None
            or s.training.early_stopping is None
            or s.training.early_stopping.metric not in metrics
        ),
        _only_of(metrics, what),
        ".training.earlyStopping.metric",
    )


_LOSS = "(has(self.training.loss) ? self.training.loss : '')"

_MODEL_RULES = (
    Rule(
        f"self.model.type != 'cnn' || {may_be_images('self.dataset')}",
        lambda s: s.model is None or s.dataset is None or s.model.type != "cnn" or s.dataset.may_be_images,
        "model.type cnn needs images and dataset names a table or text: set dataset.builtin to digits, or model.type "
        "to mlp or linear",
        ".model.type",
    ),
    Rule(
        f"self.model.type == 'transformer' || !{_TEXT}",
        lambda s: (
            s.model is None or s.dataset is None or s.model.type == "transformer" or not s.dataset.is_text
        ),
        "the data is text, which only a transformer reads: set model.type to transformer",
        ".model.type",
    ),
    Rule(
        f"!has(self.model.contextLength) || {_TEXT}",
        lambda s: s.model is None or s.dataset is None or s.model.context_length is None or s.dataset.is_text,
        "contextLength counts bytes and the data is not text: remove it, or set dataset.format to text or "
        "dataset.textColumn",
        ".model.contextLength",
    ),
)

_TRAINING_RULES = (
    Rule(
        f"!({_LOSS} in ['crossEntropy', 'bce']) || {_is_task('classification', 'language')}",
        lambda s: _loss(s) not in CLASS_LOSSES or _task_is(s, "classification", "language"),
        "crossEntropy and bce compare classes and the target is a number: set training.loss to mse, mae or huber",
        ".training.loss",
    ),
    Rule(
        f"{_LOSS} in ['', 'crossEntropy', 'bce'] || {_is_task('regression')}",
        lambda s: _loss(s) in {None, *CLASS_LOSSES} or _task_is(s, "regression"),
        "mse, mae and huber compare numbers and the target is a class: set training.loss to crossEntropy",
        ".training.loss",
    ),
    Rule(
        f"{_LOSS} != 'bce' || !has(self.dataset) || {_TASK} != 'language' && "
        "(!has(self.dataset.builtin) || self.dataset.builtin in ['breast-cancer', 'synthetic-regression'])",
        lambda s: (
            _loss(s) != "bce"
            or s.dataset is None
            or (
                s.dataset.known_task != "language"
                and s.dataset.builtin in {None, "breast-cancer", "synthetic-regression"}
            )
        ),
        "bce is for two classes and the data has more: set training.loss to crossEntropy",
        ".training.loss",
    ),
    Rule(
        f"!has(self.training.classWeights) || {_is_task('classification')}",
        lambda s: s.training is None or s.training.class_weights is None or _task_is(s, "classification"),
        "classWeights weighs classes and the task is not classification: remove it",
        ".training.classWeights",
    ),
    Rule(
        "!has(self.training.earlyStopping) || !has(self.dataset) || self.dataset.split.validation > 0.0",
        lambda s: (
            s.training is None
            or s.training.early_stopping is None
            or s.dataset is None
            or s.dataset.split.validation > 0
        ),
        "earlyStopping looks at the validation rows: raise dataset.split.validation above 0 or remove earlyStopping",
        ".training.earlyStopping",
    ),
    *(_stopping_fits(*only) for only in _ONLY_OF),
)

_EVALUATION_RULES = (
    *(_evaluation_fits(*only) for only in _ONLY_OF),
    Rule(
        f"!has(self.evaluation.crossValidation) || !has(self.dataset) || {_TASK} != 'language'",
        lambda s: (
            s.evaluation is None
            or s.evaluation.cross_validation is None
            or s.dataset is None
            or s.dataset.known_task != "language"
        ),
        "crossValidation deals out rows and a text has none: remove it",
        ".evaluation.crossValidation",
    ),
    Rule(
        "!has(self.evaluation.featureImportance) || !has(self.dataset) || "
        f"!({_TEXT} || has(self.dataset.builtin) && self.dataset.builtin == 'digits' || "
        f"{_FORMAT} in ['idx', 'images'])",
        lambda s: (
            s.evaluation is None
            or s.evaluation.feature_importance is None
            or s.dataset is None
            or not (
                s.dataset.is_text
                or s.dataset.builtin == "digits"
                or s.dataset.known_format in {"idx", "images"}
            )
        ),
        "featureImportance needs a table with columns and the data is images or text: remove it",
        ".evaluation.featureImportance",
    ),
)

FIT_RULES = (
    Group("has(self.model) && has(self.dataset)", _MODEL_RULES, "spec", ".model"),
    Group("has(self.training)", _TRAINING_RULES, "spec", ".training"),
    Group("has(self.evaluation)", _EVALUATION_RULES, "spec", ".evaluation"),
    Rule(
        "!has(self.export) || has(self.export.uri) || has(self.checkpoint)",
        lambda s: s.export is None or s.export.uri is not None or s.checkpoint is not None,
        "nothing says where to: give export.uri, or checkpoint.uri for both",
        ".export.uri",
    ),
    Rule(
        f"{_OWN} || (has(self.training) ? self.training.batchSize : {DEFAULT_BATCH_SIZE}) >= "
        f"self.trainer.numNodes * {processes_per_node('self.trainer')}",
        lambda s: (
            s.trainer.is_own_program
            or (s.training.batch_size if s.training else DEFAULT_BATCH_SIZE) >= s.trainer.world_size
        ),
        "training.batchSize is the batch of all processes together and needs at least one row for each: "
        "raise it, or lower trainer.numNodes or trainer.numProcPerNode",
        ".training.batchSize",
    ),
)
