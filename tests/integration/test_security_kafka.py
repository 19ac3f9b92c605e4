"""TLS and SASL to a real Kafka, by every client, and what is said where it lets nobody in."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from aiokafka.errors import KafkaConnectionError

from streams import exits
from streams.cli import main
from streams.kafka.access import AccessError, check_access
from streams.kafka.topics import ensure
from streams.local.broker import LocalBroker, free_port
from streams.settings import Secret, Settings, process_environment
from streams.tools.watch import watching
from tests.support.secure_listener import BrokerSecurity
from tests.support.streams import LINES, Worker, check, event, own_settings, produce, workers
from tests.support.tls import PASSWORD, USER, Authority, secured

pytestmark = pytest.mark.kafka


@dataclass
class Secured:
    """A broker whose second listener speaks SASL_SSL with a certificate for 127.0.0.1."""

    broker: LocalBroker
    authority: Authority
    folder: Path


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    security = BrokerSecurity(
        protocol="SASL_SSL", port=free_port(), users={USER: PASSWORD}, keystore=authority.keystore("127.0.0.1")
    )
    with LocalBroker(folder / "kafka", security=security) as broker:
        yield Secured(broker, authority, folder)


@pytest.fixture
def plain(kafka: Secured, prefix: str, tmp_path: Path) -> Settings:
    """Without TLS, for the test's own look at what is in Kafka."""
    return own_settings(kafka.broker, prefix, tmp_path)


