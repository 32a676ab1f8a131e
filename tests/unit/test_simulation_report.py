"""What a simulation's figures become: tables, JSON and a page that stands alone."""

import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from loadstar.cli.simulation import table
from loadstar.simulator.axes import Axis, percent, seconds, spanning
from loadstar.simulator.comparison import COLUMNS, Estimate, Trial, front, summaries
from loadstar.simulator.outcome import Outcome, Timeline
from loadstar.simulator.paired import differences
from loadstar.simulator.report import as_html, as_json

FACTS = {"nodes": "2 with 16 GPUs", "jobs": "<jobs> & more"}


def outcome(hot: float = 0.1, wait: float = 60.0) -> Outcome:
    """Four jobs of ten minutes that each waited for `wait` seconds."""
    waits, steps = np.full(4, wait), np.linspace(0.0, 1.0, 50)
    completion = waits + 600.0
    timeline = Timeline(steps, steps, steps, steps)
    return Outcome(waits, completion, completion / 600.0, hot, 0.0, 0.0, 0.5, 0.7, 1.0, timeline)


def trials() -> list[Trial]:
    """A cool one that waits, a hot one that doesn't, and one that is worse than both in both."""
    made = {"cool": (0.05, 600.0), "loadstar": (0.1, 6.0), "worst": (0.3, 900.0)}
    return [
        Trial(policy, seed, outcome(hot * (1 + 0.1 * seed), wait))
        for policy, (hot, wait) in made.items()
        for seed in (0, 1)
    ]


class Page(HTMLParser):
    """Tags that are open, and everything a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "line", "circle", "polyline"}:
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "data"}]
        if tag == "script":
            self.fetched.append("script")

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_needs_nothing_but_itself() -> None:
    text = as_html(trials(), FACTS)
    page = Page(text)
    assert page.fetched == []
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_closes_every_tag() -> None:
    assert Page(as_html(trials(), FACTS)).open == []


def test_the_page_says_what_was_simulated_in_escaped_words() -> None:
    assert "&lt;jobs&gt; &amp; more" in as_html(trials(), FACTS)


def test_the_page_draws_every_policy_in_every_plot() -> None:
    plots = re.findall(r"<svg.*?</svg>", as_html(trials(), FACTS), re.DOTALL)
    assert len(plots) == 5
    for plot in plots:
        assert len(set(re.findall(r'class="(?:mark|curve) (p\d)', plot))) == 3


def test_the_same_trials_give_the_same_bytes() -> None:
    assert as_html(trials(), FACTS) == as_html(trials(), FACTS)
    assert as_json(trials(), FACTS) == as_json(trials(), FACTS)


def test_the_json_has_means_with_intervals_and_every_seed() -> None:
    document = json.loads(as_json(trials(), FACTS))
    assert [policy["policy"] for policy in document["policies"]] == ["cool", "loadstar", "worst"]
    hot = document["policies"][1]["figures"]["hot"]
    assert hot["mean"] == pytest.approx(10.5)
    assert hot["band95"] == pytest.approx(12.7062 * 0.5, rel=1e-3)
    assert len(document["trials"]) == 6


def test_one_policy_of_one_seed_makes_a_page_too() -> None:
    assert "<svg" in as_html([Trial("loadstar", 0, outcome(wait=0.0))], FACTS)


def test_the_front_leaves_out_who_is_beaten_in_both() -> None:
    assert [summary.policy for summary in front(summaries(trials()))] == ["cool", "loadstar"]


def test_two_alike_are_both_on_the_front() -> None:
    alike = [Trial(policy, 0, outcome()) for policy in ("a", "b")]
    assert len(front(summaries(alike))) == 2


def test_the_table_marks_the_front_and_begins_with_the_coolest() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table(summaries(trials()), several=True))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert [line[:2] for line in lines[1:3]] == [["●", "cool"], ["●", "loadstar"]]
    assert lines[3][0] == "worst"


def test_an_interval_of_ten_seeds_is_students() -> None:
    values = [float(value) for value in range(10)]
    assert Estimate.of(values).band == pytest.approx(2.2622 * np.std(values, ddof=1) / 10**0.5, rel=1e-3)


def test_one_seed_claims_no_interval() -> None:
    assert Estimate.of([3.0]) == Estimate(3.0, 0.0)


@pytest.mark.parametrize("high", [0.003, 1.0, 7.0, 99.0, 123_456.0])
def test_ticks_are_round_and_within_the_axis(high: float) -> None:
    axis = spanning([0.0, high], 0.0, 100.0)
    ticks = axis.ticks()
    assert 3 <= len(ticks) <= 9
    assert ticks[0] >= axis.low
    assert ticks[-1] <= axis.high


def test_a_value_beyond_an_axis_is_drawn_at_its_end() -> None:
    axis = Axis(1.0, 100.0, 10.0, 110.0, logarithmic=True)
    assert (axis.at(0.0), axis.at(10.0), axis.at(1e9)) == (10.0, 60.0, 110.0)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (4.25, "4.2 s"), (90.0, "1.5 min"), (7200.0, "2 h"), (172_800.0, "2 d")],
)
def test_spans_are_written_in_their_largest_unit(value: float, written: str) -> None:
    assert seconds(value) == written


def test_small_percentages_keep_two_decimals() -> None:
    assert (percent(0.0312), percent(12.345)) == ("0.03 %", "12.3 %")


def test_differences_are_taken_seed_by_seed() -> None:
    """Both policies differ much between seeds, and by the same within each."""
    pairs = [
        Trial(policy, seed, outcome(wait=100.0 * seed + more))
        for policy, more in (("loadstar", 0.0), ("b", 5.0))
        for seed in range(4)
    ]
    (against,) = differences(pairs, "loadstar")
    assert against.estimates["wait"].mean == pytest.approx(5.0)
    assert against.estimates["wait"].band == pytest.approx(0.0, abs=1e-9)


def test_a_difference_within_its_interval_is_none() -> None:
    waits = {"loadstar": (10.0, 20.0, 30.0), "b": (12.0, 17.0, 31.0)}
    pairs = [
        Trial(policy, seed, outcome(wait=wait))
        for policy, each in waits.items()
        for seed, wait in enumerate(each)
    ]
    (against,) = differences(pairs, "loadstar")
    columns = {column.key: column for column in COLUMNS}
    assert against.better(columns["wait"]) is None


def test_more_waiting_is_worse_and_more_goodput_better() -> None:
    base, other = outcome(wait=10.0), dataclasses.replace(outcome(wait=20.0), goodput=0.9)
    pairs = [Trial("loadstar", 0, base), Trial("b", 0, other)]
    (against,) = differences(pairs, "loadstar")
    columns = {column.key: column for column in COLUMNS}
    assert against.better(columns["wait"]) is False
    assert against.better(columns["goodput"]) is True


def test_the_page_tells_the_differences_where_there_are_several_seeds() -> None:
    assert "Seed by seed" in as_html(trials(), FACTS)
    assert "Seed by seed" not in as_html([trial for trial in trials() if trial.seed == 0], FACTS)
