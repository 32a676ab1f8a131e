"""From a program's report to the resource, on a real API server with real tokens."""

import json
from datetime import timedelta

import pytest

from tests.cluster.operator_process import OPERATOR_NAMESPACE
from tests.integration.reporting import RunningJob, Site, earlier
from tests.waiting import until

pytestmark = pytest.mark.controlplane


def _progress(job: RunningJob) -> int:
    return int(job.status.get("trainerStatus", {}).get("progressPercentage", -1))


def _points(job: RunningJob) -> list[list[float]]:
    kept = job.curves()
    return json.loads(kept["data"]["curves.json"])["metrics"]["loss"] if kept else []


def test_a_report_is_echoed_and_stands_in_the_status(job: RunningJob) -> None:
    moment = earlier(1)
    answer = job.report(
        at=moment,
        progressPercentage=45,
        estimatedRemainingSeconds=120,
        metrics={"loss": 0.15, "accuracy": 0.92},
    )
    expected = {
        "progressPercentage": 45,
        "estimatedRemainingSeconds": 120,
        "metrics": [{"name": "loss", "value": "0.15"}, {"name": "accuracy", "value": "0.92"}],
        "lastUpdatedTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    assert (answer.code, answer.body) == (200, {"trainerStatus": expected})
    until(lambda: job.status.get("trainerStatus") == expected, "the report in the status")
    assert job.status["curves"]["metrics"][0] == {
        "name": "loss",
        "latest": "0.15",
        "best": "0.15",
        "min": "0.15",
        "max": "0.15",
    }


def test_of_many_reports_the_last_is_never_lost(job: RunningJob) -> None:
    token = job.token()
    codes = {job.report(token, progressPercentage=percent).code for percent in range(1, 9)}
    assert codes == {200}
    until(lambda: _progress(job) == 8, "the last report in the status")


def test_an_older_report_does_not_overwrite_a_newer_one(job: RunningJob) -> None:
    token = job.token()
    newest = earlier(1)
    job.report(token, at=newest, progressPercentage=50)
    answer = job.report(token, at=earlier(60), progressPercentage=10)
    assert (answer.code, answer.body["trainerStatus"]["progressPercentage"]) == (200, 50)
    job.report(token, at=newest, progressPercentage=51)
    until(lambda: _progress(job) == 51, "the newest report in the status")


def test_a_new_attempt_begins_without_the_progress_of_the_one_before(job: RunningJob) -> None:
    job.report(progressPercentage=90, metrics={"loss": "0.1"})
    until(lambda: _progress(job) == 90, "the report in the status")
    job.end(exit_code=1)
    until(lambda: job.status.get("attempt") == 2, "the second attempt")
    until(lambda: not {"trainerStatus", "curves"} & set(job.status), "old progress taken away")
    job.wait_running(2)
    answer = job.report(job.token(attempt=2), at=earlier(300), progressPercentage=3)
    assert answer.code == 200
    until(lambda: _progress(job) == 3, "the second attempt's report")
    assert job.status["curves"]["attempt"] == 2


def test_at_the_end_the_course_is_kept_beside_the_job(job: RunningJob) -> None:
    token = job.token()
    for second in range(4):
        job.report(token, at=earlier(10 - second), metrics={"loss": 1 / (second + 1), "step": second})
    job.report(token, at=earlier(1), progressPercentage=100, metrics={"loss": 0.125, "step": 4})
    record = {"version": 1, "jobUid": job.job["metadata"]["uid"], "attempt": 1}
    job.end(
        exit_code=65, message=json.dumps(record | {"error": {"reason": "Tested", "message": "It is over."}})
    )
    until(
        lambda: job.status.get("curves", {}).get("configMap") == f"{job.name}-curves", "the ConfigMap's name"
    )
    kept = job.curves()
    assert kept is not None
    assert kept["metadata"]["ownerReferences"][0]["uid"] == job.job["metadata"]["uid"]
    points = json.loads(kept["data"]["curves.json"])
    assert (points["version"], points["attempt"]) == (1, 1)
    assert [point[1:] for point in points["metrics"]["loss"]] == [
        [0.0, 1.0],
        [1.0, 0.5],
        [2.0, 1 / 3],
        [3.0, 0.25],
        [4.0, 0.125],
    ]
    assert _progress(job) == 100


def test_a_run_shorter_than_the_pauses_between_writes_leaves_its_whole_course(job: RunningJob) -> None:
    token, began = job.token(), earlier(2)
    job.report(
        token,
        at=began + timedelta(seconds=0.1),
        progressPercentage=10,
        metrics={"trainLoss": 1.0, "step": 4},
    )
    until(lambda: _progress(job) == 10, "the first report in the status")
    job.report(token, at=earlier(1), progressPercentage=100, metrics={"accuracy": 1.0})
    course = {
        "trainLoss": [
            [round(began.timestamp() + epoch / 16, 3), 4 * epoch, 1 / epoch] for epoch in range(1, 11)
        ]
    }
    body = json.dumps(_record(job) | {"curves": course})
    assert job.site.post(job.record_path, body, token, job.ca).code == 200
    until(lambda: "configMap" in job.status["curves"], "the ConfigMap's name")
    kept, status = job.curves(), job.status
    assert kept is not None
    assert json.loads(kept["data"]["curves.json"])["metrics"]["trainLoss"] == course["trainLoss"]
    assert (status["trainerStatus"]["progressPercentage"], status["curves"]["points"]) == (100, 10)
    told = {metric.pop("name"): metric for metric in status["curves"]["metrics"]}
    assert told["trainLoss"] == {"latest": "0.1", "min": "0.1", "max": "1.0"}


def test_a_course_that_is_wrong_costs_no_record(job: RunningJob) -> None:
    body = json.dumps(_record(job) | {"curves": {"trainLoss": [[1.0, 2]]}})
    assert job.site.post(job.record_path, body, job.token(), job.ca).code == 200
    assert job.curves() is None


def _record(job: RunningJob) -> dict[str, object]:
    metrics = [{"name": "accuracy", "value": "1.0"}]
    uid = job.job["metadata"]["uid"]
    return {"version": 1, "jobUid": uid, "attempt": 1, "worldSize": 1, "metrics": metrics}


def test_an_empty_body_is_no_report_and_no_error(job: RunningJob) -> None:
    answer = job.site.post(job.url_path, b"", job.token(), job.ca)
    assert (answer.code, answer.body) == (200, {})
    assert "trainerStatus" not in job.status


def test_reports_disturb_neither_the_job_nor_its_status(job: RunningJob) -> None:
    token = job.token()
    for percent in range(3):
        job.report(token, progressPercentage=percent)
    until(lambda: _progress(job) == 2, "the report in the status")
    owners = {
        entry["manager"]: set(entry["fieldsV1"]["f:status"])
        for entry in job.job["metadata"]["managedFields"]
        if entry.get("subresource") == "status"
    }
    assert owners["loadstar-progress"] == {"f:trainerStatus", "f:curves"}
    assert not {"f:trainerStatus", "f:curves"} & owners["loadstar"]
    assert (job.status["phase"], job.status["attempt"]) == ("Running", 1)


def test_a_restarted_operator_is_trusted_by_running_pods_and_goes_on(site: Site) -> None:
    job = RunningJob(site, "jobs").start()
    token = job.token()
    job.report(token, progressPercentage=40, metrics={"loss": 2})
    until(lambda: _progress(job) == 40, "the report in the status")
    until(lambda: "configMap" in job.status["curves"], "its points are kept")
    site.operator.kill()
    site.operator.start()
    late = job.report(token, at=earlier(600), progressPercentage=1)
    assert late.body["trainerStatus"]["progressPercentage"] == 40
    assert job.report(token, progressPercentage=41, metrics={"loss": 3}).code == 200
    until(lambda: _progress(job) == 41, "the next report in the status")
    assert job.status["curves"]["metrics"][0]["min"] == "2"
    before = job.curves()
    assert before is not None
    first, *_ = json.loads(before["data"]["curves.json"])["metrics"]["loss"]
    job.end(exit_code=65)
    until(lambda: len(_points(job)) == 2, "the points of both")
    assert _points(job)[0] == first
    site.cluster.api.delete(job.path)


def test_the_certificates_are_in_the_secret_that_is_named(site: Site) -> None:
    secret = site.cluster.api.get(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/loadstar-progress-tls")
    assert set(secret["data"]) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
