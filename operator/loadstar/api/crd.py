"""The CustomResourceDefinition, generated from the models: `python -m loadstar.api.crd > manifests/crd.yaml`."""

import sys
from typing import Any

import yaml

from loadstar.api.descriptions import described
from loadstar.api.labels import GROUP, KIND, NAME_LABEL, PART_OF_LABEL, PLURAL, VERSION
from loadstar.api.schema import VALIDATIONS
from loadstar.api.v1alpha1 import TrainingJob

Schema = dict[str, Any]

COMMAND = "python -m loadstar.api.crd > manifests/crd.yaml"
_DROPPED = frozenset(
    {"title", "additionalProperties", "$defs", "const", "exclusiveMinimum", "exclusiveMaximum"}
)

_API_VERSION = "Version of the TrainingJob API that this object is written in."
_KIND = f"Kind of the object: {KIND}."

COLUMNS: tuple[tuple[str, str, str, int, str], ...] = (
    ("Phase", "string", ".status.phase", 0, "Where the job stands"),
    (
        "Progress",
        "integer",
        ".status.trainerStatus.progressPercentage",
        0,
        "Share of the work that is done, in percent",
    ),
    ("Accuracy", "string", ".status.accuracy", 0, "Share of test rows classified rightly"),
    ("GPUs", "integer", ".status.gpus", 0, "GPUs of the whole job, or parts of GPUs"),
    ("Nodes", "string", ".status.placement.nodeSummary", 0, "Where it runs"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Since when the job exists"),
    ("Score", "string", ".status.placement.score", 1, "Score of its placement"),
    ("Policy", "string", ".spec.scheduling.policy", 1, "How its nodes are chosen"),
    (
        "Restarts",
        "integer",
        ".status.restarts.counted",
        1,
        "Restarts that count against runPolicy.backoffLimit",
    ),
    ("Reason", "string", ".status.reason", 1, "Why it is in this phase"),
    (
        "GPU-Resource",
        "string",
        ".status.gpuResource",
        1,
        "The part of a GPU that GPUs counts; empty for whole ones",
    ),
)


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as JSON values."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            "labels": {NAME_LABEL: "loadstar", PART_OF_LABEL: "loadstar"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["tj"],
                "categories": ["all", "ml"],
            },
            "versions": [_version()],
        },
    }


def openapi_schema() -> Schema:
    """The structural schema of a TrainingJob: no references, no unions, nothing that preserves unknown fields."""
    raw = TrainingJob.model_json_schema(by_alias=True)
    schema = _structural(raw, raw["$defs"])
    properties = schema["properties"]
    properties["apiVersion"] = {"type": "string", "description": _API_VERSION}
    properties["kind"] = {"type": "string", "description": _KIND}
    properties["metadata"] = {"type": "object"}
    properties["spec"] = described(properties["spec"])
    properties["status"] = _without_defaults(properties["status"])
    schema["required"] = ["spec"]
    return schema


def to_yaml() -> str:
    """The CRD as it is committed; the same models give the same text."""
    body = yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from the models in loadstar.api; do not edit. Make it again with: {COMMAND}\n{body}"


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": openapi_schema()},
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".status.phase"}, {"jsonPath": ".spec.scheduling.policy"}],
        "additionalPrinterColumns": [_column(*column) for column in COLUMNS],
    }


def _column(name: str, type_: str, path: str, priority: int, description: str) -> dict[str, Any]:
    column = {"name": name, "type": type_, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """One JSON Schema of pydantic's as a structural schema of Kubernetes'."""
    schema = _inlined(_without_null(schema), definitions)
    result = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    for bound in ("Minimum", "Maximum"):
        if (limit := schema.get(f"exclusive{bound}")) is not None:
            result |= {bound.lower(): limit, f"exclusive{bound}": True}
    if result.get("default", ...) is None:
        del result["default"]
    if "properties" in schema:
        result["properties"] = {
            name: _structural(field, definitions) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
    if isinstance(values := schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(values, definitions)
    if isinstance(result.get("default"), dict) and "properties" in result:
        result["default"] = _default_of(result["properties"])
    return _ordered(result | _format(result))


def _default_of(fields: dict[str, Schema]) -> Schema:
    """An object with every default in it: the rules are judged on this value before its fields are defaulted."""
    return {name: field["default"] for name, field in fields.items() if "default" in field}


def _inlined(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """What a $ref points to, under what stands beside it; the rules of both."""
    if "$ref" not in schema:
        return schema
    target = _inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    rules = [*target.get(VALIDATIONS, ()), *schema.get(VALIDATIONS, ())]
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return target | beside | ({VALIDATIONS: rules} if rules else {})


def _without_null(schema: Schema) -> Schema:
    """An optional field is one that may be absent: `X or null` becomes X."""
    options = schema.get("anyOf", ())
    if not any(option.get("type") == "null" for option in options):
        return schema
    only: Schema = next(option for option in options if option.get("type") != "null")
    return only | {key: value for key, value in schema.items() if key != "anyOf"}


def _without_defaults(schema: Schema) -> Schema:
    """A status holds what its writer wrote: a default would enter fields that nobody owns."""
    result = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in schema:
        result["properties"] = {
            name: _without_defaults(field) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = _without_defaults(schema["items"])
    return result


def _format(schema: Schema) -> Schema:
    """The format that clients in other languages choose their types by."""
    match schema.get("type"):
        case "number":
            return {"format": "double"}
        case "integer":
            return {"format": "int32" if schema.get("maximum", 2**31) < 2**31 else "int64"}
        case _:
            return {}


_ORDER = ("description", "type", "format", "enum", "default", "required", "properties", "items")


def _ordered(schema: Schema) -> Schema:
    first = {key: schema[key] for key in _ORDER if key in schema}
    return first | dict(sorted((key, value) for key, value in schema.items() if key not in first))


if __name__ == "__main__":
    sys.stdout.write(to_yaml())
