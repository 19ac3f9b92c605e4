"""TLS from files, what an error means, and what this process leaves behind for others to write or to unpickle."""

import ast
import logging
import os
import ssl
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from aiokafka.protocol.admin import SaslAuthenticateRequest_v1
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams import umask
from streams.kafka.access import check_access, connection, explain, faust_credentials, tls_context
from streams.settings import Secret, Settings, SettingsError
from streams.state.snapshot_files import Head, Snapshot, SnapshotStore
from streams.worker.start import hold_instance
from tests.support.tls import PASSWORD, Authority

ROOT = Path(__file__).parents[3]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def settings(authority: Authority) -> Settings:
    return Settings(security_protocol="SSL", ssl_ca_file=str(authority.file))


def test_only_what_is_asked_for_reaches_the_clients(settings: Settings) -> None:
    assert connection(Settings()) == {"bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT"}
    over_tls = connection(settings)
    assert set(over_tls) == {"bootstrap_servers", "security_protocol", "ssl_context"}
    context = over_tls["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    loose = tls_context(replace(settings, ssl_check_hostname=False))
    assert (loose.verify_mode, loose.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_faust_gives_aiokafka_what_the_other_clients_get(protocol: str, authority: Authority) -> None:
    sasl = {"sasl_user": "u", "sasl_password": Secret("p"), "sasl_mechanism": "SCRAM-SHA-256"}
    made = Settings(security_protocol=protocol, **(sasl if "SASL" in protocol else {}))  # type: ignore[arg-type]  # mixed
    through_faust = {k: v for k, v in credentials_to_aiokafka_auth(faust_credentials(made)).items() if v is not None}
    ours = connection(made)
    del ours["bootstrap_servers"]
    assert through_faust.keys() == ours.keys()
    assert isinstance(ours.pop("ssl_context", None), ssl.SSLContext) == ("SSL" in protocol.removeprefix("SASL_"))
    through_faust.pop("ssl_context", None)
    assert through_faust == ours


def test_a_file_that_cannot_be_used_is_named(settings: Settings, authority: Authority, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    own, other = authority.keystore("a"), authority.keystore("b")
    for changes, message in (
        ({"ssl_ca_file": str(rubbish)}, "TAKTWIN_SSL_CA_FILE.*cannot be used"),
        ({"ssl_ca_file": str(tmp_path / "none")}, "TAKTWIN_SSL_CA_FILE.*cannot be read"),
        ({"ssl_cert_file": str(rubbish)}, "TAKTWIN_SSL_CERT_FILE"),
        ({"ssl_cert_file": str(tmp_path / "none"), "ssl_key_file": str(own)}, "TAKTWIN_SSL_CERT_FILE.*cannot be read"),
        ({"ssl_cert_file": str(own), "ssl_key_file": str(other)}, "TAKTWIN_SSL_KEY_FILE.*must belong"),
        ({"ssl_cert_file": str(own), "ssl_key_file": str(tmp_path / "none")}, "TAKTWIN_SSL_KEY_FILE.*cannot be read"),
    ):
        with pytest.raises(SettingsError, match=message):
            tls_context(replace(settings, **changes))  # type: ignore[arg-type]  # every value is text


def test_the_password_of_a_key_opens_it_and_is_not_asked_for_on_the_terminal(
    settings: Settings, authority: Authority, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    own = authority.keystore("a")
    key = load_pem_private_key(own.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    encryption = BestAvailableEncryption(PASSWORD.encode())
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    mine = replace(settings, ssl_cert_file=str(own), ssl_key_file=str(locked))
    tls_context(replace(mine, ssl_key_password=Secret(PASSWORD)))
    for wrong in (Secret(), Secret("not-it")):
        with pytest.raises(SettingsError, match="TAKTWIN_SSL_KEY_PASSWORD_FILE") as said:
            tls_context(replace(mine, ssl_key_password=wrong))
        assert "not-it" not in str(said.value)


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code, error.verify_message = code, "why"
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (certificate_error(62), "advertised.listeners"),
        (certificate_error(64), "advertised.listeners"),
        (certificate_error(19), "TAKTWIN_SSL_CA_FILE"),
        (certificate_error(20), "TAKTWIN_SSL_CA_FILE"),
        (certificate_error(10), "renewed"),
        (certificate_error(23), "TAKTWIN_SSL_CA_FILE"),
        (ssl.SSLError(1, "wrong version number"), "TAKTWIN_SECURITY_PROTOCOL"),
        (SaslAuthenticationFailed("no"), "TAKTWIN_SASL_PASSWORD_FILE"),
        (UnsupportedSaslMechanismError("PLAIN"), "TAKTWIN_SASL_MECHANISM"),
        (ValueError("Server sent wrong signature!"), "not your Kafka"),
    ],
)
def test_what_a_person_must_mend_comes_with_the_setting(error: BaseException, advice: str) -> None:
    assert advice in (explain(error, Settings()) or "")


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), TimeoutError(), KafkaConnectionError("closed"), ssl.SSLEOFError(8, "EOF")]
)
def test_what_may_pass_by_itself_is_not_a_refusal(error: BaseException) -> None:
    assert explain(error, Settings()) is None


