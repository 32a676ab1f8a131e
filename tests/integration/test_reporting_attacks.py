"""What the progress endpoint refuses, on a real HTTPS socket, with real tokens and a real API server."""

import base64
import json
import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.integration.reporting import Answer, RunningJob, Site, bound_token, earlier, report_body
from tests.waiting import until

pytestmark = pytest.mark.controlplane

_HONEST = "127.0.0.2"
"""Loopback address of an honest client while 127.0.0.1 attacks."""


def _refused(answer: Answer, code: int, words: str) -> None:
    """The answer is a metav1.Status that says why."""
    assert (answer.code, answer.body["kind"], answer.body["code"]) == (code, "Status", code), answer.body
    assert (answer.body["apiVersion"], answer.body["status"]) == ("v1", "Failure")
    assert words in answer.body["message"]


def _untouched(job: RunningJob) -> bool:
    """An honest report goes through, and the status has nothing but it."""
    job.report(progressPercentage=7)
    until(lambda: "trainerStatus" in job.status, "the honest report")
    return bool(job.status["trainerStatus"]["progressPercentage"] == 7)


# --- whose token -----------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_told(job: RunningJob) -> None:
    _refused(job.site.post(job.url_path, report_body(earlier(1)), ca=job.ca), 401, "Authorization: Bearer")


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30", "\x00.\x00.\x00", "A" * 8000])
def test_a_token_that_is_none_is_refused(job: RunningJob, token: str) -> None:
    if "\x00" in token:
        token = base64.b64encode(token.encode()).decode()
    _refused(job.report(token), 401, "service account token is needed")


def test_a_token_with_a_forged_signature_is_refused(job: RunningJob) -> None:
    head, claims, signature = job.token().split(".")
    forged = ".".join((head, claims, signature[::-1]))
    _refused(job.report(forged, progressPercentage=99), 401, "does not accept")
    assert _untouched(job)


def test_a_token_that_has_expired_is_refused(job: RunningJob) -> None:
    expired = _resigned(job, job.token(), exp=int(time.time()) - 1)
    _refused(job.report(expired), 401, "expired")


def test_a_token_signed_as_the_api_server_does_is_good_for_these_tests(job: RunningJob) -> None:
    later = _resigned(job, job.token(), exp=int(time.time()) + 600)
    assert job.report(later).code == 200


def test_a_token_for_another_audience_is_refused(job: RunningJob) -> None:
    for audience in ("https://kubernetes.default.svc.cluster.local", job.audience.replace("/status", "")):
        _refused(job.report(job.token(audience=audience)), 403, "not for")
    assert _untouched(job)


def test_a_token_of_another_job_is_refused(site: Site, job: RunningJob) -> None:
    other = RunningJob(site, "jobs").start()
    _refused(job.report(other.token()), 403, "not for")
    _refused(job.report(other.token(audience=job.audience), progressPercentage=99), 403, "does not belong")
    assert _untouched(job)
    site.cluster.api.delete(other.path)


def test_a_token_of_any_other_pod_of_the_namespace_is_refused(site: Site, job: RunningJob) -> None:
    path = "/api/v1/namespaces/jobs/pods"
    owner = job.pod()["metadata"]["ownerReferences"][0]
    labels = job.pod()["metadata"]["labels"]
    container = {"name": "trainer", "image": "none"}
    for name, metadata in {
        "plain": {},
        "labelled": {"labels": labels},
        "of-an-owner-that-does-not-control": {
            "labels": labels,
            "ownerReferences": [{**owner, "controller": False}],
        },
    }.items():
        pod = {"metadata": {"name": name, **metadata}, "spec": {"containers": [container]}}
        made = site.cluster.api.post(path, pod)
        token = bound_token(site.cluster, made, job.audience)
        _refused(job.report(token, progressPercentage=99), 403, "not bound to a pod of this TrainingJob")
        site.cluster.api.delete(f"{path}/{name}")
    assert _untouched(job)


def test_a_token_that_is_bound_to_no_pod_is_refused(site: Site, job: RunningJob) -> None:
    token = bound_token(site.cluster, None, job.audience, "jobs")
    _refused(job.report(token), 403, "not bound to a pod")


def test_a_token_of_another_rank_is_refused(gang: RunningJob) -> None:
    _refused(gang.report(gang.token(rank=1), progressPercentage=99), 403, "only rank 0 reports")
    assert _untouched(gang)


