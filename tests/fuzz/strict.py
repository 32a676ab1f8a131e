"""What may be accepted, decided once more: plainly, without the product's types, patterns and parsers.

Each of these raises WrongAccept, with what is wrong, where something was let through that must not be.
"""

import calendar
import json
import math
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any

_DIGITS = frozenset("0123456789")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
_DIGEST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:+/=_-")
LARGEST = 2**53


class WrongAccept(AssertionError):
    """A parser took what it must refuse, or made something else of it."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise WrongAccept(what)


def json_value(text: bytes | str) -> Any:
    """The text as JSON without JavaScript's extensions. ValueError where it is none."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def whole(value: Any, least: int, most: int, what: str) -> int:
    require(type(value) is int and least <= value <= most, f"{what} is {value!r}")
    return int(value)


def text(value: Any, least: int, most: int, what: str) -> str:
    require(isinstance(value, str) and least <= len(value) <= most, f"{what} is {value!r}")
    return str(value)


def metric_name(value: Any, what: str) -> str:
    name = text(value, 1, 63, what)
    require(set(name) <= _NAME and name[0] not in "0123456789./-", f"{what} is {name!r}")
    return name


def digest(value: Any, what: str) -> None:
    require(set(text(value, 0, 128, what)) <= _DIGEST, f"{what} is {value!r}")


def shown(value: Any, most: int, what: str) -> None:
    """Text for people: nothing in it that a terminal acts upon, no line breaks among it."""
    line = text(value, 0, most, what)
    require(not any(unicodedata.category(letter)[0] == "C" for letter in line), f"{what} is {line!r}")


def number(value: Any, what: str, most: int = 32) -> Decimal:
    """A finite decimal number as text: [-] digits [. digits] [e [+-] digits], and not too long."""
    written = text(value, 1, most, what)
    mantissa, _, exponent = written.replace("E", "e").partition("e")
    whole_part, point, fraction = mantissa.removeprefix("-").partition(".")
    parts = [whole_part, *([fraction] if point else ())]
    if "e" in written.lower():
        parts.append(exponent[1:] if exponent[:1] in ("+", "-") else exponent)
    require(all(part and set(part) <= _DIGITS for part in parts), f"{what} is {written!r}")
    exact = _decimal(written)
    require(exact is not None and math.isfinite(float(written)), f"{what} is {written!r}")
    assert exact is not None
    return exact


def same_number(read: Any, written: Any, what: str) -> None:
    """What was read is what was written: to the last digit, or where that is too long, the nearest float."""
    require(isinstance(written, str), f"{what} was {written!r}")
    number(read, what)
    require(same(read, written), f"{what}: {written!r} became {read!r}")


def same(read: str, written: str) -> bool:
    """Whether `read` is the number that was written: to the last digit, or where no status holds that, its float."""
    exact = _decimal(written)
    if exact is not None and (len(written) <= 32 or exact == Decimal(read)):
        return exact == Decimal(read)
    return float(read) == float(written)


def _decimal(written: str) -> Decimal | None:
    """None where it is no number, or one whose exponent no Decimal can hold."""
    try:
        return Decimal(written)
    except InvalidOperation:
        return None


def moment(value: Any, what: str) -> float:
    """Unix seconds of an RFC 3339 time, by the calendar."""
    written = text(value, 20, 40, what).upper()
    require(written.isascii(), f"{what} is {value!r}")
    clock, rest = written[:19], written[19:]
    require(
        all(clock[i] == mark for i, mark in zip((4, 7, 10, 13, 16), "--T::", strict=True)),
        f"{what} is {value!r}",
    )
    year, month, day, hour, minute, second = (
        _digits(clock[a:b], what) for a, b in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
    )
    require(1 <= month <= 12 and year >= 1, f"{what} is {value!r}")
    require(1 <= day <= calendar.monthrange(year, month)[1], f"{what} is {value!r}")
    require(hour <= 23 and minute <= 59 and second <= 59, f"{what} is {value!r}")
    fraction, zone = (rest[:-1], "Z") if rest.endswith("Z") else (rest[:-6], rest[-6:])
    if fraction:
        require(fraction[0] == "." and 1 <= len(fraction) - 1 <= 9, f"{what} is {value!r}")
        _digits(fraction[1:], what)
    at = calendar.timegm((year, month, day, hour, minute, second)) + float(f"0{fraction or '.0'}")
    return at - _offset(zone, what)


def plain(value: Any, what: str) -> None:
    """A JSON value that any client keeps as it is: no floats, no large integers, no halves of characters."""
    if isinstance(value, dict):
        for key, part in value.items():
            plain(part, f"{what}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            plain(part, f"{what}[{index}]")
    elif isinstance(value, str):
        require(not any("\ud800" <= letter <= "\udfff" for letter in value), f"{what} is {value!r}")
    else:
        require(value is None or isinstance(value, int), f"{what} is {value!r}")


def _digits(part: str, what: str) -> int:
    require(bool(part) and set(part) <= _DIGITS, f"{what} has {part!r}")
    return int(part)


def _offset(zone: str, what: str) -> int:
    """Seconds ahead of UTC."""
    if zone == "Z":
        return 0
    require(len(zone) == 6 and zone[0] in "+-" and zone[3] == ":", f"{what} has the zone {zone!r}")
    hours, minutes = _digits(zone[1:3], what), _digits(zone[4:], what)
    require(hours <= 23 and minutes <= 59, f"{what} has the zone {zone!r}")
    return (3600 * hours + 60 * minutes) * (1 if zone[0] == "+" else -1)
