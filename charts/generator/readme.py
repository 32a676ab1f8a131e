"""The chart's README: its prose, and a table of all values made of values.yaml and the comments in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_DESCRIPTION = re.compile(r"\s*# -- (.*)")
_KEY = re.compile(r"(\s*)(\w+):(.*)")
_INDENT = 2


@dataclass(frozen=True)
class Value:
    """One documented value: its path from the top, its default, and what it is for."""

    path: str
    default: Any
    description: str


def readme(prose: str, values: str) -> str:
    """The README; the table takes the place of the line `{{ values }}` in the prose."""
    return prose.replace("{{ values }}", table(values))


def table(values: str) -> str:
    """A Markdown table of all documented values, in the order of values.yaml."""
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.description} |"
        for value in documented(values)
    ]
    return "\n".join(["| Value | Default | What it is for |", "| --- | --- | --- |", *rows])


def documented(text: str) -> Iterator[Value]:
    """Every value with a `# --` comment above it. Raises ValueError for a leaf without one."""
    defaults = yaml.safe_load(text)
    path: list[str] = []
    description = ""
    inside: int | None = None  # depth of a documented mapping, whose parts need no comment of their own
    for line in text.splitlines():
        if comment := _DESCRIPTION.match(line):
            description = comment[1]
            continue
        if not (key := _KEY.match(line)):
            continue
        depth = len(key[1]) // _INDENT
        if inside is not None and depth > inside:
            continue
        path = [*path[:depth], key[2]]
        inside = depth if description else None
        if description:
            yield Value(".".join(path), _at(defaults, path), description)
        elif not isinstance(_at(defaults, path), dict) or key[3].strip():
            raise ValueError(f"values.yaml: {'.'.join(path)} needs a comment `# -- …` above it")
        description = ""


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values