def use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a command of this process these settings."""
    for name, value in process_environment(settings).items():
        if name.startswith("TAKTWIN_"):
            monkeypatch.setenv(name, value)


def hidden_in(*shown: str) -> None:
    """The password is in none of these texts, nor as it is sent by PLAIN."""
    token = f"\0{USER}\0{PASSWORD}".encode()
    for secret in (PASSWORD, *(base64.b64encode(text).decode() for text in (PASSWORD.encode(), token))):
        assert not [text for text in shown if secret in text]


def twin(settings: Settings, *arguments: str) -> str:
    """What a command prints; it must end well."""
    ran = subprocess.run(  # noqa: S603  own command
        [sys.executable, "-m", "streams.cli", *arguments],
        env=process_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    hidden_in(ran.stderr)
    return ran.stdout


@pytest.mark.parametrize(
    ("mechanism", "in_file"),
    [
        ("PLAIN", False),
        ("SCRAM-SHA-512", True),
        pytest.param("SCRAM-SHA-256", True, marks=pytest.mark.slow),
    ],
)
async def test_everything_goes_through_tls_and_sasl_and_the_password_is_nowhere(
    kafka: Secured,
    plain: Settings,
    tmp_path: Path,
    mechanism: str,
    in_file: bool,
) -> None:
    settings = secured(plain, kafka.broker, kafka.authority, sasl_mechanism=mechanism, log_level="DEBUG")
    if in_file:
        (tmp_path / "password").write_text(f"{PASSWORD}\n")
        settings = replace(settings, sasl_password=Secret(), sasl_password_file=str(tmp_path / "password"))
    await ensure(settings)
    await produce(plain, 0, 200)
    with workers() as started:
        worker = Worker(settings, tmp_path / "w.log")
        started.append(worker)
        await asyncio.to_thread(worker.wait_ready, 4)
        await check(plain)
        listening = {c.laddr.ip for c in psutil.Process(worker.process.pid).net_connections() if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        report = str(worker.report())
        assert await asyncio.to_thread(worker.end) == exits.OK, worker.log()
    async with watching(settings) as watcher:
        await watcher.read_all()
        assert sorted(watcher.lines.records) == sorted(LINES)
    written = (tmp_path / "w.log").read_text()
    assert f"Authenticated as {USER}" in written  # DEBUG was on, so what aiokafka has to say is there
    hidden_in(written, report, repr(settings), str(settings))


def test_commands_go_through_tls_and_sasl_too(kafka: Secured, plain: Settings, tmp_path: Path) -> None:
    settings = secured(plain, kafka.broker, kafka.authority)
    log = tmp_path / "events.jsonl"
    log.write_bytes(b"".join(event(line, seq) + b"\n" for seq in range(20) for line in LINES))
    twin(settings, "topics", "apply")
    fed = json.loads(twin(settings, "feed", "--plant", settings.plant, "--json", str(log)))
    assert fed["sent"]["events"] >= 20 * len(LINES)
    checked = twin(settings, "doctor", "--plant", settings.plant)
    assert f"{settings.bootstrap} answers" in checked
    assert "Kafka by SASL_SSL, SCRAM-SHA-512" in checked
    hidden_in(checked, twin(settings, "config", "show", "--json"))


def mistakes(kafka: Secured, tmp_path: Path) -> dict[str, tuple[dict[str, object], str]]:
    """What is set wrong, and what the message must name."""
    other = Authority(tmp_path / "other", "somebody-else")
    name = kafka.broker.secure_bootstrap.replace("127.0.0.1", "localhost")
    return {
        "wrong password": ({"sasl_password": Secret("not-it")}, "TAKTWIN_SASL_PASSWORD_FILE"),
        "wrong password, PLAIN": (
            {"sasl_password": Secret("not-it"), "sasl_mechanism": "PLAIN"},
            "TAKTWIN_SASL_PASSWORD_FILE",
        ),
        "unknown user": ({"sasl_user": "nobody"}, "user 'nobody' was not accepted"),
        "unknown authority": ({"ssl_ca_file": str(other.file)}, "TAKTWIN_SSL_CA_FILE"),
        "another host": ({"bootstrap": name}, "certificate is for another host"),
        "a listener without TLS": ({"bootstrap": kafka.broker.bootstrap}, "TAKTWIN_SECURITY_PROTOCOL"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "wrong password",
        "wrong password, PLAIN",
        "unknown user",
        "unknown authority",
        "another host",
        "a listener without TLS",
    ],
)
def test_a_mistake_is_one_clear_message_and_its_exit_code(
    kafka: Secured,
    plain: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    changes, message = mistakes(kafka, tmp_path)[name]
    use(secured(plain, kafka.broker, kafka.authority, **changes), monkeypatch)
    code = main(["topics", "plan"])
    said = capsys.readouterr().err
    assert message in said
    assert "not-it" not in said
    if name == "a listener without TLS":  # it only hangs up, as a broker does that is on its way down
        assert code == 1
    else:
        assert code == exits.REFUSED


@pytest.mark.parametrize("name", ["wrong password", "another host"])
def test_a_worker_ends_at_once_with_the_documented_code(
    kafka: Secured, plain: Settings, tmp_path: Path, name: str
) -> None:
    changes, message = mistakes(kafka, tmp_path)[name]
    with workers() as started:
        worker = Worker(secured(plain, kafka.broker, kafka.authority, **changes), tmp_path / "w.log")
        started.append(worker)
        assert worker.process.wait(30) == exits.REFUSED, worker.log()
        assert message in worker.log()
        assert "not-it" not in worker.log()


def test_a_file_that_is_not_there_is_a_wrong_input(
    kafka: Secured,
    plain: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(secured(plain, kafka.broker, kafka.authority, ssl_ca_file=str(tmp_path / "none.pem")), monkeypatch)
    for command in (["topics", "plan"], ["watch", "--once"]):
        assert main(command) == 2
        assert "TAKTWIN_SSL_CA_FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_with_a_file_that_is_not_there_ends_with_the_same_code(
    kafka: Secured, plain: Settings, tmp_path: Path
) -> None:
    gone = secured(plain, kafka.broker, kafka.authority, ssl_ca_file=str(tmp_path / "none.pem"))
    with workers() as started:
        started.append(worker := Worker(gone, tmp_path / "w.log", real=True))
        assert worker.process.wait(60) == 2
        assert "TAKTWIN_SSL_CA_FILE" in worker.log()


async def test_an_open_client_at_a_secured_listener_is_told_what_may_be_wrong(kafka: Secured, plain: Settings) -> None:
    with pytest.raises(KafkaConnectionError, match="speak PLAINTEXT"):
        await check_access(replace(plain, bootstrap=kafka.broker.secure_bootstrap))


def test_what_the_broker_keeps_is_its_owners_alone(kafka: Secured) -> None:
    files = [path for path in (kafka.folder / "kafka").rglob("*") if path.is_file() and path.name != "kafka.log"]
    assert any(path.name == "server.properties" and PASSWORD in path.read_text() for path in files)
    assert any(path.suffix == ".log" for path in files)
    assert [path for path in files if path.stat().st_mode & 0o077] == []


@pytest.mark.slow
async def test_client_certificates_and_a_broker_that_advertises_another_name(tmp_path: Path, prefix: str) -> None:
    authority = Authority(tmp_path)
    clients = Authority(tmp_path, "clients")
    security = BrokerSecurity(
        protocol="SSL",
        port=free_port(),
        keystore=authority.keystore("127.0.0.1"),
        client_ca=clients.file,
        advertised="localhost",
    )
    with LocalBroker(security=security) as broker:
        settings = Settings(
            bootstrap=broker.secure_bootstrap,
            prefix=prefix,
            security_protocol="SSL",
            ssl_ca_file=str(authority.file),
            ssl_cert_file=str(clients.keystore("worker")),
        )
        # The name in `bootstrap` fits the certificate; the one that clients are sent to does not.
        with pytest.raises(AccessError, match=r"localhost:\d+ \(as it advertises itself\).*another host"):
            await check_access(settings)
        unchecked = replace(settings, ssl_check_hostname=False)
        await check_access(unchecked)
        async with watching(unchecked) as watcher:
            await watcher.read_all()
        for wrong in (
            replace(unchecked, ssl_cert_file=""),
            replace(unchecked, ssl_cert_file=str(authority.keystore("nobody"))),
        ):
            with pytest.raises((AccessError, KafkaConnectionError), match="TAKTWIN_SSL_CERT_FILE"):
                await check_access(wrong)
