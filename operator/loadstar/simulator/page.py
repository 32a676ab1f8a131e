"""The page around a report's plots: one file, light or dark as its reader's system is, no script and no network."""

from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b2430; --soft: #5d6b7c; --line: #e3e7ec;
  --own: #0b63ce; --glow: #0b63ce14; }
@media (prefers-color-scheme: dark) {
  :root { --page: #11161d; --card: #1a212b; --ink: #e6ebf2; --soft: #93a1b3; --line: #2b3542; --own: #5aa9ff;
    --glow: #5aa9ff1c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 0 0 2px; }
p { margin: 0 0 10px; color: var(--soft); font-size: 13.5px; max-width: 75ch; }
dl { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 8px 0 0; font-size: 13.5px; }
dt, dd { display: inline; margin: 0; }
dt { color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 8px; position: sticky; top: 0; padding: 10px 0; margin-top: 14px;
  background: var(--page); z-index: 1; }
.legend .entry { padding: 2px 10px; border: 1px solid var(--line); border-radius: 99px; background: var(--card);
  font-size: 13px; cursor: default; }
.entry i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px;
  background: var(--of); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px; }
.card.wide { grid-column: 1 / -1; } .table { margin-top: 16px; overflow-x: auto; }
svg { width: 100%; height: auto; display: block; font-size: 12.5px; font-family: inherit; }
.grid { stroke: var(--line); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.tick, .name { fill: var(--soft); }
.mid { text-anchor: middle; } .end { text-anchor: end; } .start { text-anchor: start; }
.curve { fill: none; stroke: var(--of); stroke-width: 1.6; stroke-linejoin: round; opacity: .8;
  transition: opacity .12s; }
.curve.own { stroke-width: 3.2; opacity: 1; }
.front { fill: none; stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 4 4; opacity: .7; }
.mark { fill: var(--of); transition: opacity .12s; }
.band { stroke: var(--of); stroke-width: 1.2; opacity: .35; }
.label { fill: var(--ink); }
.mark.own .label { font-weight: 650; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: 7px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; }
tbody th { text-align: left; font-weight: 500; }
tr.own { background: var(--glow); } tr.own th { font-weight: 650; }
td em { font-style: normal; font-size: 10px; margin-right: 4px; vertical-align: 2px; }
em.better { color: #1f9d63; } em.worse { color: #d1495b; }
td small { display: block; color: var(--soft); font-size: 11.5px; }
.meanings { margin-top: 14px; color: var(--soft); font-size: 12.5px; }
.meanings dt { color: var(--ink); }
@media print { .legend { position: static; } .card { break-inside: avoid; } }
"""

_COLOURS = (
    "#e07a1f", "#2a9d6f", "#b5479b", "#8a6fd1", "#c2a11a", "#d1495b", "#3aa6b9", "#7a8b2f", "#a0673c", "#6b7c93",
    "#e0559a", "#4f9d3a", "#9a5fd0", "#c9762b", "#2f8fa3", "#b33d3d", "#79848f", "#548bd4",
)  # fmt: skip


def page(
    *, facts: str, legend: str, figures: str, tables: Sequence[tuple[str, str, str]], policies: Sequence[str]
) -> str:
    """The whole document.

    `tables` are (title, text, table); `policies` the classes of each policy: `p<number>`, and `own` for the product's.
    """
    title = "Loadstar simulation"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{_colours(policies)}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(title)}</h1>{facts}</header>\n{legend}\n"
        f'<div class="cards">{figures}</div>\n'
        f"{_tables(tables)}</main>\n</body>\n</html>\n"
    )


def _tables(tables: Sequence[tuple[str, str, str]]) -> str:
    return "".join(
        f'<section class="card table"><h2>{title}</h2><p>{text}</p>{table}</section>\n'
        for title, text, table in tables
    )


def _colours(policies: Sequence[str]) -> str:
    """A colour per policy; pointing at one in the legend leaves the others pale."""
    rules = []
    for classes in policies:
        key, own = classes.split()[0], "own" in classes
        colour = "var(--own)" if own else _COLOURS[int(key[1:]) % len(_COLOURS)]
        rules.append(
            f".{key} {{ --of: {colour}; }}\n"
            f"main:has(.legend .{key}:hover) :is(.curve, .mark):not(.{key}) {{ opacity: .12; }}\n"
            f"main:has(.legend .{key}:hover) .curve.{key} {{ stroke-width: 3.2; opacity: 1; }}"
        )
    return "\n".join(rules)
