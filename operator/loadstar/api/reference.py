"""The reference of the API in Markdown, generated from the CRD's schema (COMMAND says how)."""

import sys
from collections.abc import Iterator
from typing import Any

from loadstar.api.crd import COLUMNS, openapi_schema
from loadstar.api.labels import API_VERSION, KIND
from loadstar.api.schema import VALIDATIONS, told_by

Schema = dict[str, Any]

COMMAND = "python -m loadstar.api.reference > docs/reference/trainingjob.md"

_OPENING = f"""\
<!-- Generated from the models in loadstar.api; do not edit. Make it again with: {COMMAND} -->
# {KIND} ({API_VERSION})

The same text from a cluster: `kubectl explain trainingjob.spec.training`, and so for each field.
A field that is not listed here is refused. What is marked *fixed* can't change once the job exists.
"""


def to_markdown() -> str:
    """The reference as it is committed; the same models give the same text."""
    schema = openapi_schema()
    objects = _objects(schema["properties"], "")
    return "\n".join(
        [_OPENING, *_rules(schema), *(_section(path, node) for path, node in objects), _columns()]
    )


def _objects(fields: dict[str, Schema], path: str) -> Iterator[tuple[str, Schema]]:
    """Each object that has fields and each map that has rules, by its path, an outer one before its inner ones."""
    for name, field in fields.items():
        place, inner = f"{path}.{name}".removeprefix("."), field.get("items", field)
        if "properties" in inner or ("additionalProperties" in inner and VALIDATIONS in inner):
            yield place + ("[]" if "items" in field else ""), inner | {"description": field["description"]}
            yield from _objects(inner.get("properties", {}), place)


def _section(path: str, node: Schema) -> str:
    required = node.get("required", ())
    rows = [_row(name, field, name in required) for name, field in node.get("properties", {}).items()]
    table = ["| Field | Type | |", "|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## {path}", _escaped(node["description"]), "", *table, *_rules(node)])


def _row(name: str, field: Schema, required: bool) -> str:
    marks = ("**Required.** " if required else "") + ("*Fixed.* " if _is_fixed(field) else "")
    values = f" One of {', '.join(f'`{value}`' for value in field['enum'])}." if "enum" in field else ""
    summary = _escaped(field["description"].partition("\n")[0])
    return f"| `{name}` | {_type(field)} | {marks}{summary}{values} |"


def _escaped(text: str) -> str:
    return text.replace("<", r"\<").replace("|", r"\|")


def _type(field: Schema) -> str:
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map to {_type(field['additionalProperties'])}"
    if field.get("format") == "date-time":
        return "time"
    return "quantity" if "x-kubernetes-int-or-string" in field else str(field["type"])


def _is_fixed(field: Schema) -> bool:
    return any(rule["rule"] == "self == oldSelf" for rule in field.get(VALIDATIONS, ()))


def _rules(node: Schema) -> list[str]:
    """What the API server says when a rule between fields is broken: each tells what to change."""
    rules = [rule for rule in node.get(VALIDATIONS, ()) if "oldSelf" not in rule["rule"]]
    return (
        ["Refused with:", "", *(f"- {text}" for rule in rules for text in told_by(rule)), ""] if rules else []
    )


def _columns() -> str:
    rows = [
        f"| {name} | `{path}` | {what}{'; only with `-o wide`' if wide else ''} |"
        for name, _, path, wide, what in COLUMNS
    ]
    return "\n".join(["## Columns of `kubectl get tj`", "| Column | From | |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(to_markdown())
