"""Every rule of spec with a value that keeps it and one that breaks it: judged by the models and by the API server."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

IRIS: Json = {"model": {"type": "mlp"}, "dataset": {"builtin": "iris"}}


@dataclass(frozen=True)
class Case:
    """`accept` and `refuse` are laid over IRIS; the refusal names `field` and says `says` (of the API server)."""

    name: str
    accept: Json
    refuse: Json
    field: str
    says: str


def merged(base: Json, change: Json) -> Json:
    """`base` with `change` laid over it, object by object; `...` takes a field away."""
    result = dict(base)
    for key, value in change.items():
        if value is ...:
            del result[key]
        else:
            result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def _model(**fields: Any) -> Json:
    return {"model": fields}


def _dataset(**fields: Any) -> Json:
    return {"dataset": fields}


def _split(**fields: Any) -> Json:
    return _dataset(split=fields)


def _synthetic(**fields: Any) -> Json:
    return {"model": {"type": "linear"}} | _dataset(builtin="synthetic-regression", synthetic=fields)


def _training(**fields: Any) -> Json:
    return {"training": fields}


def _trainer(**fields: Any) -> Json:
    return {"trainer": fields}


def _resources(**fields: Any) -> Json:
    return _trainer(resourcesPerNode=fields)


def _gpus(count: Any) -> Json:
    return _resources(**{"nvidia.com/gpu": count})


def _scheduling(**fields: Any) -> Json:
    return {"scheduling": fields}


def _run_policy(**fields: Any) -> Json:
    return {"runPolicy": fields}


LEAST = "greater than or equal to"
MOST = "less than or equal to"
CHOICES = "supported values"
DIGITS = _model(type="cnn") | _dataset(builtin="digits")

MODEL = (
    Case("a model has a type", _model(type="mlp"), _model(type=...), "spec.model.type", "Required value"),
    Case("the type is known", _model(type="linear"), _model(type="forest"), "spec.model.type", CHOICES),
    Case(
        "hidden layers belong to an mlp",
        _model(hiddenLayers=[8]),
        _model(type="linear", hiddenLayers=[8]),
        "spec.model.hiddenLayers",
        "remove it or set model.type to mlp",
    ),
    Case(
        "a layer has a width",
        _model(hiddenLayers=[1]),
        _model(hiddenLayers=[0]),
        "spec.model.hiddenLayers",
        LEAST,
    ),
    Case(
        "an mlp has hidden layers",
        _model(hiddenLayers=[1]),
        _model(hiddenLayers=[]),
        "spec.model.hiddenLayers",
        "at least 1",
    ),
    Case(
        "hidden layers are few",
        _model(hiddenLayers=[1] * 32),
        _model(hiddenLayers=[1] * 33),
        "spec.model.hiddenLayers",
        "at most 32 items",
    ),
    Case(
        "channels belong to a cnn",
        DIGITS | _model(type="cnn", channels=[4]),
        _model(channels=[4]),
        "spec.model.channels",
        "remove it or set model.type to cnn",
    ),
    Case(
        "a convolution has channels",
        DIGITS | _model(type="cnn", channels=[1]),
        DIGITS | _model(type="cnn", channels=[0]),
        "spec.model.channels",
        LEAST,
    ),
    Case(
        "a linear model has no activation",
        _model(activation="tanh"),
        _model(type="linear", activation="tanh"),
        "spec.model.activation",
        "remove activation or set model.type to mlp or cnn",
    ),
    Case(
        "the activation is known",
        _model(activation="gelu"),
        _model(activation="elu"),
        "spec.model.activation",
        CHOICES,
    ),
    Case(
        "a linear model has no dropout",
        _model(type="linear", dropout=0),
        _model(type="linear", dropout=0.1),
        "spec.model.dropout",
        "remove dropout or set model.type to mlp or cnn",
    ),
    Case(
        "dropout leaves something",
        _model(dropout=0.99),
        _model(dropout=1),
        "spec.model.dropout",
        "less than 1",
    ),
    Case("dropout is a share", _model(dropout=0), _model(dropout=-0.1), "spec.model.dropout", LEAST),
    Case(
        "a cnn needs images",
        DIGITS,
        DIGITS | _dataset(builtin="wine"),
        "spec.model.type",
        "set dataset.builtin to digits, or model.type to mlp or linear",
    ),
)

DATASET = (
    Case("a data set is named", {}, _dataset(builtin=...), "spec.dataset.builtin", "Required value"),
    Case(
        "the data set is known",
        _dataset(builtin="wine"),
        _dataset(builtin="mnist"),
        "spec.dataset.builtin",
        CHOICES,
    ),
    Case(
        "synthetic belongs to synthetic data",
        _synthetic(samples=50),
        _dataset(synthetic={"samples": 50}),
        "spec.dataset.synthetic",
        "remove it or set dataset.builtin to that",
    ),
    Case(
        "coefficients match the features",
        _synthetic(features=3, coefficients=[1, -2.5, 0]),
        _synthetic(features=3, coefficients=[1, 2]),
        "spec.dataset.synthetic.coefficients",
        "set features to their number, or change the list",
    ),
    Case(
        "coefficients are moderate",
        _synthetic(coefficients=[1e6, -1e6]),
        _synthetic(coefficients=[1e7, 0]),
        "spec.dataset.synthetic.coefficients",
        MOST,
    ),
    Case(
        "samples can be split",
        _synthetic(samples=10),
        _synthetic(samples=9),
        "spec.dataset.synthetic.samples",
        LEAST,
    ),
    Case(
        "there are features",
        _synthetic(features=1),
        _synthetic(features=0),
        "spec.dataset.synthetic.features",
        LEAST,
    ),
    Case(
        "noise is a deviation",
        _synthetic(noise=0),
        _synthetic(noise=-1),
        "spec.dataset.synthetic.noise",
        LEAST,
    ),
    Case(
        "the data's seed is natural",
        _synthetic(seed=7),
        _synthetic(seed=-7),
        "spec.dataset.synthetic.seed",
        LEAST,
    ),
    Case(
        "the scaling is known",
        _dataset(preprocess={"scale": "none"}),
        _dataset(preprocess={"scale": "log"}),
        "spec.dataset.preprocess.scale",
        CHOICES,
    ),
    Case(
        "rows are left to train on",
        _split(validation=0.3, test=0.6),
        _split(validation=0.5, test=0.5),
        "spec.dataset.split",
        "lower one of them",
    ),
    Case(
        "validation is a share",
        _split(validation=0),
        _split(validation=-0.1),
        "spec.dataset.split.validation",
        LEAST,
    ),
    Case(
        "there are test rows", _split(test=0.01), _split(test=0), "spec.dataset.split.test", "greater than 0"
    ),
    Case(
        "the split's seed fits", _split(seed=2**32 - 1), _split(seed=2**32), "spec.dataset.split.seed", MOST
    ),
)

TRAINING = (
    Case("there is an epoch", _training(epochs=1), _training(epochs=0), "spec.training.epochs", LEAST),
    Case("epochs are whole", _training(epochs=2), _training(epochs=2.5), "spec.training.epochs", "integer"),
    Case(
        "a batch has a row", _training(batchSize=1), _training(batchSize=0), "spec.training.batchSize", LEAST
    ),
    Case(
        "the learning rate is positive",
        _training(learningRate=1e-9),
        _training(learningRate=0),
        "spec.training.learningRate",
        "greater than 0",
    ),
    Case(
        "the learning rate is sane",
        _training(learningRate=10),
        _training(learningRate=10.1),
        "spec.training.learningRate",
        MOST,
    ),
    Case(
        "the optimizer is known",
        _training(optimizer="adamw"),
        _training(optimizer="lion"),
        "spec.training.optimizer",
        CHOICES,
    ),
    Case(
        "momentum belongs to sgd",
        _training(optimizer="sgd", momentum=0.9),
        _training(momentum=0.9),
        "spec.training.momentum",
        "remove it or set training.optimizer to sgd",
    ),
    Case(
        "momentum is below one",
        _training(optimizer="sgd", momentum=0),
        _training(optimizer="sgd", momentum=1),
        "spec.training.momentum",
        "less than 1",
    ),
    Case(
        "weight decay shrinks",
        _training(weightDecay=0.1),
        _training(weightDecay=-0.1),
        "spec.training.weightDecay",
        LEAST,
    ),
    Case("the seed is natural", _training(seed=1), _training(seed=-1), "spec.training.seed", LEAST),
    Case(
        "each process has a row of the batch",
        _training(batchSize=4) | merged(_trainer(numNodes=2), _gpus("2")),
        _training(batchSize=3) | merged(_trainer(numNodes=2), _gpus("2")),
        "spec.training.batchSize",
        "raise it, or lower trainer.numNodes or trainer.numProcPerNode",
    ),
)

TRAINER = (
    Case(
        "an image is named",
        _trainer(image="a/b:1"),
        _trainer(image=""),
        "spec.trainer.image",
        "at least 1 chars",
    ),
    Case(
        "an image is one word",
        _trainer(image="a/b:1"),
        _trainer(image="a b"),
        "spec.trainer.image",
        "without spaces",
    ),
    Case("there is a node", _trainer(numNodes=1), _trainer(numNodes=0), "spec.trainer.numNodes", LEAST),
    Case(
        "there is a process",
        merged(_gpus(2), _trainer(numProcPerNode=1)),
        _trainer(numProcPerNode=0),
        "spec.trainer.numProcPerNode",
        LEAST,
    ),
    Case(
        "each process has its GPU",
        merged(_gpus(2), _trainer(numProcPerNode=2)),
        _trainer(numProcPerNode=2),
        "spec.trainer.numProcPerNode",
        "lower numProcPerNode",
    ),
    Case(
        "CPUs are a quantity",
        _resources(cpu="500m"),
        _resources(cpu="half"),
        "spec.trainer.resourcesPerNode.cpu",
        "such as 500m or 2",
    ),
    Case(
        "CPUs are something",
        _resources(cpu=2),
        _resources(cpu="0"),
        "spec.trainer.resourcesPerNode.cpu",
        "above zero",
    ),
    Case(
        "memory is a quantity",
        _resources(memory="1.5Gi"),
        _resources(memory="1.5GB"),
        "spec.trainer.resourcesPerNode.memory",
        "such as 512Mi or 4Gi",
    ),
    Case(
        "GPUs are whole",
        _gpus("1"),
        _gpus("1500m"),
        "spec.trainer.resourcesPerNode.nvidia.com/gpu",
        "write a number from 0 to 64",
    ),
    Case(
        "GPUs are few",
        merged(_gpus(64), _training(batchSize=64)),
        merged(_gpus(65), _training(batchSize=100)),
        "spec.trainer.resourcesPerNode.nvidia.com/gpu",
        "write a number from 0 to 64",
    ),
)

SCHEDULING = (
    Case(
        "the policy is known",
        _scheduling(policy="roundRobin"),
        _scheduling(policy="random"),
        "spec.scheduling.policy",
        CHOICES,
    ),
    Case(
        "alpha belongs to feedback",
        _scheduling(policy="feedback", alpha=-0.5),
        _scheduling(alpha=-0.5),
        "spec.scheduling.alpha",
        "remove it or set scheduling.policy to feedback",
    ),
    Case(
        "alpha is at most one",
        _scheduling(policy="feedback", alpha=1),
        _scheduling(policy="feedback", alpha=1.1),
        "spec.scheduling.alpha",
        MOST,
    ),
    Case(
        "the horizon is near",
        _scheduling(horizonSeconds=900),
        _scheduling(horizonSeconds=901),
        "spec.scheduling.horizonSeconds",
        MOST,
    ),
    Case(
        "the horizon is ahead",
        _scheduling(horizonSeconds=30),
        _scheduling(horizonSeconds=29),
        "spec.scheduling.horizonSeconds",
        LEAST,
    ),
    Case(
        "maxLoad lets something run",
        _scheduling(maxLoad=0.01),
        _scheduling(maxLoad=0),
        "spec.scheduling.maxLoad",
        "greater than 0",
    ),
    Case(
        "maxLoad is a share", _scheduling(maxLoad=1), _scheduling(maxLoad=80), "spec.scheduling.maxLoad", MOST
    ),
    Case(
        "a product is a label's value",
        _scheduling(gpuProducts=["NVIDIA-H200"]),
        _scheduling(gpuProducts=["NVIDIA H200"]),
        "spec.scheduling.gpuProducts",
        "write it as the label nvidia.com/gpu.product does",
    ),
    Case(
        "products differ",
        _scheduling(gpuProducts=["A", "B"]),
        _scheduling(gpuProducts=["A", "A"]),
        "spec.scheduling.gpuProducts",
        "Duplicate value",
    ),
)

RUN = (
    Case(
        "retries are counted",
        _run_policy(backoffLimit=0),
        _run_policy(backoffLimit=-1),
        "spec.runPolicy.backoffLimit",
        LEAST,
    ),
    Case(
        "a deadline leaves time",
        _run_policy(activeDeadlineSeconds=1),
        _run_policy(activeDeadlineSeconds=0),
        "spec.runPolicy.activeDeadlineSeconds",
        LEAST,
    ),
    Case(
        "a job is kept or not",
        _run_policy(ttlSecondsAfterFinished=0),
        _run_policy(ttlSecondsAfterFinished=-1),
        "spec.runPolicy.ttlSecondsAfterFinished",
        LEAST,
    ),
    Case("suspend is yes or no", {"suspend": True}, {"suspend": "yes please"}, "spec.suspend", "boolean"),
)

CASES = (*MODEL, *DATASET, *TRAINING, *TRAINER, *SCHEDULING, *RUN)
