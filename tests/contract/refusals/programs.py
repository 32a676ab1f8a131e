"""Rules of one's own program, and of the container that any program runs in."""

from tests.contract.refusals.case import (
    LEAST,
    Case,
    checkpoint,
    evaluation,
    program,
    together,
    trainer,
)

PATTERN = "(loss): ([0-9.]+)"
TOKEN = {"secretKeyRef": {"name": "hub", "key": "token"}}
SCRIPTS = {"configMap": "scripts", "mountPath": "/scripts"}
DATA = {"claim": "data", "mountPath": "/data"}
OWN = "tells Loadstar's own trainer what to do"

PROGRAMS = (
    Case("something is trained", program(), {"model": ...}, "spec.model", "give both, or one's own program"),
    Case(
        "a command has a word",
        program(command=["a"]),
        program(command=[]),
        "spec.trainer.command",
        "at least 1 items",
    ),
    Case(
        "arguments are a program, too",
        {"model": ..., "dataset": ..., "trainer": {"args": ["--lr=1"]}},
        program(args=[]),
        "spec.trainer.args",
        "at least 1 items",
    ),
    *(
        Case(
            f"one's own program has no {field}",
            program(),
            together(program(), {field: value}),
            f"spec.{field}",
            f"{field} {OWN}",
        )
        for field, value in (
            ("model", {"type": "mlp"}),
            ("dataset", {"builtin": "iris"}),
            ("training", {}),
            ("export", {"uri": "pvc://models"}),
        )
    ),
    *(
        Case(
            f"one's own program has no {part}.{field}",
            together(program(), evaluation(goal={"metric": "f1", "min": 1}), checkpoint()),
            together(program(), {part: value}),
            f"spec.{part}.{field}",
            f"{part}.{field} {OWN}",
        )
        for part, field, value in (
            ("evaluation", "metrics", {"metrics": ["f1"]}),
            ("evaluation", "crossValidation", {"crossValidation": {}}),
            ("evaluation", "featureImportance", {"featureImportance": {}}),
            ("checkpoint", "everyEpochs", {"uri": "pvc://a", "everyEpochs": 1}),
            ("checkpoint", "everySteps", {"uri": "pvc://a", "everySteps": 1}),
            ("checkpoint", "everySeconds", {"uri": "pvc://a", "everySeconds": 1}),
        )
    ),
    Case(
        "a variable has a name",
        trainer(env=[{"name": "A", "value": ""}]),
        trainer(env=[{"name": "1", "value": ""}]),
        "spec.trainer.env",
        "should match",
    ),
    Case(
        "a variable has a value",
        trainer(env=[{"name": "A", "valueFrom": TOKEN}]),
        trainer(env=[{"name": "A"}]),
        "spec.trainer.env",
        "give one of value and valueFrom",
    ),
    Case(
        "a value has one source",
        trainer(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]),
        trainer(env=[{"name": "A", "valueFrom": {}}]),
        "spec.trainer.env",
        "give one of secretKeyRef and configMapKeyRef",
    ),
    Case(
        "ranks are set by the operator",
        trainer(env=[{"name": "RANKING", "value": "1"}]),
        trainer(env=[{"name": "RANK", "value": "1"}]),
        "spec.trainer.env",
        "choose another name",
    ),
    Case(
        "variables differ",
        trainer(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]),
        trainer(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "1"}]),
        "spec.trainer.env",
        "Duplicate value",
    ),
    Case(
        "a volume has one source",
        trainer(volumes=[SCRIPTS, DATA]),
        trainer(volumes=[DATA | {"secret": "a"}]),
        "spec.trainer.volumes",
        "give one of claim, configMap and secret",
    ),
    Case(
        "a volume has a folder",
        trainer(volumes=[DATA]),
        trainer(volumes=[DATA | {"mountPath": "data"}]),
        "spec.trainer.volumes",
        "should match",
    ),
    Case(
        "a volume's folder is free",
        trainer(volumes=[DATA | {"mountPath": "/mnt/data"}]),
        trainer(volumes=[DATA | {"mountPath": "/mnt/dataset/a"}]),
        "spec.trainer.volumes",
        "choose another such as /data",
    ),
    Case(
        "a volume's part is inside of it",
        trainer(volumes=[DATA | {"subPath": "a/b"}]),
        trainer(volumes=[DATA | {"subPath": "../b"}]),
        "spec.trainer.volumes",
        "write it without / first and without ..",
    ),
    Case(
        "only claims are written to",
        trainer(volumes=[DATA | {"readOnly": False}]),
        trainer(volumes=[SCRIPTS | {"readOnly": False}]),
        "spec.trainer.volumes",
        "remove readOnly, or name a claim",
    ),
    Case(
        "volumes have folders of their own",
        trainer(volumes=[DATA, SCRIPTS]),
        trainer(volumes=[DATA, DATA]),
        "spec.trainer.volumes",
        "Duplicate value",
    ),
    Case(
        "a log is read of one's own program",
        program(logMetrics={"patterns": [PATTERN]}),
        trainer(logMetrics={"patterns": [PATTERN]}),
        "spec.trainer.logMetrics",
        "its log is not read",
    ),
    Case(
        "a pattern has two groups",
        program(logMetrics={"patterns": [PATTERN]}),
        program(logMetrics={"patterns": ["accuracy=(.*)"]}),
        "spec.trainer.logMetrics.patterns",
        "a regular expression with two groups",
    ),
    Case(
        "a pattern is a regular expression",
        program(logMetrics={"patterns": [PATTERN]}),
        program(logMetrics={"patterns": ["(a)(b"]}),
        "spec.trainer.logMetrics",
        "logMetrics",
    ),
    Case(
        "there is time to end",
        trainer(terminationGracePeriodSeconds=30),
        trainer(terminationGracePeriodSeconds=29),
        "spec.trainer.terminationGracePeriodSeconds",
        LEAST,
    ),
)
