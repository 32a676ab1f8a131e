"""What is known of jobs' progress, and when it is written: in virtual time, without a cluster."""

import json
from typing import Any

import pytest

from loadstar.controller.caches import Caches, Tracked
from loadstar.core.jobs import Phase
from loadstar.reporting.payload import Report, moment
from loadstar.reporting.progress import CURVES_SECONDS, STATUS_SECONDS, Progress
from loadstar.reporting.tracks import Track
from tests.builders import make_state
from tests.unit import raw

_AT = 1_781_233_200.0


def _report(at: float = _AT, *metrics: tuple[str, str], progress: int | None = None) -> Report:
    return Report(at=at, progress=progress, metrics=metrics)


def _tracked(
    attempt: int = 1, phase: Phase = Phase.RUNNING, reported: dict[str, Any] | None = None
) -> Tracked:
    caches = Caches()
    tracked = caches.jobs[caches.put_job(raw.job(status=reported))]
    tracked.state = make_state(attempt=attempt, phase=phase)
    return tracked


# --- tracks ----------------------------------------------------------------------------------------------------


def test_an_older_report_changes_nothing() -> None:
    track = Track("uid", 1)
    newest = _report(_AT, ("loss", "1"), progress=50)
    assert track.take(newest)
    assert not track.take(_report(_AT - 1, ("loss", "9"), progress=10))
    assert track.status()["trainerStatus"] == newest.wire()
    assert track.series["loss"].greatest == "1"


def test_a_second_report_of_the_same_moment_counts_as_the_newer_one() -> None:
    track = Track("uid", 1)
    track.take(_report(_AT, progress=99))
    assert track.take(_report(_AT, progress=100))
    assert track.status()["trainerStatus"]["progressPercentage"] == 100


def test_metrics_that_a_report_leaves_out_keep_their_curve_only() -> None:
    track = Track("uid", 1)
    track.take(_report(_AT, ("loss", "1"), ("accuracy", "0.5")))
    track.take(_report(_AT + 1, ("loss", "0.5")))
    status = track.status()
    assert status["trainerStatus"]["metrics"] == [{"name": "loss", "value": "0.5"}]
    assert status["curves"]["metrics"] == [
        {"name": "loss", "latest": "0.5", "best": "0.5", "min": "0.5", "max": "1"},
        {"name": "accuracy", "latest": "0.5", "best": "0.5", "min": "0.5", "max": "0.5"},
    ]


def test_no_more_than_256_metrics_are_followed_however_names_change() -> None:
    track = Track("uid", 1)
    for number in range(300):
        track.take(_report(_AT + number, (f"metric-{number}", "1")))
    assert len(track.status()["curves"]["metrics"]) == 256


def test_the_fullest_document_fits_into_a_config_map() -> None:
    track = Track("uid", 1)
    for number in range(400):
        values = [(f"{name:03}" + "m" * 61, repr(number / 7 + name)) for name in range(255)]
        track.take(_report(_AT + number / 3, *values, ("step", str(number))))
    assert len(track.document().encode()) < 900_000


def test_points_carry_the_step_where_one_was_told() -> None:
    track = Track("uid", 1)
    track.take(_report(_AT, ("loss", "1.5")))
    track.take(_report(_AT + 1.0006, ("loss", "1"), ("current_step", "20")))
    assert json.loads(track.document()) == {
        "version": 1,
        "attempt": 1,
        "metrics": {
            "loss": [[_AT, 1.5], [_AT + 1.001, 20.0, 1.0]],
            "current_step": [[_AT + 1.001, 20.0, 20.0]],
        },
    }


def test_a_restarted_operator_goes_on_from_status_and_saved_points() -> None:
    before = Track("uid", 2, config_map="iris-curves")
    for second, value in enumerate(["3", "1", "2"]):
        before.take(_report(_AT + second, ("loss", value)))
    after = Track.resumed("uid", 2, before.status())
    assert not after.take(_report(_AT - 1, ("loss", "0")))
    after.take(_report(_AT + 9, ("loss", "2.5")))
    after.precede(before.document())
    assert after.status()["curves"] == {
        "attempt": 2,
        "configMap": "iris-curves",
        "points": 4,
        "metrics": [{"name": "loss", "latest": "2.5", "best": "1", "min": "1", "max": "3"}],
    }


