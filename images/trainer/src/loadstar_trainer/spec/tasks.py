"""What a model is taught: classes, numbers or the next byte of a text; and which losses and metrics go with each."""

CLASSIFICATION, REGRESSION, LANGUAGE = "classification", "regression", "language"

# Built-in data: how many classes each has, 0 for numbers.
BUILTIN_CLASSES = {"iris": 3, "digits": 10, "breast-cancer": 2, "wine": 3, "synthetic-regression": 0}
IMAGES = ("digits",)

# The first is the default.
LOSSES = {
    CLASSIFICATION: ("crossEntropy", "bce"),
    REGRESSION: ("mse", "mae", "huber"),
    LANGUAGE: ("crossEntropy",),
}
METRICS = {
    CLASSIFICATION: ("accuracy", "precision", "recall", "f1", "auroc", "confusionMatrix"),
    REGRESSION: ("mse", "mae", "r2"),
    LANGUAGE: ("accuracy", "perplexity"),
}
ALL_LOSSES = ("crossEntropy", "bce", "mse", "mae", "huber")
ALL_METRICS = (*METRICS[CLASSIFICATION], *METRICS[REGRESSION], "perplexity")
# Better when lower; all others when higher.
ERRORS = ("loss", "mse", "mae", "perplexity")


def task_problems(
    task: str, classes: int, loss: str | None, metrics: tuple[str, ...], class_weights: bool
) -> list[str]:
    """Clauses that say what of a spec does not go with its data; `classes` is 0 but for classification."""
    problems = []
    if loss is not None and loss not in LOSSES[task]:
        problems.append(
            f"training.loss {loss} does not go with {task}; give one of {', '.join(LOSSES[task])}"
        )
    elif loss == "bce" and classes != 2:
        problems.append(
            f"training.loss bce is for two classes and the data have {classes}; give crossEntropy"
        )
    if class_weights and task != CLASSIFICATION:
        problems.append(f"training.classWeights only goes with classification, and this is {task}; remove it")
    for metric in metrics:
        if metric != "loss" and metric not in METRICS[task]:
            problems.append(
                f"the metric {metric} does not go with {task}; give some of {', '.join(METRICS[task])}"
            )
    return problems
