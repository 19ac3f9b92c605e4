"""`twin config show`: every setting with its origin, no secret."""

import json
from pathlib import Path

import pytest

from streams.cli import main
from streams.settings import table

SECRET = "Zq7-unmistakable"  # noqa: S105  of nothing


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(SECRET)
    for name, value in {
        "TAKTWIN_SECURITY_PROTOCOL": "SASL_SSL",
        "TAKTWIN_SASL_USER": "u",
        "TAKTWIN_SASL_PASSWORD": SECRET,
        "TAKTWIN_SSL_CERT_FILE": "/run/cert.pem",
        "TAKTWIN_SSL_KEY_PASSWORD_FILE": str(secret),
        "TAKTWIN_PREFIX": "plant1",
        "TAKTWIN_SASL_PASSWRD": SECRET,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_values_origins_and_masks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json", "--health-port", "1234", "--audit", "here"]) == 0
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    shown = json.loads(said.out)
    found = {row["variable"]: (row["value"], row["origin"]) for row in shown["settings"]}
    assert list(found) == [name for name, _, _ in table()]
    assert found["TAKTWIN_SASL_PASSWORD"] == ("***", "environment")
    assert found["TAKTWIN_SSL_KEY_PASSWORD"] == ("***", "file")
    assert Path(found["TAKTWIN_SSL_KEY_PASSWORD_FILE"][0]).read_text() == SECRET
    assert found["TAKTWIN_HEALTH_PORT"] == (1234, "argument")
    assert found["TAKTWIN_AUDIT"] == ("here", "argument")
    assert found["TAKTWIN_PREFIX"] == ("plant1", "environment")
    assert found["TAKTWIN_SSL_CHECK_HOSTNAME"] == (True, "default")
    assert shown["unknown"] == ["TAKTWIN_SASL_PASSWRD"]


@pytest.mark.usefixtures("environment")
def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    lines = [line.split() for line in said.out.splitlines()]
    assert ["TAKTWIN_SASL_PASSWORD", "***", "environment"] in lines
    assert ["TAKTWIN_SSL_CHECK_HOSTNAME", "true", "default"] in lines
    assert "TAKTWIN_SASL_PASSWRD is set but means nothing" in said.err


def test_settings_that_contradict_each_other_are_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKTWIN_SASL_PASSWORD", SECRET)
    assert main(["config", "show"]) == 2
    said = capsys.readouterr().err
    assert "TAKTWIN_SASL_PASSWORD" in said
    assert SECRET not in said


def test_a_secret_whose_file_is_missing_is_not_shown_as_if_it_were_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in {
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_USER": "u",
        "SASL_PASSWORD_FILE": str(tmp_path / "no"),
    }.items():
        monkeypatch.setenv(f"TAKTWIN_{name}", value)
    assert main(["config", "show"]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if one.startswith("TAKTWIN_SASL_PASSWORD "))
    assert "cannot be read" in line
    assert "***" not in line
