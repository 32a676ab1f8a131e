"""The parsers that are fuzzed: what each is fed, and what must hold of what it makes of it."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from loadstar.api.convert import parse_status
from loadstar.api.printed import InvalidPattern, printed_metrics
from loadstar.api.record import ErrorRecord, FinalRecord, parse_posted, parse_record
from loadstar.api.state import refusal_status, state_of
from loadstar.api.status import TrainingJobStatus
from loadstar.reporting.payload import InvalidReport, Report, parse_report, report_of
from tests.fuzz import strict, wire
from tests.fuzz.mutation import Mutator
from tests.fuzz.strict import require

FIXTURES = Path(__file__).parents[1] / "contract" / "fixtures"
NOW = datetime(2026, 6, 12, 3, 0, 10, tzinfo=UTC).timestamp()
_LARGE = 4096
"""Bytes of a pickled document; larger ones are fed seldom, as they take long and are much alike."""
_PATTERNS = (
    (),
    (),
    (),
    (r"([\w.]+):\s*(\S+)",),
    (r"(.+?)=(.+)", r"(loss)\D+([\d.eE+-]+)"),
    (r"(\w+) is (\S*)",),
    ("(", "()()"),
    (r"(a)|(b)",),
)


@dataclass(frozen=True)
class Target:
    """`make` draws an input from seeds; `check` feeds it, and is True where something was accepted."""

    name: str
    seeds: Callable[[], list[Any]]
    make: Callable[[Mutator, bytes], Any]
    check: Callable[[Any], bool]


class Corpus:
    """A target's seeds, pickled, and the keys that occur in them."""

    def __init__(self, target: Target) -> None:
        seeds = [pickle.dumps(seed) for seed in target.seeds()]
        self._common = [seed for seed in seeds if len(seed) <= _LARGE]
        self._large = [seed for seed in seeds if len(seed) > _LARGE] or self._common
        self.names = sorted({name for seed in seeds for name in _keys(pickle.loads(seed))} - _numbered())

    def draw(self, random: Random) -> bytes:
        return random.choice(self._common if random.random() < 0.98 else self._large)


def _keys(document: Any) -> set[str]:
    if isinstance(document, dict):
        return {*document, *(name for part in document.values() for name in _keys(part))}
    return {name for part in document for name in _keys(part)} if isinstance(document, list) else set()


def _numbered() -> set[str]:
    return {f"m{number}" for number in range(1000)}


def _fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


# --- final records -----------------------------------------------------------------------------------------------


def _records() -> list[Any]:
    written = [case["record"] for case in _fixture("records.json")]
    refused = [{**written[0], **case["change"]} for case in _fixture("refused-records.json")]
    alone = [_fixture(f"record_{kind}.json") for kind in ("whole", "with_curves", "own_program", "failure")]
    return [*written, *alone, *written, *alone, *refused]


def _check_record(body: bytes) -> bool:
    posted = parse_posted(body, NOW)
    message = body.decode(errors="replace")
    left = parse_record(message)
    if posted is not None:
        wire.curves(posted.curves, strict.json_value(body).get("curves"), NOW)
    sent = None if posted is None else posted.record
    for record, read, most in ((sent, body, 64 * 1024), (left, message.encode(), 16 * 1024)):
        if record is not None:
            require(len(read) <= most, f"a record of {len(read)} bytes")
            wire.record(record, strict.json_value(read))
    return posted is not None


# --- progress reports --------------------------------------------------------------------------------------------


def _reports() -> list[Any]:
    cases = _fixture("progress.json")
    bodies = [case["body"] for kind in cases.values() if isinstance(kind, list) for case in kind]
    documents = []
    for body in bodies:
        try:
            documents.append(json.loads(body))
        except (ValueError, RecursionError):
            continue  # what is no JSON is what the mutations make
    return [*documents, *([_fixture("progress_epoch.json"), _fixture("progress_end.json")] * len(documents))]


def _check_report(body: bytes) -> bool:
    try:
        report = parse_report(body, NOW)
    except InvalidReport as error:
        strict.shown(str(error), 512, "the refusal")
        return False
    document = strict.json_value(body) if body.strip() else None
    status = document.get("trainerStatus") if isinstance(document, dict) else None
    if report is None:
        require(
            not body.strip() or (isinstance(document, dict) and status is None), "a report was overlooked"
        )
        return False
    wire.report(report, status, NOW)
    held = report_of(report.wire())
    require(held == Report(float(int(report.at)), *_rest(report)), f"{report} is read back as {held}")
    return True


def _rest(report: Report) -> tuple[Any, ...]:
    return report.progress, report.remaining, report.metrics


# --- what programs print -----------------------------------------------------------------------------------------


def _printed() -> list[Any]:
    numbers = [
        {"accuracy": "0.97", "loss": "1e-05", "f1": "1"},
        {"epoch": 3, "accuracy": 0.97, "val/loss": 0.1, "note": "fine"},
        {"accuracy": "0.9666666666666667", "train.loss": "-.5", "perplexity": "12.5e+3"},
    ]
    lines = [
        "epoch 1/3  loss=0.5 accuracy=0.9",
        "accuracy = 97",
        "loss: 0.3",
        "loss is 0.25 now",
        "done",
        "{}",
    ]
    return [*numbers, *([line, numbers[index % 3]] for index, line in enumerate(lines)), lines]


