"""Scoring forecasts of recorded loads: what is read, what is counted, and what the command prints."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from loadstar.cli.app import app
from loadstar.simulator.cells import TraceError, TracesMissing
from loadstar.simulator.evaluation import Question, evaluate
from loadstar.simulator.scores import Figure
from loadstar.simulator.series import Series, of_points, read
from loadstar.simulator.yardsticks import yardsticks

Array = NDArray[np.float64]

QUESTION = Question(horizons=(1, 3), warm_up=20)


def table(**columns: Array | list[float]) -> Series:
    values = np.array(list(columns.values()), np.float64).T
    return Series("test", tuple(columns), np.arange(0.0, 30.0 * len(values), 30.0), values)


def written(folder: Path, text: str) -> Path:
    path = folder / "loads.csv"
    path.write_text(text)
    return path


def swinging(count: int = 200) -> list[float]:
    return [float(step % 2) for step in range(count)]


def noisy(count: int = 600, seed: int = 3) -> Array:
    return np.asarray(np.random.default_rng(seed).normal(50.0, 5.0, count))


def test_a_file_is_read_with_its_gaps(tmp_path: Path) -> None:
    found = read(written(tmp_path, "time,a,b\n0,1,\n60,2,5\n120,,6\n"))
    assert found.names == ("a", "b")
    assert found.step == 60.0
    assert np.array_equal(found.values, [[1.0, np.nan], [2.0, 5.0], [np.nan, 6.0]], equal_nan=True)


def test_the_time_may_be_a_date_or_a_count_of_units(tmp_path: Path) -> None:
    dates = "time,a\n2014-02-14 14:30:00,1\n2014-02-14 14:35:00,1\n2014-02-14 14:40:00,2\n"
    assert read(written(tmp_path, dates)).times.tolist() == [1392388200.0, 1392388500.0, 1392388800.0]
    assert read(written(tmp_path, "step,a\n0,1\n1,2\n2,3\n"), 57.0).step == 57.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has too few lines"),
        ("time\n0\n1\n2\n", "line 1: write the time into the first column"),
        ("time,a\n0,1\nsoon,2\n2,3\n", "line 3, column time: is 'soon'"),
        ("time,a\n0,1\n1,much\n2,3\n", "line 3, column a: is 'much'"),
        ("time,a\n0,1\n1,nan\n2,3\n", "line 3, column a: is 'nan'"),
        ("time,a\n0,1\n1,2,3\n2,3\n", "line 3: has 3 cells where the header line has 2"),
        ("time,a,a\n0,1,1\n1,2,1\n2,3,1\n", "line 1: 'a' names two columns"),
        ("time,a\n0,1\n2,2\n1,3\n", "line 4, column time: is not later than the line before"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        read(written(tmp_path, text))
    assert message in str(caught.value)
    assert "loads.csv" in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TracesMissing, match=r"none\.csv is not there"):
        read(tmp_path / "none.csv")


def test_points_of_several_series_share_their_times() -> None:
    found = of_points("up", {"a": [(0.0, 1.0), (30.0, 2.0)], "b": [(30.0, 3.0), (60.0, float("nan"))]})
    assert found.times.tolist() == [0.0, 30.0, 60.0]
    assert np.array_equal(found.values, [[1.0, np.nan], [2.0, 3.0], [np.nan, np.nan]], equal_nan=True)


def test_persistence_misses_a_swinging_load_by_a_whole_step_and_the_forecast_learns_to_swing() -> None:
    (scores,) = evaluate([table(a=swinging())], QUESTION)
    assert scores.persistence[Figure.ERROR].tolist() == [[1.0], [1.0]]
    assert scores.skill_by_horizon() == pytest.approx([1.0, 1.0], abs=0.05)
    assert scores.better == 1.0


def test_of_noise_around_a_level_the_forecast_is_the_level_and_its_band_holds_nine_of_ten() -> None:
    (scores,) = evaluate([table(a=noisy())], QUESTION)
    # the mean distance of two draws is √2 times that of one from the mean
    assert scores.skill() == pytest.approx(1 - 1 / np.sqrt(2), abs=0.04)
    assert scores.coverage == pytest.approx(0.9, abs=0.03)
    assert scores.forecast[Figure.BIAS] == pytest.approx(np.zeros((2, 1)), abs=0.1)


def test_the_interval_score_of_noise_is_hardly_more_than_that_of_its_true_quantiles() -> None:
    (scores,) = evaluate([table(a=noisy(3000))], QUESTION)
    # ±1.645 σ, and what lies beyond, is 4.13 σ in all; the mean step is 2/√π σ
    assert scores.forecast[Figure.INTERVAL] == pytest.approx(
        np.full((2, 1), 4.13 * np.sqrt(np.pi) / 2), rel=0.06
    )
    assert (scores.forecast[Figure.INTERVAL] > 4.0 * np.sqrt(np.pi) / 2).all()


def test_a_forecast_from_before_a_series_turns_does_not_know_that_it_will() -> None:
    quiet, turned = [0.5, 0.6] * 60, [0.5, 0.6] * 60
    turned[100:] = [9.0] * 20
    ours = [evaluate([table(a=series[:100])], QUESTION)[0] for series in (quiet, turned)]
    assert ours[0].document() == ours[1].document()


def test_the_unit_of_a_series_does_not_matter() -> None:
    (small,) = evaluate([table(a=noisy())], QUESTION)
    (large,) = evaluate([table(a=1000 * noisy())], QUESTION)
    assert large.skill() == pytest.approx(small.skill(), abs=1e-3)


def test_a_series_that_never_moves_is_left_out_by_name() -> None:
    (scores,) = evaluate([table(a=noisy(200), still=np.full(200, 7.0))], QUESTION)
    assert scores.names == ("a",)
    assert scores.left_out == ("still",)


def test_nothing_to_score_is_told() -> None:
    with pytest.raises(TraceError, match="no series can be scored"):
        evaluate([table(still=np.full(200, 7.0))], QUESTION)


def test_a_missing_sample_is_neither_scored_nor_forecast_from() -> None:
    whole, gappy = noisy(200), noisy(200)
    gappy[50:60] = np.nan
    (scores,) = evaluate([table(a=whole, b=gappy)], QUESTION)
    assert np.isfinite(scores.forecast[Figure.ERROR]).all()
    assert scores.forecast[Figure.ERROR][0, 1] == pytest.approx(scores.forecast[Figure.ERROR][0, 0], rel=0.2)


def test_several_sources_are_scored_one_by_one_as_if_alone_and_then_together() -> None:
    first, second = table(a=noisy(200)), table(a=swinging(300))
    alone = [evaluate([one], QUESTION)[0].skill() for one in (first, second)]
    *each, both = evaluate([first, second], QUESTION)
    assert [one.skill() for one in each] == pytest.approx(alone, abs=1e-6)
    assert both.source == "all"
    assert len(both.names) == 2


def test_the_baselines_of_a_ramp_are_what_they_are_by_hand() -> None:
    ramp = np.arange(10.0)[:, None]
    found = yardsticks(ramp, (1, 2), step_seconds=60.0)
    assert found["C + 0.5·ΔC"][-1, 0] == 9.5
    assert found["mean 5 min"][-1, 0] == 7.0  # of 5, 6, 7, 8, 9
    assert found["max 60 min"][-1, 0] == 9.0
    assert found["p95 60 min"][-1, 0] == pytest.approx(8.55)
    assert found["learned α"][-1, 0, 0] == pytest.approx(9.8)  # α is bounded by 0.8
    assert found["SES 0.1"][1, 0] == pytest.approx(0.1)


def test_the_command_prints_json_of_every_set(tmp_path: Path) -> None:
    path = tmp_path / "loads.csv"
    rows = "\n".join(f"{step},{value},{value / 2}" for step, value in enumerate(noisy(200)))
    path.write_text(f"step,a,b\n{rows}\n")
    done = CliRunner().invoke(
        app, ["evaluate-forecast", str(path), "--json", "--horizons=1,2", "--warm-up=20"]
    )
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)["sets"]
    assert found["source"] == "loads.csv"
    assert found["series"] == 2
    assert set(found["skillByHorizon"]) == {"1", "2"}
    assert 0.8 < found["coverage90"] < 1.0
    assert found["baselines"]["C + 1·ΔC"] < 0 < found["baselines"]["SES 0.1"]


def test_the_command_prints_a_table_by_default(tmp_path: Path) -> None:
    path = tmp_path / "loads.csv"
    path.write_text("step,a\n" + "\n".join(f"{step},{value}" for step, value in enumerate(noisy(200))))
    done = CliRunner().invoke(app, ["evaluate-forecast", str(path), "--no-baselines"])
    assert done.exit_code == 0, done.stderr
    assert "Skill against persistence" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a csv file"),
        (["loads.csv", "--horizons=0,1"], "--horizons is '0,1'"),
        (["--prometheus=http://localhost:1"], "--prometheus goes with --query"),
        (["--prometheus=http://localhost:1", "--query=up", "--start=soon"], "--start is 'soon'"),
        (
            ["--prometheus=http://localhost:1", "--query=up", "--start=20", "--end=10"],
            "--start is not before --end",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_what_to_write(
    arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, ["evaluate-forecast", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
