"""The base of every API object: how a field is named on the wire, and how a rule is written once for both judges.

A rule is judged twice. The API server judges its CEL form when an object is applied; the operator judges its Python
form when it reads the object back, since an object may have been stored before the rule existed.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    model_validator,
)
from pydantic.alias_generators import to_camel, to_snake
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True)
class Rule:
    """One promise about an object and the sentence that tells a user what to change when it is broken."""

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str | None = None
    """The JSON path, below the object, of the field that is to be changed; None is the object itself."""

    @property
    def rules(self) -> "tuple[Rule, ...]":
        return (self,)

    def schema(self) -> dict[str, str]:
        """The rule as an entry of x-kubernetes-validations."""
        place = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.cel, "message": self.message, **place}


@dataclass(frozen=True)
class Group:
    """Rules that matter under one condition, which the API server judges as one.

    It judges all rules at every write, also of the status, and each field that a rule names costs it a copy of the
    schemas of all fields beside that one. So what most objects do not have is asked for once, not once for each rule.
    """

    when: str
    """CEL: where it is false, all rules hold."""
    rules: tuple[Rule, ...]
    """Their CEL may take `when` for granted."""
    path: str
    """The JSON path of the object, with which a refusal names the field."""
    field: str | None = None
    """As a rule's; the refusal's text names the broken rule's own."""

    def schema(self) -> dict[str, str]:
        """The group as an entry of x-kubernetes-validations."""
        told = {rule.cel: f"{self.path}{rule.field or ''}: {rule.message}" for rule in self.rules}
        entry = _all_of(told)
        place = {"fieldPath": self.field} if self.field else {}
        return {**entry, "rule": f"!({self.when}) || {entry['rule']}", **place}


class Wire(BaseModel):
    """An object of the API: frozen, camelCase on the wire, finite numbers only, its rules kept."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
    RULES: ClassVar[tuple[Rule | Group, ...]] = ()
    FIXED: ClassVar[tuple[str, ...]] = ()
    """Optional fields, by their names on the wire, that may neither come nor go once the object exists."""

    @model_validator(mode="after")
    def keep_rules(self) -> Self:
        for rule in (rule for entry in self.RULES for rule in entry.rules):
            if not rule.holds(self):
                raise PydanticCustomError("rule", rule.message, {"field": rule.field or ""})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        rules = [rule.schema() for rule in cls.RULES] + ([_there_or_not(cls.FIXED)] if cls.FIXED else [])
        if rules:
            schema[VALIDATIONS] = rules
        return schema


class Strict(Wire):
    """An object that users write: a field that is not known is an error, never silently dropped."""

    model_config = ConfigDict(extra="forbid")


def immutable(field: str) -> dict[str, Any]:
    """The schema of a field that may not change once the object exists; the refusal tells the two ways out.

    An optional field's rule is not asked where the field comes or goes: that takes an entry in FIXED, too.
    """
    return {VALIDATIONS: [{"rule": "self == oldSelf", "message": _unchangeable(field)}]}


def _there_or_not(fields: tuple[str, ...]) -> dict[str, str]:
    return _all_of({f"has(self.{field}) == has(oldSelf.{field})": _unchangeable(field) for field in fields})


def _all_of(told: dict[str, str]) -> dict[str, str]:
    """One entry of x-kubernetes-validations for several rules; `told` has what to say where each is broken."""
    *choices, last = [(cel, json.dumps(text)) for cel, text in told.items()]
    return {
        "rule": " && ".join(f"({cel})" for cel in told),
        "messageExpression": "".join(f"!({cel}) ? {text} : " for cel, text in choices) + last[1],
    }


def _unchangeable(field: str) -> str:
    return (
        f"{field} can't change once the job exists: delete the TrainingJob and apply it again, "
        "or apply it under a new metadata.name"
    )


def told_by(entry: dict[str, str]) -> list[str]:
    """All that the API server may say of an entry of x-kubernetes-validations. Our CEL quotes its texts singly."""
    if "message" in entry:
        return [entry["message"]]
    return [json.loads(text) for text in re.findall(r'"(?:[^"\\\\]|\\\\.)*"', entry["messageExpression"])]


def only_with(field: str, condition: str, holds: Callable[[Any], bool], message: str) -> Rule:
    """The rule that an optional field is there only under a condition: CEL on `self`, and the same in Python."""
    attribute = to_snake(field)
    return Rule(
        f"!has(self.{field}) || {condition}",
        lambda owner: getattr(owner, attribute) is None or holds(owner),
        message,
        f".{field}",
    )


def different(items: tuple[str, ...]) -> tuple[str, ...]:
    """The items of a list that the API server keeps as a set."""
    if len(set(items)) < len(items):
        raise ValueError("something is named twice: remove one of them")
    return items


def atomic() -> dict[str, Any]:
    """The schema of a list that has one writer and is replaced as a whole.

    A list with map keys costs one entry of managedFields per item and field: on a gang of a thousand nodes that is more
    than the list itself.
    """
    return {"x-kubernetes-list-type": "atomic"}


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _rfc3339_micro(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""Seeds of NumPy are 32 bits wide."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the first or after the last year of the calendar") from None


Time = Annotated[AwareDatetime, AfterValidator(_in_utc), PlainSerializer(_rfc3339)]
"""metav1.Time: whole seconds, UTC."""

MicroTime = Annotated[AwareDatetime, AfterValidator(_in_utc), PlainSerializer(_rfc3339_micro)]
"""metav1.MicroTime: microseconds, UTC."""


Whole = Annotated[int, Field(strict=True)]
"""A whole number of JSON: neither text nor true nor 1.0, which no schema of ours takes for one."""


def storable(number: int) -> int:
    """The number, if an API server can store it."""
    if abs(number) >= 2**63:
        raise ValueError("is beyond the range of whole numbers")
    return number


DECIMAL = r"^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
LONGEST_DECIMAL = 32


def _in_range(text: str) -> str:
    if not _is_in_range(text):
        raise ValueError("is beyond the range of numbers")
    return text


def _is_in_range(text: str) -> bool:
    """Whether both kinds of numbers that are made of it can hold it: 0e99999999999999999999 no Decimal can."""
    try:
        return Decimal(text).is_finite() and math.isfinite(float(text))
    except InvalidOperation:
        return False


DecimalString = Annotated[str, Field(max_length=LONGEST_DECIMAL, pattern=DECIMAL), AfterValidator(_in_range)]
"""A finite decimal number as text: floating point numbers don't survive every JSON client unchanged."""


_METRIC_NAME = "[A-Za-z_][A-Za-z0-9_./-]*"
LONGEST_METRIC_NAME = 63
MetricName = Annotated[str, Field(min_length=1, max_length=LONGEST_METRIC_NAME, pattern=f"^{_METRIC_NAME}$")]


def is_metric_name(text: str) -> bool:
    """Whether a status can hold a metric of this name."""
    return len(text) <= LONGEST_METRIC_NAME and re.fullmatch(_METRIC_NAME, text) is not None


def is_decimal(text: str) -> bool:
    """Whether the text is a DecimalString as it is."""
    return len(text) <= LONGEST_DECIMAL and bool(re.fullmatch(DECIMAL, text)) and _is_in_range(text)
