"""Each check of the doctor finds the fault it is there for, and says what to do."""

import json
import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli import main
from streams.local.broker import free_port
from streams.settings import Settings
from streams.tools import doctor
from streams.tools.doctor import Check, examine


def of(name: str, checks: Iterator[Check]) -> Check:
    return next(check for check in checks if check.name == name)


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that takes connections and closes them: open, but no Kafka."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_closed_port_fails_and_names_the_way_out() -> None:
    check = of("broker", doctor.broker(Settings(bootstrap=f"127.0.0.1:{free_port()}")))
    assert check.level == "fail"
    assert "twin broker" in check.advice


def test_an_open_port_that_is_no_kafka_fails(mute_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_BROKER_LIMIT_S", 1.0)
    check = of("broker", doctor.broker(Settings(bootstrap=f"127.0.0.1:{mute_port}")))
    assert check.level == "fail"
    assert "does not answer" in check.found


def test_a_misspelt_variable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKTWIN_BOOTSRAP", "kafka:9092")
    check = next(doctor.variables())
    assert (check.level, "TAKTWIN_BOOTSRAP" in check.found) == ("warn", True)


def test_a_plant_with_a_mistake_fails_with_its_place(tmp_path: Path) -> None:
    plant = tmp_path / "plant.toml"
    plant.write_text('site = "x"\ncolour = "red"\n')
    check = next(doctor.plant_file(plant))
    assert check.level == "fail"
    assert "plant.toml:2" in check.found


def test_no_plant_is_a_warning_only() -> None:
    assert next(doctor.plant_file(None)).level == "warn"


def test_an_audit_root_is_checked_without_being_made(tmp_path: Path) -> None:
    root = tmp_path / "new" / "audit"
    assert next(doctor.audit_root(root)).level == "ok"
    assert list(tmp_path.iterdir()) == []


def test_an_audit_root_that_cannot_be_written_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    assert next(doctor.audit_root(tmp_path)).level == "fail"


def test_little_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _folder: usage(10, 9, 1))
    assert next(doctor.audit_root(tmp_path)).level == "warn"


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Check]:
        raise RuntimeError("odd")
        yield

    monkeypatch.setattr(doctor, "zones", broken)
    settings = Settings(bootstrap=f"127.0.0.1:{free_port()}")
    check = of("zones", examine(settings, None))
    assert (check.level, check.found) == ("fail", "RuntimeError: odd")


def test_json_and_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    assert main(["doctor", "--json", "--bootstrap", bootstrap, "--audit", str(tmp_path)]) == 1
    checks = json.loads(capsys.readouterr().out)
    assert {check["name"]: check["level"] for check in checks}["broker"] == "fail"
    assert all(check["advice"] for check in checks if check["level"] != "ok")
