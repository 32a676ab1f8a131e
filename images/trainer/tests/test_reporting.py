"""Progress and results on their way to the operator: what arrives, and that nothing of it disturbs the training."""

import json
import math
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from operators import RECORD, STATUS, TLS, Operator, operator
from pods import SOURCE, Launch, make_spec

from loadstar_trainer.endpoint import Endpoint
from loadstar_trainer.reporter import Progress, Reporter
from loadstar_trainer.script import Script

AN_HOUR = 3600.0


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Operator]:
    with operator(tmp_path) as started:
        yield started


def endpoint(of: Operator) -> Endpoint:
    found = Endpoint.read(of.environment)
    assert found
    return found


def test_the_first_report_goes_out_at_once_and_the_last_in_any_case(listening: Operator) -> None:
    reporter = Reporter(endpoint(listening), AN_HOUR)
    reporter.offer(Progress(0.0))
    listening.wait_for_one()
    for percent in range(1, 100):
        reporter.offer(Progress(percent, metrics={"loss": 1 / percent}))
    reporter.close()
    assert [status.get("progressPercentage") for status in listening.statuses()] == [0, 99]
    assert listening.statuses()[-1]["metrics"] == [{"name": "loss", "value": repr(1 / 99)}]


def test_the_end_is_100_percent_and_brings_the_record(listening: Operator) -> None:
    reporter = Reporter(endpoint(listening), AN_HOUR)
    reporter.offer(Progress(100.0))
    listening.wait_for_one()
    reporter.close(Progress(100.0), b'{"version":1}')
    reporter.close(Progress(100.0), b'{"version":2}')
    assert [status["progressPercentage"] for status in listening.statuses()] == [99, 100]
    assert listening.records() == [{"version": 1}]
    assert [path for path, _, _ in listening.posts] == [STATUS, STATUS, RECORD]


def test_a_report_has_the_protocols_shape() -> None:
    at = datetime(2026, 6, 12, 3, 0, 0, 250_000, tzinfo=UTC)
    body = Progress(45.9, 120.7, {"loss": 0.15, "accuracy": 1.0}).body(at)
    assert json.loads(body) == {
        "trainerStatus": {
            "progressPercentage": 45,
            "estimatedRemainingSeconds": 120,
            "metrics": [{"name": "loss", "value": "0.15"}, {"name": "accuracy", "value": "1.0"}],
            "lastUpdatedTime": "2026-06-12T03:00:00.250000Z",
        }
    }


def test_the_token_is_read_again_as_the_kubelet_renews_it(listening: Operator) -> None:
    reporter = Reporter(endpoint(listening), AN_HOUR)
    reporter.offer(Progress(1.0))
    listening.wait_for_one()
    (listening.folder / "token").write_text("token-2\n")
    reporter.close(Progress(2.0))
    assert [token for _, token, _ in listening.posts] == ["token-1", "token-2"]


def test_the_last_report_is_tried_again_after_an_outage(listening: Operator) -> None:
    listening.answers = [503, 500]
    Reporter(endpoint(listening)).close(Progress(100.0), b"{}")
    assert len(listening.statuses()) == 3
    assert len(listening.records()) == 1


@pytest.mark.parametrize("answer", [403, 404, 422])
def test_what_is_refused_is_not_sent_again(
    answer: int, listening: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    listening.answers = [answer, answer]
    Reporter(endpoint(listening)).close(Progress(100.0), b"{}")
    assert len(listening.posts) == 2
    [record] = caplog.records
    assert f"HTTP {answer}" in record.message


def test_a_redirect_is_not_followed(listening: Operator) -> None:
    listening.answers = [307, 307]
    Reporter(endpoint(listening)).close(patience=1.0, last=Progress(100.0))
    assert {path for path, _, _ in listening.posts} == {STATUS}


@pytest.mark.parametrize("certificate", ["other.crt", "localhost.key"])
def test_a_server_of_another_ca_is_told_nothing(
    certificate: str, listening: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    (listening.folder / "ca.crt").write_bytes((TLS / certificate).read_bytes())
    Reporter(endpoint(listening)).close(Progress(100.0), patience=1.0)
    assert listening.posts == []
    assert "progress did not reach the operator (" in caplog.text


def test_a_server_that_accepts_and_never_answers_holds_nobody_up(tmp_path: Path) -> None:
    with operator(tmp_path) as gone, socket.create_server(("localhost", 0)) as silent:
        environment = gone.environment | {
            "KUBEFLOW_TRAINER_SERVER_URL": f"https://localhost:{silent.getsockname()[1]}{STATUS}"
        }
        found = Endpoint.read(environment)
        assert found
        reporter = Reporter(found)
        for percent in range(1000):
            reporter.offer(Progress(percent))
        reporter.close(Progress(100.0), b"{}", patience=0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"KUBEFLOW_TRAINER_SERVER_URL": "http://localhost/apis/x"},
        {"KUBEFLOW_TRAINER_SERVER_URL": "https://localhost:port/"},
        {"KUBEFLOW_TRAINER_SERVER_URL": ""},
        {"KUBEFLOW_TRAINER_SERVER_TOKEN": ""},
    ],
)
def test_without_a_safe_endpoint_there_is_none(change: dict[str, str]) -> None:
    complete = {
        "KUBEFLOW_TRAINER_SERVER_URL": f"https://localhost{STATUS}",
        "KUBEFLOW_TRAINER_SERVER_CA_CERT": "/ca.crt",
        "KUBEFLOW_TRAINER_SERVER_TOKEN": "/token",
    }
    assert Endpoint.read(complete)
    assert Endpoint.read(complete | change) is None


