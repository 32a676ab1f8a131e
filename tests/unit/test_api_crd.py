"""The generated CRD: committed as it is, structural, and described throughout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadstar.api.crd import COMMAND, custom_resource_definition, openapi_schema, to_yaml
from loadstar.api.descriptions import described
from loadstar.api.schema import VALIDATIONS

COMMITTED = Path(__file__).parents[2] / "manifests" / "crd.yaml"


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _nodes(field, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield from _nodes(values, f"{path}{{}}")


NODES = dict(_nodes(openapi_schema()))


def test_the_committed_crd_is_the_generated_one() -> None:
    assert COMMITTED.read_text() == to_yaml(), f"the models have changed: run {COMMAND}"


def test_the_text_is_the_definition() -> None:
    assert yaml.safe_load(to_yaml()) == custom_resource_definition()


def test_every_field_is_described() -> None:
    fields = {path: node for path, node in NODES.items() if not path.endswith(("[]", "{}"))}
    assert {path for path, node in fields.items() if not node.get("description")} == {".metadata"}


def test_no_unknown_field_is_kept_anywhere() -> None:
    assert not [path for path, node in NODES.items() if "x-kubernetes-preserve-unknown-fields" in node]
    untyped = [
        path
        for path, node in NODES.items()
        if "type" not in node and "x-kubernetes-int-or-string" not in node
    ]
    assert untyped == []


def test_nothing_is_left_that_a_structural_schema_may_not_have() -> None:
    allowed_unions = {path for path, node in NODES.items() if "x-kubernetes-int-or-string" in node}
    assert not [path for path, node in NODES.items() if "$ref" in node or node.get("nullable")]
    assert {path for path, node in NODES.items() if "anyOf" in node} == allowed_unions


def test_every_list_says_how_it_is_merged_and_how_long_it_may_be() -> None:
    lists = {path: node for path, node in NODES.items() if node.get("type") == "array"}
    assert {
        path for path, node in lists.items() if not {"maxItems", "x-kubernetes-list-type"} <= node.keys()
    } == set()


def test_no_status_field_is_filled_in_by_the_server() -> None:
    assert not [path for path, node in NODES.items() if path.startswith(".status") and "default" in node]


def test_numbers_in_status_are_text_so_that_no_client_changes_them() -> None:
    assert not [
        path for path, node in NODES.items() if path.startswith(".status") and node["type"] == "number"
    ]


def test_the_default_of_an_object_holds_the_defaults_of_its_fields() -> None:
    assert NODES[".spec.trainer"]["default"] == {
        "terminationGracePeriodSeconds": 60,
        "numNodes": 1,
        "resourcesPerNode": {"nvidia.com/gpu": 1},
    }


def test_only_three_fields_of_spec_may_change() -> None:
    transitions = [path for path, node in NODES.items() if "self == oldSelf" in str(node.get(VALIDATIONS))]
    leaves = [path for path, node in NODES.items() if path.startswith(".spec.") and "properties" not in node]
    free = {path for path in leaves if not any(path.startswith(fixed) for fixed in transitions)}
    assert free == {
        ".spec.suspend",
        ".spec.runPolicy.activeDeadlineSeconds",
        ".spec.runPolicy.ttlSecondsAfterFinished",
    }


def test_what_is_fixed_and_optional_can_neither_come_nor_go() -> None:
    fixed = {path for path, node in NODES.items() if "self == oldSelf" in str(node.get(VALIDATIONS))}
    optional = {path for path in fixed if "default" not in NODES[path] and path.count(".") == 2}
    rules = {rule["rule"] for rule in NODES[".spec"][VALIDATIONS]}
    assert optional
    for name in (path.rpartition(".")[2] for path in optional):
        assert any(f"has(self.{name}) == has(oldSelf.{name})" in rule for rule in rules)


@pytest.mark.parametrize(
    ("schema", "facts"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9, "default": 3}, "From 1 to 9. Default: 3."),
        ({"minimum": 0, "exclusiveMinimum": True, "maximum": 1.0}, "Above 0, at most 1."),
        (
            {"minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True},
            "Above 0, below 1.",
        ),
        (
            {"minimum": 0, "maximum": 1, "exclusiveMaximum": True, "default": 0.5},
            "From 0 to below 1. Default: 0.5.",
        ),
        ({"minimum": 2}, "At least 2."),
        ({"maxItems": 4, "items": {"minimum": 1, "maximum": 8}}, "At most 4 of them. Each from 1 to 8."),
        ({"type": "boolean", "default": False}, "Default: false."),
        ({"type": "object", "default": {}}, ""),
    ],
)
def test_a_description_ends_with_bounds_and_default(schema: dict[str, Any], facts: str) -> None:
    assert described({"description": "It is."} | schema)["description"] == f"It is. {facts}".strip()
