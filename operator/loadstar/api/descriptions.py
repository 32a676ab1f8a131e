"""What a schema says about a field, in words: `kubectl explain` prints descriptions, but no defaults and bounds."""

from typing import Any

Schema = dict[str, Any]


def described(schema: Schema) -> Schema:
    """The schema with the defaults and bounds of each field at the end of the field's description."""
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: described(field) for name, field in schema["properties"].items()}
    if facts := _facts(schema):
        result["description"] = " ".join([schema["description"], *facts])
    return result


def _facts(schema: Schema) -> list[str]:
    items = schema.get("items", {})
    facts = [_bounds(schema), _list_length(schema), _bounds(items, "Each "), _default(schema)]
    return [fact for fact in facts if fact]


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or isinstance(default, dict):
        return ""
    return f"Default: {str(default).lower() if isinstance(default, bool) else _number(default)}."


def _bounds(schema: Schema, subject: str = "") -> str:
    """From 1 to 10. Above 0, at most 10. From 0 to below 1."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is None or high is None:
        return _sentence(subject, f"at least {_number(low)}") if low is not None else ""
    if above:
        return _sentence(subject, f"above {_number(low)}, {'below' if below else 'at most'} {_number(high)}")
    return _sentence(subject, f"from {_number(low)} to {'below ' if below else ''}{_number(high)}")


def _list_length(schema: Schema) -> str:
    return f"At most {schema['maxItems']} of them." if "maxItems" in schema else ""


def _sentence(subject: str, text: str) -> str:
    return f"{subject}{text}." if subject else f"{text[0].upper()}{text[1:]}."


def _number(value: Any) -> str:
    """A float that is whole without its `.0`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