def test_the_course_is_told_even_if_no_report_came() -> None:
    track = Track("uid", 1)
    track.complete({"trainLoss": ((_AT, 4.0, 0.5), (_AT + 0.125, 8.0, 0.25))})
    assert track.curves_unsaved
    assert track.status() == {
        "curves": {
            "attempt": 1,
            "metrics": [
                {"name": "trainLoss", "latest": "0.25", "min": "0.25", "max": "0.5"},
            ],
        }
    }
    assert json.loads(track.document())["metrics"] == {
        "trainLoss": [[_AT, 4.0, 0.5], [_AT + 0.125, 8.0, 0.25]]
    }


def test_a_course_does_not_bring_more_metrics_than_are_followed() -> None:
    track = Track("uid", 1)
    for number in range(255):
        track.take(_report(_AT + number, (f"metric-{number}", "1")))
    track.complete(dict.fromkeys(("a", "b", "metric-7"), ((_AT, 1.0, 1.0),)))
    assert len(track.series) == 256
    assert track.series["metric-7"].points == [(_AT, 1.0, 1.0)]


def test_nothing_of_another_attempt_is_gone_on_from() -> None:
    before = Track("uid", 1)
    before.take(_report(_AT, ("loss", "1")))
    after = Track.resumed("uid", 2, before.status())
    assert after.take(_report(_AT - 60, ("loss", "5")))
    after.precede(before.document())
    assert after.status()["curves"]["metrics"][0]["min"] == "5"
    assert after.series["loss"].points == [(_AT - 60, None, 5.0)]


@pytest.mark.parametrize(
    "saved",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version":1}',
        '{"version":1,"attempt":1,"metrics":{"loss":[["a"]]}}',
        "[" * 50_000,
    ],
)
def test_saved_points_that_somebody_spoilt_are_as_if_not_there(saved: str) -> None:
    track = Track("uid", 1)
    track.take(_report(_AT, ("loss", "1")))
    track.precede(saved)
    assert track.series["loss"].points == [(_AT, None, 1.0)]


# --- progress --------------------------------------------------------------------------------------------------


def test_a_report_of_a_new_attempt_begins_anew() -> None:
    progress, first, second = Progress(), _tracked(1), _tracked(2)
    progress.take(raw.KEY, first, _report(_AT, ("loss", "1"), progress=90), _AT)
    progress.take(raw.KEY, second, _report(_AT - 5, ("loss", "2"), progress=3), _AT)
    wanted = progress.wanted(raw.KEY, second)
    assert wanted["trainerStatus"] == {
        "lastUpdatedTime": moment(_AT - 5),
        "progressPercentage": 3,
        "metrics": [{"name": "loss", "value": "2"}],
    }
    assert wanted["curves"]["metrics"][0]["max"] == "2"


def test_when_an_attempt_begins_the_progress_of_the_one_before_is_taken_away() -> None:
    progress, first = Progress(), _tracked(1)
    progress.take(raw.KEY, first, _report(_AT, progress=90), _AT)
    shown = progress.wanted(raw.KEY, first)
    second = _tracked(2, reported=dict(shown))
    progress.statuses.take(_AT)
    progress.sweep({raw.KEY: second}, _AT + 60)
    assert progress.statuses.take(_AT + 60) == [raw.KEY]
    assert progress.wanted(raw.KEY, second) == {}


def test_a_restarted_operator_lets_the_progress_of_the_current_attempt_stand() -> None:
    track = Track("uid", 1)
    track.take(_report(_AT, progress=90))
    tracked = _tracked(1, reported=track.status())
    progress = Progress()
    progress.sweep({raw.KEY: tracked}, _AT)
    assert progress.next() is None
    assert progress.wanted(raw.KEY, tracked) == track.status()


