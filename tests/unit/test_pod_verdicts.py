"""What a pod that went wrong means for its job, and which of several is the cause."""

import pytest

from loadstar.core.pods import Blame, Pod, PodPhase, Verdict, judge, missing, root_cause
from tests.builders import NOW, make_pod

FAILED = PodPhase.FAILED

CASES: dict[str, tuple[Pod, Blame, str]] = {
    "the node is lost": (make_pod(node_lost=True), Blame.INFRASTRUCTURE, "NodeLost"),
    "somebody deletes it": (make_pod(deleting=True), Blame.INFRASTRUCTURE, "Disrupted"),
    "it was evicted": (
        make_pod(phase=FAILED, disrupted=True, failure_reason="Evicted"),
        Blame.INFRASTRUCTURE,
        "Evicted",
    ),
    "it was preempted while it exited by SIGTERM": (
        make_pod(phase=FAILED, disrupted=True, exit_code=143),
        Blame.INFRASTRUCTURE,
        "Disrupted",
    ),
    "the node did not admit it": (
        make_pod(phase=FAILED, failure_reason="UnexpectedAdmissionError"),
        Blame.INFRASTRUCTURE,
        "UnexpectedAdmissionError",
    ),
    "no container ever ran": (make_pod(phase=FAILED), Blame.INFRASTRUCTURE, "PodFailed"),
    "the trainer refused the job": (
        make_pod(phase=FAILED, exit_code=65, error=("InvalidDataset", "dataset.uri: no such file")),
        Blame.JOB,
        "InvalidDataset",
    ),
    "the trainer refused the job without a word": (
        make_pod(phase=FAILED, exit_code=65),
        Blame.JOB,
        "InvalidJob",
    ),
    "it lost a peer": (make_pod(phase=FAILED, exit_code=75), Blame.INFRASTRUCTURE, "PeerLost"),
    "it lost a peer and says which": (
        make_pod(phase=FAILED, exit_code=75, error=("PeerLost", "rank 1 is gone")),
        Blame.INFRASTRUCTURE,
        "PeerLost",
    ),
    "the program failed": (make_pod(phase=FAILED, exit_code=1), Blame.PROGRAM, "Error"),
    "the program said why": (
        make_pod(phase=FAILED, exit_code=1, error=("NanLoss", "the loss is NaN")),
        Blame.PROGRAM,
        "NanLoss",
    ),
    "it ran out of memory": (
        make_pod(phase=FAILED, exit_code=137, failure_reason="OOMKilled"),
        Blame.PROGRAM,
        "OOMKilled",
    ),
    "it ended by SIGTERM and nobody says why": (
        make_pod(phase=FAILED, exit_code=143),
        Blame.PROGRAM,
        "Error",
    ),
    "its node was lost after it had failed": (
        make_pod(phase=FAILED, exit_code=1, node_lost=True),
        Blame.PROGRAM,
        "Error",
    ),
    "it is deleted after it had failed": (
        make_pod(phase=FAILED, exit_code=1, deleting=True),
        Blame.PROGRAM,
        "Error",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_verdict_when(case: str) -> None:
    pod, blame, reason = CASES[case]
    verdict = judge(pod, 1, NOW)
    assert (verdict.blame, verdict.failure.reason) == (blame, reason)
    assert (verdict.failure.rank, verdict.failure.node) == (0, "node-0")
    assert verdict.failure.message


def test_out_of_memory_says_what_to_raise() -> None:
    pod = make_pod(phase=FAILED, exit_code=137, failure_reason="OOMKilled")
    assert "raise it" in judge(pod, 1, NOW).failure.message


def test_an_exit_code_says_where_to_look() -> None:
    message = judge(make_pod(phase=FAILED, exit_code=7), 1, NOW).failure.message
    assert message == "the trainer exited with code 7; see `kubectl logs job-1-0`"


def test_an_exit_without_a_record_says_the_programs_last_words() -> None:
    pod = make_pod(phase=FAILED, exit_code=1, last_words="ValueError: no rows")
    message = judge(pod, 1, NOW).failure.message
    assert message == "the trainer exited with code 1: ValueError: no rows; see `kubectl logs job-1-0`"


def test_a_refusal_without_a_record_says_the_programs_last_words() -> None:
    pod = make_pod(phase=FAILED, exit_code=65, last_words="train.py: no such option: --fast")
    assert judge(pod, 1, NOW).failure.message == "train.py: no such option: --fast"


def test_a_failure_happened_when_its_container_ended_not_when_it_was_seen() -> None:
    pod = make_pod(phase=FAILED, exit_code=1, finished_at=NOW - 40)
    assert judge(pod, 1, NOW).failure.at == NOW - 40


def test_a_node_whose_clock_is_ahead_does_not_hold_up_the_restart() -> None:
    pod = make_pod(phase=FAILED, exit_code=1, finished_at=NOW + 3600)
    assert judge(pod, 1, NOW).failure.at == NOW


def failure(rank: int, at: float, exit_code: int = 1) -> Verdict:
    return judge(make_pod(rank, phase=FAILED, exit_code=exit_code, finished_at=at), 1, NOW)


def test_the_earliest_failure_is_the_cause() -> None:
    assert root_cause([failure(0, 20.0), failure(1, 10.0)]).failure.rank == 1


def test_a_rank_ended_by_sigterm_is_not_the_cause_though_it_ended_first() -> None:
    assert root_cause([failure(0, 10.0, 143), failure(1, 20.0)]).failure.rank == 1


def test_a_refused_job_is_the_cause_whatever_failed_before() -> None:
    assert root_cause([failure(0, 10.0), failure(1, 20.0, 65)]).failure.rank == 1


def test_of_failures_at_one_moment_the_lowest_rank_is_the_cause() -> None:
    assert root_cause([failure(1, 10.0), failure(0, 10.0)]).failure.rank == 0


def test_a_pod_gone_without_a_trace_is_the_clusters_fault() -> None:
    verdict = missing(1, "node-1", 2, NOW)
    assert verdict.blame is Blame.INFRASTRUCTURE
    assert (verdict.failure.reason, verdict.failure.attempt, verdict.failure.at) == ("PodDeleted", 2, NOW)
