"""What a case is, and short ways to write specs."""

from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

IRIS: Final[Json] = {"model": {"type": "mlp"}, "dataset": {"builtin": "iris"}}

LEAST: Final = "greater than or equal to"
MOST: Final = "less than or equal to"
CHOICES: Final = "supported values"


@dataclass(frozen=True)
class Case:
    """`accept` and `refuse` are laid over IRIS; the refusal names `field` and says `says` (of the API server).

    `told` is whether the trainer can tell, too, from what it is told of the spec that is refused.
    """

    name: str
    accept: Json
    refuse: Json
    field: str
    says: str
    told: bool = True


def merged(base: Json, change: Json) -> Json:
    """`base` with `change` laid over it, object by object; `...` takes a field away."""
    result = dict(base)
    for key, value in change.items():
        if value is ...:
            del result[key]
        else:
            result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def together(*changes: Json) -> Json:
    """All of the changes in one, what they take away included."""
    result: Json = {}
    for change in changes:
        for key, value in change.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = together(result[key], value) if both else value
    return result


def model(**fields: Any) -> Json:
    return {"model": fields}


def dataset(**fields: Any) -> Json:
    return {"dataset": fields}


def files(uri: str, **fields: Any) -> Json:
    """One's own data instead of a built-in set."""
    return {"dataset": {"builtin": ..., "uri": uri, **fields}}


def table(**fields: Any) -> Json:
    return files("pvc://data/all.csv", **fields)


def text(**fields: Any) -> Json:
    """A text file and the network that reads it."""
    return together(model(type="transformer"), files("pvc://data/all.txt", **fields))


def preprocess(**fields: Any) -> Json:
    return dataset(preprocess=fields)


def split(**fields: Any) -> Json:
    return dataset(split=fields)


def synthetic(**fields: Any) -> Json:
    return {"model": {"type": "linear"}} | dataset(builtin="synthetic-regression", synthetic=fields)


def training(**fields: Any) -> Json:
    return {"training": fields}


def schedule(**fields: Any) -> Json:
    return training(schedule=fields)


def stopping(**fields: Any) -> Json:
    return training(earlyStopping=fields)


def evaluation(**fields: Any) -> Json:
    return {"evaluation": fields}


def goal(**fields: Any) -> Json:
    return evaluation(goal=fields)


def checkpoint(**fields: Any) -> Json:
    return {"checkpoint": {"uri": "pvc://results", **fields}}


def export(**fields: Any) -> Json:
    return {"export": fields}


def trainer(**fields: Any) -> Json:
    return {"trainer": fields}


def program(**fields: Any) -> Json:
    """One's own program."""
    return {"model": ..., "dataset": ..., "trainer": {"command": ["python", "train.py"], **fields}}


def resources(**fields: Any) -> Json:
    return trainer(resourcesPerNode=fields)


def gpus(count: Any) -> Json:
    return resources(**{"nvidia.com/gpu": count})


def scheduling(**fields: Any) -> Json:
    return {"scheduling": fields}


def run_policy(**fields: Any) -> Json:
    return {"runPolicy": fields}
