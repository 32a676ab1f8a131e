"""Plots as SVG that a page holds inline: no script, no font, nothing from a network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from loadstar.simulator.axes import Axis, Write, spanning

_LEFT, _TOP, _BOTTOM = 62.0, 16.0, 50.0
"""Pixels left free for what is written beside the axes."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The size of a plot in pixels, and what is left free at its right for names."""

    width: float
    height: float
    right: float = 24.0


NARROW, WIDE = Canvas(600.0, 330.0), Canvas(1160.0, 430.0, 140.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve; `key` is the class that gives it its colour and answers its legend."""

    name: str
    key: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Point:
    """One mark with the half-widths of its interval in both directions."""

    name: str
    key: str
    x: float
    y: float
    x_band: float = 0.0
    y_band: float = 0.0


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands beside a plot's axes, and how their values are written."""

    x: str
    y: str
    write_x: Write
    write_y: Write


def curves(lines: Sequence[Line], labels: Labels, *, logarithmic: bool = False) -> str:
    """Curves over a common axis; `logarithmic` is about x."""
    end = NARROW.width - NARROW.right
    if logarithmic:
        x = spanning((it for line in lines for it in line.x), _LEFT, end, logarithmic=True)
    else:
        x = Axis(0.0, max((it for line in lines for it in line.x), default=1.0), _LEFT, end)
    y = spanning((it for line in lines for it in line.y), NARROW.height - _BOTTOM, _TOP)
    return _svg(NARROW, [*_frame(NARROW, x, y, labels), *(_curve(line, x, y) for line in lines)], labels)


def scatter(points: Sequence[Point], front: Sequence[Point], labels: Labels, *, logarithmic: bool) -> str:
    """Marks with their intervals and names, and the steps of those that none beats in both directions."""
    right = max((point.x + point.x_band for point in points), default=1.0)
    across = [*(point.x for point in points), right]
    x = spanning(across, _LEFT, WIDE.width - WIDE.right, logarithmic=logarithmic)
    up = [max(point.y + side * point.y_band, 0.0) for point in points for side in (-1, 1)]
    y = spanning(up, WIDE.height - _BOTTOM, _TOP)
    places = _names(points, x, y)
    marks = [_mark(point, x, y, places[point.name]) for point in points]
    return _svg(WIDE, [*_frame(WIDE, x, y, labels), _steps(front, x, y), *marks], labels)


def _svg(canvas: Canvas, parts: Iterable[str], labels: Labels) -> str:
    title = f"{labels.y} over {labels.x}"
    return (
        f'<svg viewBox="0 0 {canvas.width:.0f} {canvas.height:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def _frame(canvas: Canvas, x: Axis, y: Axis, labels: Labels) -> Iterator[str]:
    """Grid lines with their values, and the axes' names."""
    bottom, right = y.start, x.end
    for value in y.ticks():
        at = y.at(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right:.1f}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield _text(_LEFT - 8, at + 4, labels.write_y(value), "tick end")
    for value in x.ticks():
        at = x.at(value)
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom:.1f}"/>'
        yield _text(at, bottom + 18, labels.write_x(value), "tick mid")
    yield f'<line class="axis" x1="{_LEFT}" x2="{right:.1f}" y1="{bottom:.1f}" y2="{bottom:.1f}"/>'
    yield _text((_LEFT + right) / 2, canvas.height - 10, labels.x, "name mid")
    middle = (_TOP + bottom) / 2
    yield f'<g transform="rotate(-90 14 {middle:.1f})">{_text(14, middle, labels.y, "name mid")}</g>'


def _curve(line: Line, x: Axis, y: Axis) -> str:
    places = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in zip(line.x, line.y, strict=True))
    return (
        f'<polyline class="curve {line.key}" points="{places}"><title>{escape(line.name)}</title></polyline>'
    )


def _mark(point: Point, x: Axis, y: Axis, name_at: tuple[float, float, str]) -> str:
    at_x, at_y = x.at(point.x), y.at(point.y)
    left, right = x.at(point.x - point.x_band), x.at(point.x + point.x_band)
    low, high = y.at(point.y - point.y_band), y.at(point.y + point.y_band)
    text_x, text_y, side = name_at
    return (
        f'<g class="mark {point.key}"><title>{escape(point.name)}</title>'
        f'<line class="band" x1="{left:.1f}" x2="{right:.1f}" y1="{at_y:.1f}" y2="{at_y:.1f}"/>'
        f'<line class="band" x1="{at_x:.1f}" x2="{at_x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="5"/>{_text(text_x, text_y, point.name, f"label {side}")}</g>'
    )


def _steps(front: Sequence[Point], x: Axis, y: Axis) -> str:
    """From each point of the front to the next: right, then down."""
    ordered = sorted(front, key=lambda point: (point.x, point.y))
    corners: list[str] = []
    for before, after in zip([None, *ordered], ordered, strict=False):
        if before is not None:
            corners.append(f"{x.at(after.x):.1f},{y.at(before.y):.1f}")
        corners.append(f"{x.at(after.x):.1f},{y.at(after.y):.1f}")
    return f'<polyline class="front" points="{" ".join(corners)}"/>'


def _names(points: Sequence[Point], x: Axis, y: Axis) -> dict[str, tuple[float, float, str]]:
    """Where each name stands: beside its mark, at the first place that no other name or mark covers."""
    taken = [(x.at(point.x) - 6, y.at(point.y) - 6, x.at(point.x) + 6, y.at(point.y) + 6) for point in points]
    places: dict[str, tuple[float, float, str]] = {}
    for point in points:
        places[point.name], box = _first_free(point, (x.at(point.x), y.at(point.y)), taken)
        taken.append(box)
    return places


_Box = tuple[float, float, float, float]


def _first_free(
    point: Point, mark: tuple[float, float], taken: Sequence[_Box]
) -> tuple[tuple[float, float, str], _Box]:
    wide = 6.7 * len(point.name)
    tried = []
    for off in (4, -8, 16, -20, 28, -32, 40, -44, 52, -56, 64):
        for right in (True, False):
            at_x, at_y = mark[0] + (10 if right else -10), mark[1] + off
            left = at_x if right else at_x - wide
            box = (left, at_y - 10, left + wide, at_y + 3)
            tried.append(((at_x, at_y, "start" if right else "end"), box))
            inside = left > _LEFT and left + wide < WIDE.width and _TOP < at_y < WIDE.height - _BOTTOM
            if inside and not any(_overlap(box, other) for other in taken):
                return tried[-1]
    return tried[0]


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _text(x: float, y: float, text: str, classes: str) -> str:
    return f'<text class="{classes}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