def test_a_token_of_an_attempt_that_is_over_is_refused(job: RunningJob) -> None:
    first = job.token()
    assert job.report(first).code == 200
    job.end(exit_code=1)
    job.wait_running(2)
    _refused(job.report(first, progressPercentage=99), 403, "attempt")
    assert job.report(job.token(attempt=2), progressPercentage=7).code == 200
    until(
        lambda: job.status.get("trainerStatus", {}).get("progressPercentage") == 7,
        "the second attempt's report",
    )


def test_a_token_of_a_pod_that_was_deleted_is_refused(job: RunningJob) -> None:
    token = job.token()
    name = job.pod()["metadata"]["name"]
    job.site.cluster.api.delete(f"/api/v1/namespaces/jobs/pods/{name}")
    # 403 from what the operator has seen of the pod, 401 where the API server, asked first, knew already.
    until(lambda: job.report(token).code in {401, 403}, "the token is refused")
    answer = job.report(token)
    _refused(answer, answer.code, "does not accept" if answer.code == 401 else "")
    assert answer.code in {401, 403}


def test_a_job_that_is_gone_is_not_found(site: Site) -> None:
    job = RunningJob(site, "jobs").start()
    pod, token = job.pod(), job.token()
    site.cluster.api.merge(_path(pod), {"metadata": {"finalizers": ["tests.loadstar.dev/stay"]}})
    site.cluster.api.delete(job.path)
    until(lambda: job.site.post(job.url_path, report_body(earlier(1)), token).code == 404, "the answer 404")
    site.cluster.api.merge(_path(pod), {"metadata": {"finalizers": None}})


# --- what is reported ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"metrics": {"loss": "NaN"}}, "metrics[0].value"),
        ({"metrics": {"loss": "inf"}}, "metrics[0].value"),
        ({"metrics": {"loss": "1e999"}}, "beyond the range"),
        ({"metrics": {"loss": "good"}}, "metrics[0].value"),
        ({"metrics": {"m" * 65: "1"}}, "metrics[0].name"),
        ({"metrics": {f"m{number}": "1" for number in range(257)}}, "257 entries"),
        ({"progressPercentage": 101}, "progressPercentage"),
        ({"lastUpdatedTime": "yesterday"}, "lastUpdatedTime"),
        ({"lastUpdatedTime": "9999-12-31T23:59:59Z"}, "ahead"),
    ],
)
def test_what_no_status_can_hold_is_refused_with_the_reason(
    job: RunningJob, status: dict[str, Any], words: str
) -> None:
    _refused(job.report(**status), 422, words)
    assert _untouched(job)


def test_256_metrics_of_the_longest_names_are_taken(job: RunningJob) -> None:
    metrics = {f"{number:03}".rjust(64, "m"): "0.1234567890123456" for number in range(256)}
    assert job.report(metrics=metrics).code == 200
    until(lambda: len(job.status.get("trainerStatus", {}).get("metrics", ())) == 256, "all metrics")
    assert len(job.status["curves"]["metrics"]) == 256


def test_a_body_beyond_64_kib_is_refused_whether_its_size_is_told_or_not(job: RunningJob) -> None:
    token = job.token()
    largest = report_body(datetime.now(UTC)).encode().ljust(64 * 1024)
    assert job.site.post(job.url_path, largest, token, job.ca).code == 200
    _refused(job.site.post(job.url_path, largest + b" ", token, job.ca), 413, "65536")
    _refused(_chunked(job, token, largest + b" "), 413, "65536")


def test_other_paths_are_not_found_and_other_methods_not_allowed(job: RunningJob) -> None:
    for path in ("/", "/metrics", f"{job.url_path}/more", job.path, job.url_path.replace("trainjobs", "x")):
        _refused(job.site.post(path, b"{}", job.token(), job.ca), 404, "")
    _refused(job.site.post(job.url_path, b"", job.token(), job.ca, method="GET"), 405, "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jobUid": "another"}, "must be of the job"),
        ({"attempt": 2}, "must be of the job"),
        ({"version": 2}, "version 1"),
    ],
)
def test_a_record_of_something_else_is_refused(job: RunningJob, change: dict[str, Any], words: str) -> None:
    record = {"version": 1, "jobUid": job.job["metadata"]["uid"], "attempt": 1, **change}
    body = json.dumps(record | {"error": {"reason": "Tested", "message": "It is over."}})
    _refused(job.site.post(job.record_path, body, job.token(), job.ca), 422, words)


