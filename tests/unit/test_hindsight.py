"""A placement's forecast against what came."""

from dataclasses import replace
from math import isnan

import pytest

from loadstar.core.hindsight import REMEMBERED_SECONDS, Measured, Record, judge
from loadstar.core.jobs import Alternative, Hindsight, Placement
from tests.builders import NOW, make_placement

LATER = NOW + 300.0
"""When the horizon of make_placement has passed: its forecast is 0.5 ± 0.05 at a load of 0.25."""


def measured(at: float = LATER, **loads: float) -> dict[str, Measured]:
    return {name.replace("_", "-"): Measured(load, at) for name, load in loads.items()}


def judged(placement: Placement, own_use: float = 0.1, **loads: float) -> Hindsight:
    found = judge(placement, lambda _: own_use, measured(**loads))
    assert found is not None
    return found


def other(node: str = "node-9") -> Alternative:
    return Alternative(node, 0.2, 0.3, 0.05, -0.2, {})


def test_the_forecast_is_compared_with_the_gangs_own_use_on_top() -> None:
    found = judged(make_placement(), own_use=0.1, node_0=0.63)
    assert found == Hindsight(
        reached_at=LATER,
        load=0.63,
        error=pytest.approx(0.5 + 0.1 - 0.63),  # type: ignore[arg-type]
        persistence_error=pytest.approx(0.25 + 0.1 - 0.63),  # type: ignore[arg-type]
        within_band=1.0,
        regret=0.0,
    )


def test_a_load_beyond_the_band_is_said_to_be() -> None:
    assert judged(make_placement(), node_0=0.66).within_band == 0.0


def test_no_more_than_everything_can_be_expected() -> None:
    assert judged(make_placement(), own_use=0.9, node_0=1.0).error == 0.0


def test_regret_is_what_the_best_alternative_would_have_saved_with_the_gang_on_it() -> None:
    placement = replace(make_placement(), alternatives=(other("node-8"), other("node-9")))
    assert judged(placement, node_0=0.7, node_8=0.55, node_9=0.4).regret == pytest.approx(0.7 - (0.4 + 0.1))


def test_there_is_no_regret_where_the_others_were_worse() -> None:
    placement = replace(make_placement(), alternatives=(other(),))
    assert judged(placement, node_0=0.7, node_9=0.65).regret == 0.0


def test_a_gang_is_judged_by_the_means_over_its_nodes() -> None:
    found = judged(make_placement(2), node_0=0.6, node_1=0.8)
    assert (found.load, found.within_band) == pytest.approx((0.7, 0.5))
    assert found.error == pytest.approx(-0.1)


def test_nothing_is_judged_before_every_node_has_a_sample_of_that_time() -> None:
    early = {**measured(node_0=0.6), **measured(LATER - 1, node_1=0.6)}
    assert judge(make_placement(2), lambda _: 0.1, early) is None
    assert judge(make_placement(2), lambda _: 0.1, measured(node_0=0.6)) is None


def test_where_no_load_was_known_there_was_no_forecast_to_judge() -> None:
    blind = make_placement()
    blind = replace(blind, ranks=(replace(blind.ranks[0], load=None, band=None),))
    assert judge(blind, lambda _: 0.1, measured(node_0=0.6)) is None


# --- figures -----------------------------------------------------------------------------------------------------


def hindsight(
    error: float, persistence: float, at: float = NOW, within: float = 1.0, regret: float = 0.0
) -> Hindsight:
    return Hindsight(at, 0.5, error, persistence, within, regret)


def test_the_figures_are_means_over_placements() -> None:
    record = Record()
    record.add([hindsight(-0.1, 0.3, within=0.0, regret=0.2), hindsight(0.2, -0.3)])
    found = record.figures(NOW)
    assert found.placements == 2
    assert (found.mae, found.persistence_mae) == pytest.approx((0.15, 0.3))
    assert found.skill == pytest.approx(0.5)
    assert (found.coverage, found.regret) == pytest.approx((0.5, 0.1))


def test_a_day_later_a_placement_counts_no_more() -> None:
    record = Record()
    record.add([hindsight(0.9, 0.1), hindsight(0.1, 0.1, at=NOW + 10)])
    assert record.figures(NOW + REMEMBERED_SECONDS + 1).mae == pytest.approx(0.1)


def test_before_the_first_placement_no_figure_is_made_up() -> None:
    found = Record().figures(NOW)
    assert found.placements == 0
    assert all(isnan(value) for value in (found.mae, found.skill, found.coverage, found.regret))


def test_where_nothing_ever_changed_there_is_no_skill_to_speak_of() -> None:
    record = Record()
    record.add([hindsight(0.0, 0.0)])
    assert isnan(record.figures(NOW).skill)
