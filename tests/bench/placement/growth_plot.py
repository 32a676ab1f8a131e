"""How times grow, drawn: one panel per size that grows, both axes logarithmic, dashed where twice takes twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadstar.simulator.axes import Axis, spanning

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 300, 58, 16, 34, 44


@dataclass(frozen=True)
class Growth:
    """Measured `values` (in `unit`) over `sizes` of `what`."""

    title: str
    what: str
    unit: str
    sizes: Sequence[float]
    values: Sequence[float]


def drawn(panels: Sequence[Growth]) -> str:
    """A stand-alone SVG of the panels side by side."""
    total = WIDTH * len(panels)
    parts = [part for place, panel in enumerate(panels) for part in _panel(panel, place * WIDTH)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {HEIGHT}" font-family="sans-serif" '
            'font-size="11">',
            f'<rect width="{total}" height="{HEIGHT}" fill="white"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _panel(growth: Growth, left: int) -> Iterator[str]:
    x = spanning(growth.sizes, left + LEFT, left + WIDTH - RIGHT, logarithmic=True)
    y = spanning(growth.values, HEIGHT - BOTTOM, TOP, logarithmic=True)
    yield f'<text x="{left + LEFT}" y="{TOP - 14}" font-weight="bold">{growth.title}</text>'
    for size in growth.sizes:
        yield f'<text x="{x.at(size):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{size:,.0f}</text>'
    for value in growth.values:
        yield f'<text x="{x.start - 6}" y="{y.at(value) + 4:.1f}" text-anchor="end">{value:.2g}</text>'
    yield (
        f'<text x="{(x.start + x.end) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{growth.what} (time in {growth.unit})</text>"
    )
    yield f'<path d="M{x.start} {TOP}V{y.start}H{x.end}" fill="none" stroke="#888"/>'
    yield _line(
        x,
        y,
        growth.sizes,
        [growth.values[-1] * size / growth.sizes[-1] for size in growth.sizes],
        dashed=True,
    )
    yield _line(x, y, growth.sizes, growth.values)
    for size, value in zip(growth.sizes, growth.values, strict=True):
        yield f'<circle cx="{x.at(size):.1f}" cy="{y.at(value):.1f}" r="3" fill="#1f6feb"/>'


def _line(x: Axis, y: Axis, sizes: Sequence[float], values: Sequence[float], *, dashed: bool = False) -> str:
    points = " ".join(
        f"{x.at(size):.1f},{y.at(value):.1f}"
        for size, value in zip(sizes, values, strict=True)
        if value >= y.low
    )
    style = 'stroke="#bbb" stroke-dasharray="4 4"' if dashed else 'stroke="#1f6feb" stroke-width="2"'
    return f'<polyline points="{points}" fill="none" {style}/>'