def test_a_record_of_this_attempt_is_taken(job: RunningJob) -> None:
    record = {"version": 1, "jobUid": job.job["metadata"]["uid"], "attempt": 1}
    body = json.dumps(record | {"error": {"reason": "Tested", "message": "It is over."}})
    assert job.site.post(job.record_path, body, job.token(), job.ca).code == 200


# --- how much --------------------------------------------------------------------------------------------------


def test_a_flood_with_one_token_is_slowed_down_and_nobody_else(site: Site, job: RunningJob) -> None:
    token = job.token()
    answers = [job.report(token, progressPercentage=1) for _ in range(60)]
    slowed = [answer for answer in answers if answer.code == 429]
    assert slowed
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in slowed)
    other = RunningJob(site, "jobs").start()
    assert other.report(progressPercentage=2).code == 200
    site.cluster.api.delete(other.path)


def test_connections_that_send_nothing_or_little_hold_nobody_up_and_are_ended(
    site: Site, job: RunningJob
) -> None:
    token = job.token()
    silent = [_connect(site) for _ in range(60)]
    slow = [_handshake(_connect(site)) for _ in range(40)]
    for connection in slow:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    try:
        answer = site.post(
            job.url_path, report_body(earlier(1), progressPercentage=5), token, job.ca, source=_HONEST
        )
        assert answer.code == 200
        launched = RunningJob(site, "jobs").start()
        site.cluster.api.delete(launched.path)
        assert all(_ends(connection) for connection in silent + slow)
    finally:
        for connection in silent + slow:
            connection.close()


def test_a_peer_gets_no_more_connections_than_its_share(site: Site, job: RunningJob) -> None:
    open_ones = [_connect(site) for _ in range(400)]
    try:
        turned_away = sum(_ends(connection) for connection in open_ones[::-1][:200])
        assert turned_away == 200, (
            "beyond the share connections end at once, or at the latest after their time"
        )
        answer = site.post(job.url_path, report_body(earlier(1)), job.token(), job.ca, source=_HONEST)
        assert answer.code == 200
    finally:
        for connection in open_ones:
            connection.close()
    assert site.metric("loadstar_progress_connections_refused_total") > 0


def test_forged_tokens_cost_a_bounded_number_of_questions_to_the_api_server(
    site: Site, job: RunningJob
) -> None:
    before = site.metric('loadstar_progress_token_reviews_total{result="refused"}')
    head, claims, _ = job.token().split(".")
    for number in range(20):
        rubbish = base64.urlsafe_b64encode(f"signature {number}".encode()).decode().rstrip("=")
        assert job.report(f"{head}.{base64.urlsafe_b64encode(b'{}').decode()}.{rubbish}").code == 401
    same = f"{head}.{claims}.c2lnbmF0dXJl"
    assert {job.report(same).code for _ in range(10)} <= {401, 429}
    assert site.metric('loadstar_progress_token_reviews_total{result="refused"}') - before == 1


def test_the_operators_log_holds_no_token_and_no_failure(site: Site, job: RunningJob) -> None:
    token = job.token()
    job.report(token)
    job.report(token + "x")
    log = site.operator.log.read_text()
    assert token not in log
    assert "Traceback" not in log


# --- doing these things ----------------------------------------------------------------------------------------


def _path(pod: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _resigned(job: RunningJob, token: str, **changes: Any) -> str:
    """A token with other claims, signed with the cluster's own key."""
    folder: Path = job.site.cluster.folder
    key = serialization.load_pem_private_key((folder / "service-accounts.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    head, claims, _ = token.split(".")
    body = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))) | changes
    signed = f"{head}.{_encoded(json.dumps(body).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _connect(site: Site) -> socket.socket:
    return socket.create_connection(
        (site.cluster.address, site.port), timeout=60, source_address=("127.0.0.1", 0)
    )


def _handshake(connection: socket.socket) -> socket.socket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _ends(connection: socket.socket) -> bool:
    """Whether the server ends the connection; waits for that."""
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:  # cut
        return True
    return True


def _chunked(job: RunningJob, token: str, body: bytes) -> Answer:
    """A request whose body's size is not told beforehand."""
    connection = _handshake(_connect(job.site))
    with connection:
        head = f"POST {job.url_path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode())
        connection.sendall(body + b"\r\n0\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    headers, _, content = answer.partition(b"\r\n\r\n")
    return Answer(int(headers.split()[1]), json.loads(content), {})
