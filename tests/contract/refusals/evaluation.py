"""Rules of spec.evaluation."""

from tests.contract.refusals.case import (
    CHOICES,
    LEAST,
    MOST,
    Case,
    dataset,
    evaluation,
    goal,
    synthetic,
    table,
    text,
    together,
)

EVALUATION = (
    Case(
        "metrics are known",
        evaluation(metrics=["f1"]),
        evaluation(metrics=["bleu"]),
        "spec.evaluation.metrics",
        CHOICES,
    ),
    Case(
        "metrics differ",
        evaluation(metrics=["f1", "auroc"]),
        evaluation(metrics=["f1", "f1"]),
        "spec.evaluation.metrics",
        "Duplicate value",
        told=False,
    ),
    *(
        Case(
            f"{metric} is measured of {what}",
            together(data, evaluation(metrics=[metric])),
            together(other, evaluation(metrics=[metric])),
            "spec.evaluation.metrics",
            f"can only be measured of {what}",
        )
        for what, metric, data, other in (
            ("classes", "confusionMatrix", {}, synthetic()),
            ("numbers", "mae", table(), {}),
            ("a text", "perplexity", text(), {}),
            ("classes and text", "accuracy", text(), synthetic()),
        )
    ),
    Case(
        "a goal has one bound",
        goal(metric="accuracy", min=0.9),
        goal(metric="accuracy", min=0.9, max=1),
        "spec.evaluation.goal.min",
        "give min where more is better",
        told=False,
    ),
    Case(
        "a goal has a bound",
        goal(metric="loss", max=0.1),
        goal(metric="loss"),
        "spec.evaluation.goal.min",
        "a goal has one bound",
        told=False,
    ),
    Case(
        "a goal is a number",
        goal(metric="loss", max=1e12),
        goal(metric="loss", max=1e13),
        "spec.evaluation.goal.max",
        MOST,
        told=False,
    ),
    Case(
        "a goal's metric is one number",
        goal(metric="f1", min=0.5),
        goal(metric="confusionMatrix", min=0.5),
        "spec.evaluation.goal.metric",
        "set goal.metric to a metric such as accuracy",
        told=False,
    ),
    Case(
        "a goal's metric has a name",
        goal(metric="val/f1", min=0.5),
        goal(metric="f1 score", min=0.5),
        "spec.evaluation.goal.metric",
        "should match",
        told=False,
    ),
    Case(
        "there are folds",
        evaluation(crossValidation={"folds": 2}),
        evaluation(crossValidation={"folds": 1}),
        "spec.evaluation.crossValidation.folds",
        LEAST,
    ),
    Case(
        "a text has no folds",
        evaluation(crossValidation={}),
        together(text(), evaluation(crossValidation={})),
        "spec.evaluation.crossValidation",
        "a text has none",
    ),
    Case(
        "shuffles are some",
        evaluation(featureImportance={"repeats": 1}),
        evaluation(featureImportance={"repeats": 0}),
        "spec.evaluation.featureImportance.repeats",
        LEAST,
    ),
    Case(
        "images have no columns",
        together(table(), evaluation(featureImportance={})),
        together(dataset(builtin="digits"), evaluation(featureImportance={})),
        "spec.evaluation.featureImportance",
        "the data is images or text",
        told=False,
    ),
    Case(
        "text has no columns",
        evaluation(featureImportance={}),
        together(text(), evaluation(featureImportance={})),
        "spec.evaluation.featureImportance",
        "the data is images or text",
    ),
)