def test_the_record_has_its_place_beside_the_progress() -> None:
    environment = {
        "KUBEFLOW_TRAINER_SERVER_URL": f"https://operator.loadstar-system.svc:8443{STATUS}",
        "KUBEFLOW_TRAINER_SERVER_CA_CERT": "/ca.crt",
        "KUBEFLOW_TRAINER_SERVER_TOKEN": "/token",
    }
    found = Endpoint.read(environment)
    assert found
    assert (found.host, found.port, found.path, found.record_path) == (
        "operator.loadstar-system.svc",
        8443,
        STATUS,
        RECORD,
    )


def script(of: Operator, **env: str) -> Script:
    job = {
        "LOADSTAR_JOB_UID": "uid-1",
        "LOADSTAR_ATTEMPT": "2",
        "LOADSTAR_TERMINATION_LOG": str(of.folder / "log"),
    }
    return Script({**of.environment, **job, **env})


def test_ones_own_program_leaves_its_metrics_in_the_record_and_at_the_endpoint(listening: Operator) -> None:
    own = script(listening, WORLD_SIZE="2", RANK="0")
    own.report(50, {"loss": 0.5}, None)
    listening.wait_for_one()
    own.finish({"accuracy": 29 / 30, "loss": 0.1})
    expected = {
        "version": 1,
        "jobUid": "uid-1",
        "attempt": 2,
        "worldSize": 2,
        "accuracy": "0.9666666666666667",
        "metrics": [{"name": "accuracy", "value": "0.9666666666666667"}, {"name": "loss", "value": "0.1"}],
    }
    assert json.loads((listening.folder / "log").read_text()) == expected
    assert listening.records() == [expected]
    assert listening.statuses()[0]["metrics"] == [{"name": "loss", "value": "0.5"}]
    assert listening.statuses()[-1]["progressPercentage"] == 100


def test_only_rank_0_speaks(listening: Operator) -> None:
    other = script(listening, RANK="1")
    other.report(50, {"loss": 0.5}, None)
    other.finish({"accuracy": 1.0})
    assert listening.posts == []
    assert not (listening.folder / "log").exists()


def test_metrics_that_are_none_are_left_out(listening: Operator, caplog: pytest.LogCaptureFixture) -> None:
    odd: dict[Any, Any] = {
        "loss": math.nan,
        "best": math.inf,
        "name": "high",
        "two words": 1,
        "": 2,
        "ok": "0.5",
    }
    script(listening).finish(odd)
    [record] = listening.records()
    assert record["metrics"] == [{"name": "ok", "value": "0.5"}]
    assert len(caplog.records) == 5


def test_more_metrics_than_a_message_holds_are_cut_from_the_end(listening: Operator) -> None:
    script(listening).finish({f"metric{number}": number / 7 for number in range(300)})
    written = (listening.folder / "log").read_bytes()
    assert len(written) <= 4096
    kept = json.loads(written)["metrics"]
    assert kept[0] == {"name": "metric0", "value": "0.0"}
    assert 50 < len(kept) < 256


def test_a_program_outside_of_a_job_does_the_same_and_tells_nobody(tmp_path: Path) -> None:
    code = "import loadstar_trainer as l; l.report(5, {'a': 1}); l.finish({'accuracy': 1}); print('on')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; assert 'torch' not in sys.modules"],
        env={"PYTHONPATH": str(SOURCE)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("on\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_ends_without_finish_still_sends_its_last_report(listening: Operator) -> None:
    code = "import loadstar_trainer as l\nfor p in range(101): l.report(progress=p, metrics={'step': p})"
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE), **listening.environment}, check=True
    )
    assert listening.statuses()[-1]["metrics"] == [{"name": "step", "value": "100.0"}]
    assert listening.statuses()[-1]["progressPercentage"] == 99
    assert len(listening.posts) <= 3


def test_a_run_reports_from_its_beginning_to_its_record(listening: Operator, launch: Launch) -> None:
    finished = launch(make_spec(epochs=12), processes=2, **listening.environment)
    assert finished.exit_code == 0
    first, *_, last = listening.statuses()
    assert first["progressPercentage"] == 0
    assert last["progressPercentage"] == 100
    assert {metric["name"]: float(metric["value"]) for metric in last["metrics"]} == finished.metrics
    [sent] = listening.records()
    curves = sent.pop("curves")
    assert sent == finished.record
    assert [value for _, _, value in curves["epoch"]] == [*range(1, 13)]
    assert [step for _, step, _ in curves["trainLoss"]] == [value for _, _, value in curves["step"]]
    assert {"validationLoss", "validationAccuracy", "learningRate"} < curves.keys()


def test_a_run_that_diverges_shows_its_course(listening: Operator, launch: Launch) -> None:
    spec = make_spec(
        {"type": "linear"}, {"builtin": "synthetic-regression"}, optimizer="sgd", learningRate=10.0, epochs=50
    )
    finished = launch(spec, 1, **listening.environment)
    assert finished.record["error"]["reason"] == "TrainingDiverged"
    [sent] = listening.records()
    assert sent.pop("curves")["trainLoss"]
    assert sent == finished.record
    assert listening.statuses()[-1].get("progressPercentage", 0) < 100


def test_a_run_whose_operator_is_gone_ends_as_any_other(tmp_path: Path, launch: Launch) -> None:
    with operator(tmp_path) as started:
        environment = started.environment
    finished = launch(make_spec(epochs=2), 1, **environment)
    assert finished.exit_code == 0
    assert "progress did not reach the operator" in finished.errors