def _make_printed(mutator: Mutator, seed: bytes) -> tuple[str, tuple[str, ...]]:
    document, random = mutator.document(seed), mutator.random
    lines = document if isinstance(document, list) else [document] * random.randrange(1, 4)
    body = b"\n".join(_line(line, random) for line in lines)
    text = (mutator.damaged(body) if random.random() < 0.3 else body).decode(errors="replace")
    patterns = random.choice(_PATTERNS)
    if patterns and random.random() < 0.02:
        patterns = (mutator.damaged(patterns[0].encode()).decode(errors="replace")[:64],)
    return text, patterns


def _line(part: Any, random: Random) -> bytes:
    """As JSON, or as name=value pairs."""
    if isinstance(part, str):
        return part.encode(errors="replace")
    if isinstance(part, dict) and random.random() < 0.5:
        sign = random.choice(("=", " = ", ": "))
        return " ".join(f"{name}{sign}{value}" for name, value in part.items()).encode(errors="replace")
    return json.dumps(part).encode()


def _check_printed(given: tuple[str, tuple[str, ...]]) -> bool:
    text, patterns = given
    try:
        metrics = printed_metrics(text, patterns)
    except InvalidPattern:
        require(patterns not in _PATTERNS or "(" in patterns, "a right pattern was refused")
        return False
    wire.printed(metrics, text if patterns in _PATTERNS else None)
    return bool(metrics)


# --- statuses ----------------------------------------------------------------------------------------------------


def _statuses() -> list[Any]:
    wholes = []
    for case in [*_fixture("records.json"), {"record": _fixture("record_whole.json")}]:
        record = parse_record(json.dumps(case["record"]))
        if isinstance(record, FinalRecord):
            wholes.append(
                _status_with(TrainingJobStatus(result=record.result(), accuracy=record.share).wire())
            )
        elif isinstance(record, ErrorRecord):
            wholes.append(_status_with({"phase": "Failed"}))
    return [*wholes, {}, {"phase": "Queued", "queue": {"position": 3}, "attempt": 0}]


def _status_with(outcome: dict[str, Any]) -> dict[str, Any]:
    """A status that has all there is, and this outcome."""
    node = {"name": "node-a", "gpus": 1, "load": "0.2500", "forecast": "0.5", "band": "0.1", "score": "-0.1"}
    told = {
        "reason": "AllPodsRunning",
        "message": "2 of 2 pods run.",
        "lastTransitionTime": "2026-11-22T05:00:00Z",
    }
    return {
        "observedGeneration": 1,
        "phase": "Running",
        "reason": "AllPodsRunning",
        "message": "2 of 2 pods run.",
        "conditions": [
            {"type": "Accepted", "status": "True", "observedGeneration": 1, **told},
            {"type": "Running", "status": "Unknown", **told},
        ],
        "startTime": "2026-11-22T05:00:00Z",
        "completionTime": "2026-11-22T05:10:00Z",
        "attempt": 2,
        "gpus": 2,
        "restarts": {"counted": 1, "infrastructure": 0},
        "placement": {
            "policy": "predictive",
            "decidedAt": "2026-11-22T05:00:00.123456Z",
            "horizonSeconds": 300,
            "score": "-0.2",
            "nodeSummary": "node-a,node-b",
            "nodes": [
                {**node, "ranks": [0], "terms": {"load": "-0.1"}},
                {**node, "name": "node-b", "ranks": [1]},
            ],
            "rejected": [{"reason": "LoadTooHigh", "nodes": 3, "example": "node-c: 0.95 > 0.9"}],
        },
        "lastFailure": {
            "attempt": 1,
            "rank": 0,
            "node": "node-a",
            "exitCode": 137,
            "finishedAt": "2026-11-22T05:01:00.5Z",
            "reason": "OOMKilled",
            "message": "Out of memory.",
        },
        "trainerStatus": _fixture("progress_epoch.json")["trainerStatus"],
        "curves": {
            "attempt": 2,
            "configMap": "iris-curves",
            "points": 3,
            "metrics": [{"name": "loss", "latest": "0.1", "best": "0.1", "min": "0.1", "max": "0.9"}],
        },
        **outcome,
    }


def _check_status(document: Any) -> bool:
    status = parse_status({"status": document})
    said = status.wire()
    wire.status(said, document if isinstance(document, dict) else {})
    again = parse_status({"status": json.loads(json.dumps(said))}).wire()
    require(again == said, "a status changes on its way")
    state = state_of(status)
    repeated = refusal_status(state).wire()
    strict.plain(repeated, "the status told again")
    require(state_of(parse_status({"status": repeated})).phase == state.phase, "the phase changes on its way")
    return isinstance(document, dict) and len(said) >= len(document)  # all of it was understood


TARGETS = (
    Target("record", _records, Mutator.body, _check_record),
    Target("progress", _reports, Mutator.body, _check_report),
    Target("printed", _printed, _make_printed, _check_printed),
    Target("status", _statuses, Mutator.document, _check_status),
)
