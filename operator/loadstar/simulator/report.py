"""What a simulation found, as JSON for programs and as one HTML page for people."""

import json
from collections.abc import Mapping, Sequence
from html import escape

from loadstar.simulator import plots
from loadstar.simulator.axes import percent, plain, seconds
from loadstar.simulator.comparison import COLUMNS, Column, Summary, Trial, front, summaries
from loadstar.simulator.page import page
from loadstar.simulator.paired import Difference, differences
from loadstar.simulator.replay import OURS

Facts = Mapping[str, str]
"""What was simulated, in words: printed above everything else."""


def as_json(trials: Sequence[Trial], facts: Facts) -> str:
    """Means with intervals by policy, and every seed's figures."""
    document = {
        "simulated": dict(facts),
        "policies": [
            {
                "policy": summary.policy,
                "figures": {
                    key: {"mean": estimate.mean, "band95": estimate.band}
                    for key, estimate in summary.estimates.items()
                },
            }
            for summary in summaries(trials)
        ],
        f"against {OURS}": [
            {
                "policy": against.policy,
                "differences": {
                    key: {"mean": estimate.mean, "band95": estimate.band}
                    for key, estimate in against.estimates.items()
                },
            }
            for against in differences(trials, OURS)
        ],
        "trials": [
            {"policy": trial.policy, "seed": trial.seed, "figures": trial.outcome.figures()}
            for trial in trials
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def as_html(trials: Sequence[Trial], facts: Facts) -> str:
    """A page that needs nothing but itself; the same trials give the same bytes."""
    found = summaries(trials)
    keys = _keys(found)
    legend = "".join(
        f'<span class="entry {keys[summary.policy]}"><i></i>{escape(summary.policy)}</span>'
        for summary in found
    )
    given = "".join(
        f"<div><dt>{escape(name)}</dt> <dd>{escape(value)}</dd></div>" for name, value in facts.items()
    )
    sections = [
        ("Heat against waiting", _PARETO, _pareto(found, keys)),
        ("Time from arrival to end", _COMPLETION, _completion(found, keys)),
        (
            "GPUs in use over time",
            "Share of all GPUs that jobs hold, mean over seeds.",
            _over_time(found, keys, "taken"),
        ),
        (
            "Hot nodes over time",
            "Share of the nodes whose CPU is above 80 %.",
            _over_time(found, keys, "hot"),
        ),
        ("Jobs in the queue over time", "Jobs that wait for GPUs.", _over_time(found, keys, "waiting")),
    ]
    figures = "".join(
        f'<section class="card{"" if number else " wide"}"><h2>{title}</h2><p>{text}</p>{plot}</section>'
        for number, (title, text, plot) in enumerate(sections)
    )
    return page(
        facts=f"<dl>{given}</dl>",
        legend=f'<div class="legend">{legend}</div>',
        figures=figures,
        tables=[("All figures", _ALL, _table(found, keys)), *_against(trials, keys)],
        policies=list(keys.values()),
    )


_PARETO = (
    "Each mark is a policy, its cross the 95 % interval over seeds. Left and low is better: whoever spreads jobs to "
    "keep nodes cool lets others wait for whole nodes. No policy is better in both than those on the line."
)
_COMPLETION = "Share of the jobs that ended within this time of their arrival, all seeds together."


_ALL = "Means over seeds with 95 % intervals; the best of each column in bold."
_SEED_BY_SEED = (
    f"By how much each policy's figures are above {OURS}'s on the same jobs, with 95 % intervals. Where an interval "
    f"leaves 0 out, ▲ says that {OURS} is better and ▼ that it is worse."
)

_AT_ONCE = 1.0
"""Seconds: who waits less is shown as if he waited that long, where waits are told by their magnitude."""
_WIDE = 30.0
"""From here on, the longest over the shortest, waits are told by their magnitude."""


def _keys(found: Sequence[Summary]) -> dict[str, str]:
    """The classes of each policy's marks: a number for its colour, and whether it is the product's own."""
    ordered = enumerate(_own_last(found))
    return {it.policy: f"p{number}{' own' if it.policy == OURS else ''}" for number, it in ordered}


def _own_last(found: Sequence[Summary]) -> list[Summary]:
    """The order of colours: the product's own last, so that the others' don't depend on how many of them there are."""
    return sorted(found, key=lambda summary: summary.policy == OURS)


def _pareto(found: Sequence[Summary], keys: Mapping[str, str]) -> str:
    waits = [max(summary.mean("wait"), _AT_ONCE) for summary in found]
    wide = max(waits) > _WIDE * min(waits)
    points = {
        summary.policy: plots.Point(
            summary.policy,
            keys[summary.policy],
            wait if wide else summary.mean("wait"),
            summary.mean("hot"),
            summary.estimates["wait"].band,
            summary.estimates["hot"].band,
        )
        for summary, wait in zip(found, waits, strict=True)
    }
    best = [points[summary.policy] for summary in front(found)]
    labels = plots.Labels("mean wait in the queue", "node-time above 80 % CPU", seconds, percent)
    return plots.scatter(list(points.values()), best, labels, logarithmic=wide)


def _completion(found: Sequence[Summary], keys: Mapping[str, str]) -> str:
    lines = [
        plots.Line(
            summary.policy,
            keys[summary.policy],
            [float(it) for it in summary.completion],
            [100.0 * number / (len(summary.completion) - 1) for number in range(len(summary.completion))],
        )
        for summary in _own_last(found)
    ]
    labels = plots.Labels("time from arrival to end", "jobs that have ended", seconds, percent)
    return plots.curves(lines, labels, logarithmic=True)


def _over_time(found: Sequence[Summary], keys: Mapping[str, str], name: str) -> str:
    scale, write = (1.0, plain) if name == "waiting" else (100.0, percent)
    lines = [
        plots.Line(
            summary.policy,
            keys[summary.policy],
            [float(hour) for hour in summary.hours],
            [scale * float(value) for value in getattr(summary, name)],
        )
        for summary in _own_last(found)
    ]
    titles = {"taken": "GPUs in use", "hot": "nodes above 80 % CPU", "waiting": "jobs that wait"}
    return plots.curves(lines, plots.Labels("hours since the first arrival", titles[name], plain, write))


def _table(found: Sequence[Summary], keys: Mapping[str, str]) -> str:
    best = {column.key: _best(found, column) for column in COLUMNS}
    head = "".join(f'<th title="{escape(column.meaning)}">{column.title}</th>' for column in COLUMNS)
    rows = "".join(
        f'<tr class="{keys[summary.policy]}">'
        f'<th class="entry {keys[summary.policy]}"><i></i>{escape(summary.policy)}</th>'
        + "".join(_cell(summary, column, best[column.key]) for column in COLUMNS)
        + "</tr>"
        for summary in found
    )
    meanings = "".join(
        f"<div><dt>{column.title}</dt> <dd>{escape(column.meaning)}</dd></div>" for column in COLUMNS
    )
    return (
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'<dl class="meanings">{meanings}</dl>'
    )


def _against(trials: Sequence[Trial], keys: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The table of differences, where there are any to show."""
    found = [it for it in differences(trials, OURS) if any(one.band for one in it.estimates.values())]
    if not found:
        return []
    head = "".join(f"<th>{column.title}</th>" for column in COLUMNS)
    rows = "".join(
        f'<tr><th class="entry {keys[it.policy]}"><i></i>{escape(it.policy)}</th>'
        + "".join(_difference(it, column) for column in COLUMNS)
        + "</tr>"
        for it in found
    )
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return [("Seed by seed", _SEED_BY_SEED, table)]


def _difference(difference: Difference, column: Column) -> str:
    estimate, better = difference.estimates[column.key], difference.better(column)
    mark = {None: "", True: '<em class="worse">▼</em>', False: '<em class="better">▲</em>'}[better]
    written, zero = column.write(abs(estimate.mean)), column.write(0.0)
    if written == column.write(estimate.band) == zero:
        return f"<td>{zero}</td>"
    sign = "−" if estimate.mean < 0 else "+"
    return f"<td>{mark}{sign}{written}<small>± {column.write(estimate.band)}</small></td>"


def _cell(summary: Summary, column: Column, best: float) -> str:
    estimate = summary.estimates[column.key]
    band = f"<small>± {column.write(estimate.band)}</small>" if estimate.band else ""
    written = column.write(estimate.mean)
    value = f"<b>{written}</b>" if written == column.write(best) else written
    return f"<td>{value}{band}</td>"


def _best(found: Sequence[Summary], column: Column) -> float:
    values = [summary.mean(column.key) for summary in found]
    return min(values) if column.less else max(values)
