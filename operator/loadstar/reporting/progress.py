"""All progress that is known now: a track per job, and whose turn it is to be written. Pure; `now` is an argument."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadstar.api.curves import Curves
from loadstar.controller.caches import Key, Tracked
from loadstar.reporting.pace import Pace
from loadstar.reporting.payload import Report
from loadstar.reporting.tracks import Track

STATUS_SECONDS: Final = 4.0
"""At least between two writes of one job's status, but for the last."""
CURVES_SECONDS: Final = 30.0
"""At least between two writes of one job's points, but for the last."""


@dataclass(slots=True)
class Progress:
    """Tracks by the job's key. A track is of one attempt; the report of another attempt begins a new one."""

    tracks: dict[Key, Track] = field(default_factory=dict)
    statuses: Pace[Key] = field(default_factory=lambda: Pace(STATUS_SECONDS))
    curves: Pace[Key] = field(default_factory=lambda: Pace(CURVES_SECONDS))

    def take(self, key: Key, tracked: Tracked, report: Report, now: float) -> Report:
        """Take a report in that the current attempt's pod sent. The report that stands then: the newest by its time."""
        track = self._track(key, tracked)
        if track.take(report):
            self.statuses.wish(key, now)
            if track.curves_unsaved:
                self.curves.wish(key, now + CURVES_SECONDS)
        assert track.report is not None
        return track.report

    def complete(self, key: Key, tracked: Tracked, curves: Curves, now: float) -> None:
        """The current attempt's pod sent its final record, and the whole course or nothing: all is written at once.

        A record that is sent again waits like any report.
        """
        track = self._track(key, tracked)
        track.complete(curves)
        first, track.ended = not track.ended, True
        if track.status() != tracked.reported:
            self._wish(self.statuses, key, now, first)
        if track.curves_unsaved:
            self._wish(self.curves, key, now, first)

    def wanted(self, key: Key, tracked: Tracked) -> Mapping[str, Any]:
        """What the status should say of the job's progress: what was reported in this attempt, and nothing else."""
        track = self.tracks.get(key)
        if track is not None and (track.uid, track.attempt) == (tracked.uid, tracked.state.attempt):
            return track.status()
        return {} if is_outdated(tracked) else tracked.reported

    def sweep(self, jobs: Mapping[Key, Tracked], now: float) -> None:
        """Forget jobs that are gone or over, and have outdated progress taken away."""
        for key, tracked in jobs.items():
            if is_outdated(tracked) and not self._is_tracked(key, tracked):
                self.statuses.wish(key, now)
        for key in self.statuses.known() - jobs.keys():
            self.forget(key)
        for key, track in list(self.tracks.items()):
            known = jobs.get(key)
            if known is None or known.uid != track.uid:
                self.forget(key)
            elif known.state.finished and track.attempt == known.state.attempt:
                self._finish(key, track, known, now)

    def _finish(self, key: Key, track: Track, known: Tracked, now: float) -> None:
        """Have everything written a last time, then let the track go: memory is for jobs that run."""
        first, track.ended = not track.ended, True
        if track.curves_unsaved:
            self.curves.again(key, now)
        if track.status() != known.reported:
            self._wish(self.statuses, key, now, first)
        elif not track.curves_unsaved and key not in self.curves:
            self.forget(key)

    def saved(self, key: Key, track: Track, now: float) -> None:
        """The points are in a ConfigMap, which the status is to name."""
        self._wish(self.statuses, key, now, track.ended)

    def forget(self, key: Key) -> None:
        """The job is gone, or needs no memory any more."""
        self.tracks.pop(key, None)
        self.statuses.forget(key)
        self.curves.forget(key)

    def next(self) -> float | None:
        """When something is due; None while nothing is."""
        return min(
            (due for due in (self.statuses.next(), self.curves.next()) if due is not None), default=None
        )

    def _track(self, key: Key, tracked: Tracked) -> Track:
        """The current attempt's."""
        track = self.tracks.get(key)
        if track is None or (track.uid, track.attempt) != (tracked.uid, tracked.state.attempt):
            track = self.tracks[key] = Track.resumed(tracked.uid, tracked.state.attempt, tracked.reported)
        return track

    @staticmethod
    def _wish(pace: Pace[Key], key: Key, now: float, at_once: bool) -> None:
        pace.again(key, now) if at_once else pace.wish(key, now)

    def _is_tracked(self, key: Key, tracked: Tracked) -> bool:
        track = self.tracks.get(key)
        return track is not None and (track.uid, track.attempt) == (tracked.uid, tracked.state.attempt)


def is_outdated(tracked: Tracked) -> bool:
    """Whether the status shows progress of another attempt than the current one."""
    shown = (tracked.reported.get("curves") or {}).get("attempt")
    return bool(tracked.reported) and shown != tracked.state.attempt
