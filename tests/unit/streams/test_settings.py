"""The door to the environment."""

from pathlib import Path

import pytest

from streams.settings import (
    Secret,
    Settings,
    SettingsError,
    cache_folder,
    java_candidates,
    origins,
    process_environment,
    table,
    unknown_variables,
    variable,
)

SASL = {"TAKTWIN_SECURITY_PROTOCOL": "SASL_SSL", "TAKTWIN_SASL_USER": "u"}
TLS = {"TAKTWIN_SECURITY_PROTOCOL": "SSL"}


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
        ({"TAKTWIN_AUDIT": "gs://bucket"}, "TAKTWIN_AUDIT"),
        ({"TAKTWIN_HEALTH_HOST": " "}, "TAKTWIN_HEALTH_HOST"),
        ({"TAKTWIN_SECURITY_PROTOCOL": "TLS"}, "TAKTWIN_SECURITY_PROTOCOL.*one of PLAINTEXT, SSL"),
        ({"TAKTWIN_SASL_MECHANISM": "SCRAM"}, "TAKTWIN_SASL_MECHANISM.*SCRAM-SHA-256"),
        (SASL, "TAKTWIN_SASL_PASSWORD_FILE"),
        (SASL | {"TAKTWIN_SASL_USER": "", "TAKTWIN_SASL_PASSWORD": "p"}, "TAKTWIN_SASL_USER.*a user name"),
        (SASL | {"TAKTWIN_SASL_PASSWORD": "p", "TAKTWIN_SASL_PASSWORD_FILE": "f"}, "both set; unset one"),
        # What has no effect is refused: somebody believes that it protects him.
        ({"TAKTWIN_SASL_USER": "u"}, "TAKTWIN_SASL_USER.*unset, because TAKTWIN_SECURITY_PROTOCOL is PLAINTEXT"),
        ({"TAKTWIN_SSL_CA_FILE": "f"}, "TAKTWIN_SSL_CA_FILE.*unset"),
        ({"TAKTWIN_SSL_CHECK_HOSTNAME": "false"}, "TAKTWIN_SSL_CHECK_HOSTNAME.*unset"),
        (TLS | {"TAKTWIN_SSL_KEY_FILE": "f"}, "TAKTWIN_SSL_KEY_FILE.*TAKTWIN_SSL_CERT_FILE"),
        (TLS | {"TAKTWIN_SSL_CHECK_HOSTNAME": "no"}, "TAKTWIN_SSL_CHECK_HOSTNAME: 'no' is not true or false"),
        (TLS | {"TAKTWIN_SSL_CHECK_HOSTNAME": ""}, "TAKTWIN_SSL_CHECK_HOSTNAME: '' is not true or false"),
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


def test_the_host_name_is_checked_unless_it_is_said_in_so_many_words() -> None:
    assert Settings.from_env(TLS).ssl_check_hostname is True
    assert Settings.from_env(TLS | {"TAKTWIN_SSL_CHECK_HOSTNAME": "False"}).ssl_check_hostname is False
    assert Settings.from_env(TLS | {"TAKTWIN_SSL_CHECK_HOSTNAME": "1"}).ssl_check_hostname is True


def test_a_secret_is_never_shown() -> None:
    settings = Settings.from_env(SASL | {"TAKTWIN_SASL_PASSWORD": "geheim "})
    shown = [repr(settings), str(settings), f"{settings.sasl_password}", "%s %r" % ((settings.sasl_password,) * 2)]
    assert not any("geheim" in text for text in shown)
    assert "sasl_password='***'" in shown[0]
    assert settings.secret("sasl_password") == "geheim "  # a blank belongs to it
    assert settings.sasl_password == Secret("geheim ") != Secret()
    with pytest.raises(TypeError) as plain:
        Settings(sasl_password="geheim")  # type: ignore[arg-type]  # noqa: S106  the mistake that is meant
    with pytest.raises(SettingsError) as unused:
        Settings(sasl_password=Secret("geheim"))
    assert "geheim" not in str(plain.value) + str(unused.value)


def test_a_secret_from_a_file_stays_in_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("ge heim \r\n")
    settings = Settings.from_env(SASL | {"TAKTWIN_SASL_PASSWORD_FILE": str(file)})
    assert settings.secret("sasl_password") == "ge heim "
    assert "ge heim" not in repr(settings) + str(process_environment(settings).values())
    file.write_text("changed")
    assert settings.secret("sasl_password") == "changed"
    for damage in (b"", b"\n", b"\xff\xfe"):
        file.write_bytes(damage)
        with pytest.raises(SettingsError, match=r"TAKTWIN_SASL_PASSWORD_FILE: .*password (is empty|cannot be read)"):
            settings.secret("sasl_password")
    file.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.secret("sasl_password")


def test_a_process_of_ours_gets_the_same_settings() -> None:
    settings = Settings.from_env(SASL | {"TAKTWIN_SASL_PASSWORD": "p", "TAKTWIN_SSL_CHECK_HOSTNAME": "0"})
    assert Settings.from_env(process_environment(settings)) == settings


def test_where_a_setting_comes_from() -> None:
    found = origins(
        {"TAKTWIN_PREFIX": "p", "TAKTWIN_SASL_PASSWORD_FILE": "f", "TAKTWIN_AUDIT": "a"}, audit="b", plant=None
    )
    assert {name: found[name] for name in ("prefix", "audit", "plant", "sasl_password", "ssl_key_password")} == {
        "prefix": "environment",
        "audit": "argument",
        "plant": "default",
        "sasl_password": "file",
        "ssl_key_password": "default",
    }
    assert [variable(name) for name in found] == [name for name, _, _ in table()]


@pytest.mark.parametrize("name", ["prefix", "group", "instance"])
@pytest.mark.parametrize("value", ["../other", "a/b", "..", ".", "a b", "a\nb", "a" * 201, "ü"])
def test_what_becomes_part_of_a_path_is_checked(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"TAKTWIN_{name.upper()}: .* must be letters, digits, dot"):
        Settings.from_env({}, **{name: value})


def test_group_and_instance_may_be_left_out() -> None:
    settings = Settings.from_env({"TAKTWIN_GROUP": "", "TAKTWIN_INSTANCE": "worker-0.plant_1"})
    assert (settings.group_id, settings.instance) == ("twin", "worker-0.plant_1")


def test_a_join_is_answered_within_a_request() -> None:
    """Given up before, each would begin it anew for all others."""
    with pytest.raises(SettingsError, match=r"TAKTWIN_REBALANCE_TIMEOUT_S: 30\.0 must be below the request timeout"):
        Settings.from_env({"TAKTWIN_REBALANCE_TIMEOUT_S": "30"})
    assert Settings.from_env({"TAKTWIN_REBALANCE_TIMEOUT_S": "29"}).rebalance_timeout_s == 29


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", ["request_timeout_s", "view_interval_s", "session_timeout_s", "storage_limit_s"])
def test_no_setting_is_a_number_that_is_none(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"TAKTWIN_{name.upper()}"):
        Settings.from_env({f"TAKTWIN_{name.upper()}": value})


def test_results_are_compressed_as_said() -> None:
    assert Settings.from_env({}).results_compression == "none"
    with pytest.raises(SettingsError, match="one of none, gzip"):
        Settings.from_env({"TAKTWIN_RESULTS_COMPRESSION": "rar"})