def test_what_was_reported_last_is_written_before_a_finished_job_is_forgotten() -> None:
    progress, tracked = Progress(), _tracked(1)
    progress.take(raw.KEY, tracked, _report(_AT, ("loss", "1"), progress=100), _AT)
    over = _tracked(1, Phase.SUCCEEDED)
    progress.sweep({raw.KEY: over}, _AT + 1)
    assert raw.KEY in progress.statuses
    assert progress.curves.take(_AT + 1) == [raw.KEY]
    progress.tracks[raw.KEY].curves_unsaved = False
    progress.statuses.take(_AT + 10)
    progress.sweep({raw.KEY: over}, _AT + 10)
    assert raw.KEY in progress.statuses, "not written yet: the status does not say it"
    over.reported = progress.wanted(raw.KEY, over)
    progress.statuses.take(_AT + 20)
    progress.sweep({raw.KEY: over}, _AT + 20)
    assert progress.tracks == {}


def test_jobs_that_are_gone_are_forgotten() -> None:
    progress, tracked = Progress(), _tracked(1)
    progress.take(raw.KEY, tracked, _report(_AT, ("loss", "1")), _AT)
    progress.sweep({}, _AT)
    assert (progress.tracks, progress.next()) == ({}, None)


def test_the_end_is_written_at_once_however_short_the_run_was() -> None:
    progress, tracked = Progress(), _tracked(1)
    progress.take(raw.KEY, tracked, _report(_AT, ("trainLoss", "3"), progress=10), _AT)
    assert progress.statuses.take(_AT) == [raw.KEY]
    progress.take(raw.KEY, tracked, _report(_AT + 0.7, ("accuracy", "1"), progress=100), _AT + 0.7)
    assert (progress.statuses.take(_AT + 0.8), progress.curves.take(_AT + 0.8)) == ([], [])
    course = {"trainLoss": tuple((_AT + epoch / 16, epoch * 4.0, 3.0 / (1 + epoch)) for epoch in range(10))}
    progress.complete(raw.KEY, tracked, course, _AT + 0.8)
    assert progress.statuses.take(_AT + 0.8) == [raw.KEY]
    assert progress.curves.take(_AT + 0.8) == [raw.KEY]
    track = progress.tracks[raw.KEY]
    assert len(json.loads(track.document())["metrics"]["trainLoss"]) == 10
    assert progress.wanted(raw.KEY, tracked)["trainerStatus"]["progressPercentage"] == 100
    progress.saved(raw.KEY, track, _AT + 0.9)
    assert progress.statuses.take(_AT + 0.9) == [raw.KEY]


def test_before_the_end_the_name_of_the_config_map_waits_like_a_report() -> None:
    progress, tracked = Progress(), _tracked(1)
    progress.take(raw.KEY, tracked, _report(_AT, ("loss", "3")), _AT)
    progress.statuses.take(_AT)
    progress.saved(raw.KEY, progress.tracks[raw.KEY], _AT + 1)
    assert progress.statuses.next() == _AT + STATUS_SECONDS


def test_a_record_sent_again_and_again_does_not_hurry_anything() -> None:
    progress, tracked = Progress(), _tracked(1)
    for again in range(4):
        progress.complete(raw.KEY, tracked, {"loss": ((_AT, 1.0, float(again)),)}, _AT + again)
        due = [raw.KEY] if not again else []
        assert progress.statuses.take(_AT + again) == due
        assert progress.curves.take(_AT + again) == due
    assert (progress.statuses.next(), progress.curves.next()) == (_AT + STATUS_SECONDS, _AT + CURVES_SECONDS)


def test_a_job_that_ends_without_a_record_has_its_last_report_written_at_once() -> None:
    progress, tracked = Progress(), _tracked(1)
    progress.take(raw.KEY, tracked, _report(_AT, progress=10), _AT)
    progress.statuses.take(_AT)
    progress.take(raw.KEY, tracked, _report(_AT + 1, progress=99), _AT + 1)
    over = _tracked(1, Phase.SUCCEEDED)
    progress.sweep({raw.KEY: over}, _AT + 2)
    assert progress.statuses.take(_AT + 2) == [raw.KEY]
    progress.sweep({raw.KEY: over}, _AT + 3)
    assert progress.statuses.next() == _AT + 2 + STATUS_SECONDS, (
        "a status that can't be written is not written without a pause"
    )
