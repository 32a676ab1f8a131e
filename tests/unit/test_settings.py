from typing import Any

import pytest
from pydantic import ValidationError

from loadstar.core.load import Signal
from loadstar.settings import LogFormat, Settings, SettingsError


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.read({})
    assert settings.prometheus_url == ""
    assert settings.fresh_seconds == 90
    assert settings.stale_seconds == 300
    assert settings.weights == {
        Signal.GPU: 0.5,
        Signal.GPU_MEMORY: 0.2,
        Signal.CPU: 0.2,
        Signal.MEMORY: 0.1,
    }


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_variable_sets_its_field() -> None:
    settings = Settings.read({"LOADSTAR_PIN_TIMEOUT_SECONDS": "20", "LOADSTAR_LOG_FORMAT": "json"})
    assert (settings.pin_timeout_seconds, settings.log_format) == (20.0, LogFormat.JSON)


def test_a_flag_wins_over_its_variable() -> None:
    settings = Settings.read({"LOADSTAR_SERVING_PORT": "9000"}, {"serving_port": 9001, "log_level": None})
    assert settings.serving_port == 9001


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.read({"LOADSTAR_SERVING_PORT": ""}).serving_port == 8080


def test_namespaces_are_separated_by_commas() -> None:
    assert Settings.read({"LOADSTAR_WATCH_NAMESPACES": "team-a, team-b,"}).watch_namespaces == (
        "team-a",
        "team-b",
    )


def test_kubectls_variable_is_used_where_ours_is_not_set() -> None:
    assert Settings.read({"KUBECONFIG": "/a"}).kubeconfig == "/a"
    assert Settings.read({"KUBECONFIG": "/a", "LOADSTAR_KUBECONFIG": "/b"}).kubeconfig == "/b"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.read({}).serving_port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("LOADSTAR_SERVING_PORT", "70000", "a whole number, at least 1 and at most 65535 (default 8080)"),
        ("LOADSTAR_API_CONCURRENCY", "1.5", "a whole number, at least 1 and at most 128 (default 32)"),
        ("LOADSTAR_GPU_WEIGHT", "half", "a number, at least 0 and at most 1 (default 0.5)"),
        ("LOADSTAR_RESYNC_SECONDS", "nan", "a number, greater than 0 and at most 86400 (default 45)"),
        ("LOADSTAR_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("LOADSTAR_PROMETHEUS_URL", "prometheus:9090", "must begin with http:// or https://"),
    ],
)
def test_a_bad_value_is_refused_by_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read({variable: value})
    assert f"{variable}={value!r}" in str(refusal.value)
    assert allowed in str(refusal.value)


def test_a_bad_flag_is_refused_by_its_own_name() -> None:
    with pytest.raises(SettingsError, match="--serving-port 0 is not accepted"):
        Settings.read({}, {"serving_port": 0})


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read({"LOADSTAR_SERVING_PORT": "x", "LOADSTAR_HOT_THRESHOLD": "2"})
    assert len(str(refusal.value).splitlines()) == 2


def test_a_misspelt_variable_is_refused_with_what_was_meant() -> None:
    with pytest.raises(SettingsError, match="did you mean LOADSTAR_PIN_TIMEOUT_SECONDS"):
        Settings.read({"LOADSTAR_PIN_TIMEOUT_SECOND": "3"})


@pytest.mark.parametrize(
    "name",
    ["LOADSTAR_SERVICE_HOST", "LOADSTAR_SERVICE_PORT", "LOADSTAR_PORT_8080_TCP_ADDR", "LOADSTAR_CACHE"],
)
def test_variables_that_kubelet_makes_of_a_service_and_others_are_let_be(name: str) -> None:
    assert Settings.read({name: "tcp://10.0.0.1:8080"}) == Settings()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"lease_renew_seconds": 20}, "LOADSTAR_LEASE_RENEW_SECONDS"),
        ({"lease_retry_seconds": 9}, "LOADSTAR_LEASE_RETRY_SECONDS"),
        ({"stale_seconds": 60}, "LOADSTAR_STALE_SECONDS=60"),
        (
            {"gpu_weight": 0, "gpu_memory_weight": 0, "cpu_weight": 0, "memory_weight": 0},
            "LOADSTAR_GPU_WEIGHT",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.read({}, given)
