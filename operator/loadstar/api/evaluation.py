"""spec.evaluation of a TrainingJob: what is measured at the end, and what is expected of it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loadstar.api.schema import MetricName, Rule, Strict, different

MetricKind = Literal[
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auroc",
    "confusionMatrix",
    "mse",
    "mae",
    "r2",
    "perplexity",
]
MetricKinds = Annotated[tuple[MetricKind, ...], Field(min_length=1, max_length=10), AfterValidator(different)]

OF_CLASSES = ("precision", "recall", "f1", "auroc", "confusionMatrix")
OF_NUMBERS = ("mse", "mae", "r2")
OF_TEXT = ("perplexity",)
"""Metrics that only one task has; accuracy is also measured of a language model's next byte."""


class GoalSpec(Strict):
    """What the result must reach for the job to count as succeeded."""

    metric: MetricName = Field(description="Name of a metric of the result, such as accuracy or loss.")
    min: float | None = Field(
        None, ge=-1e12, le=1e12, description="Least value that is good enough. One of min and max is needed."
    )
    max: float | None = Field(
        None,
        ge=-1e12,
        le=1e12,
        description="Largest value that is good enough. One of min and max is needed.",
    )

    RULES = (
        Rule(
            "has(self.min) != has(self.max)",
            lambda g: (g.min is None) != (g.max is None),
            "a goal has one bound: give min where more is better (accuracy), or max where less is better (loss)",
            ".min",
        ),
        Rule(
            "self.metric != 'confusionMatrix'",
            lambda g: g.metric != "confusionMatrix",
            "a confusion matrix is not one number: set goal.metric to a metric such as accuracy",
            ".metric",
        ),
    )


class CrossValidationSpec(Strict):
    """Training several times, each time tested on another part of the rows."""

    folds: int = Field(
        5, ge=2, le=20, description="Parts that the rows are divided into; the network is trained as often."
    )


class FeatureImportanceSpec(Strict):
    """How much worse the result gets when one column's values are shuffled among the test rows."""

    repeats: int = Field(5, ge=1, le=100, description="Shuffles of each column, averaged.")


class EvaluationSpec(Strict):
    """What is measured at the end."""

    metrics: MetricKinds | None = Field(
        None,
        description="What is measured on the test rows; precision, recall, f1 and auroc are means over the classes. "
        "Left out, all that fit the task.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    goal: GoalSpec | None = Field(
        None,
        description="What the result must reach: a job that trains to its end below it is Failed with reason "
        "GoalNotMet, and keeps its result. Also for one's own program.",
    )
    cross_validation: CrossValidationSpec | None = Field(
        None,
        description="Train once for each fold, tested on that fold. The result has each metric's mean over the folds, "
        "and its standard deviation as <metric>Std. Left out, dataset.split.test is tested on once.",
    )
    feature_importance: FeatureImportanceSpec | None = Field(
        None,
        description="Measure how much each column of a table matters for the result, by shuffling it among the test "
        "rows. Left out, it is not measured.",
    )
