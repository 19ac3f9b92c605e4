"""The door to the environment."""

from pathlib import Path

import pytest

from streams.settings import Settings, SettingsError, cache_folder, java_candidates, table, unknown_variables


def test_environment_then_overrides() -> None:
    env = {"TAKTWIN_PREFIX": "plant1", "TAKTWIN_PARTITIONS": "8", "TAKTWIN_CHECKPOINT_INTERVAL_S": "2.5"}
    settings = Settings.from_env(env, partitions=2, audit=None)
    assert (settings.prefix, settings.partitions, settings.checkpoint_interval_s) == ("plant1", 2, 2.5)
    assert settings.audit == "audit"
    assert settings.group_id == "plant1"
    assert settings.topic("events") == "plant1.events"
    assert settings.state_folder == Path("audit/_state")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"TAKTWIN_PARTITIONS": "four"}, r"TAKTWIN_PARTITIONS: 'four' is not a int"),
        ({"TAKTWIN_PARTITIONS": "0"}, r"TAKTWIN_PARTITIONS: 0 must be at least 1"),
        ({"TAKTWIN_BOOTSTRAP": "kafka"}, r"TAKTWIN_BOOTSTRAP: 'kafka' must be host:port"),
        ({"TAKTWIN_PREFIX": "a b"}, "TAKTWIN_PREFIX"),
        ({"TAKTWIN_SESSION_TIMEOUT_S": "60"}, "TAKTWIN_SESSION_TIMEOUT_S.*request timeout"),
        ({"TAKTWIN_HEARTBEAT_INTERVAL_S": "5"}, "TAKTWIN_HEARTBEAT_INTERVAL_S.*third"),
        ({"TAKTWIN_STOP_LIMIT_S": "nan"}, "TAKTWIN_STOP_LIMIT_S"),
        ({"TAKTWIN_AUDIT": "s3://bucket"}, "TAKTWIN_STATE"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_expected(env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_env(env)


def test_misspelt_variables_are_found() -> None:
    env = {"TAKTWIN_PREFX": "x", "TAKTWIN_PREFIX": "x", "TAKTWIN_CACHE": "/c", "HOME": "/h"}
    assert unknown_variables(env) == ["TAKTWIN_PREFX"]


def test_cache_folder_and_java() -> None:
    assert cache_folder({"TAKTWIN_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/taktwin")
    assert cache_folder({}) == Path.home() / ".cache/taktwin"
    assert java_candidates({"TAKTWIN_JAVA": "/j", "JAVA_HOME": "/h"}) == [Path("/j"), Path("/h/bin/java")]


def test_every_setting_is_documented() -> None:
    rows = table()
    assert all(doc for _, _, doc in rows)
    assert {"TAKTWIN_BOOTSTRAP", "TAKTWIN_HEALTH_PORT"} <= {name for name, _, _ in rows}