async def test_a_check_that_is_off_is_said_at_every_start(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    loose = replace(settings, bootstrap="127.0.0.1:1", ssl_check_hostname=False)
    with caplog.at_level(logging.WARNING), pytest.raises(KafkaConnectionError, match=r"no answer from 127\.0\.0\.1:1"):
        await check_access(loose)
    assert "TAKTWIN_SSL_CHECK_HOSTNAME is off" in caplog.text


def test_what_aiokafka_logs_of_an_authentication_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    connection(Settings(security_protocol="SASL_PLAINTEXT", sasl_user="u", sasl_password=Secret(PASSWORD)))
    request = SaslAuthenticateRequest_v1(f"\0u\0{PASSWORD}".encode())
    assert PASSWORD in repr(request)  # otherwise there is nothing to hide
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="aiokafka.conn"):
        # The call of AIOKafkaConnection.send, word for word.
        logging.getLogger("aiokafka.conn").debug("Request to %s:%d %d: %s", "kafka", 9092, 7, request)
    assert caplog.messages == ["Request to kafka:9092 7: (credentials)"]


def test_files_are_never_writable_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        umask.tighten()
        SnapshotStore(tmp_path / "state" / "group").save(Snapshot(Head("t", 0, 1, "m", ""), b"state"))
        lock = hold_instance(Settings(instance="slot", state=str(tmp_path / "state")))
        assert lock is not None
        lock.close()
    finally:
        assert os.umask(before) == 0o002
    made = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    assert len(made) == 4
    assert [path for path in made if path.stat().st_mode & stat.S_IWOTH] == []


def test_a_strict_umask_stays(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        umask.tighten()
    finally:
        assert os.umask(before) == 0o077


def test_every_command_and_worker_begins_with_it(tmp_path: Path) -> None:
    code = "import os, sys; os.umask(0); from streams.cli import main; main(['plant', 'schema']); print(os.umask(0))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  own code
    assert ran.stdout.splitlines()[-1] == "2"


def test_nothing_of_ours_reads_or_writes_pickles() -> None:
    """Unpickling runs what is in the file. numba's cache is the one exception, in a folder of the user's own."""
    forbidden = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
    seen = 0
    for package in ("kernels", "twin", "streams"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                elif isinstance(node, ast.keyword):
                    names = ["pickle"] if node.arg == "allow_pickle" else []
                elif isinstance(node, ast.Attribute):
                    names = [node.attr] if node.attr in ("read_pickle", "to_pickle") else []
                    assert not names, f"{path}:{node.lineno}"
                seen += 1
                assert not forbidden & {name.partition(".")[0] for name in names}, f"{path}: {names}"
    assert seen > 10_000
