"""How every client reaches Kafka: TLS and SASL from the settings, and what is wrong where it cannot.

aiokafka logs why a connection failed and then raises "Unable to bootstrap" without the reason, and a consumer whose
broker shows a certificate for another name tries again without end. So `check_access` connects first, as the clients
would, and tells what a person must mend (`AccessError`) from what may pass by itself (`KafkaConnectionError`).
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslAuthenticateRequest
from aiokafka.protocol.metadata import MetadataRequest

from streams.settings import Settings, SettingsError, variable

log = logging.getLogger(__name__)

CONNECT_LIMIT_S: Final = 10.0
# Results of OpenSSL's verification of a certificate.
_OUT_OF_DATE: Final = frozenset({9, 10})
_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})


class AccessError(RuntimeError):
    """Kafka is there but does not let us in, or is not who it should be: says why and which setting to mend."""


class _HideCredentials(logging.Filter):
    """With DEBUG aiokafka logs every request with its content; that of PLAIN is the password."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple("(credentials)" if _authenticates(arg) else arg for arg in record.args)
        return True


def _authenticates(thing: object) -> bool:
    return bool(getattr(thing, "API_KEY", None) == SaslAuthenticateRequest.API_KEY)


_HIDE: Final = _HideCredentials()


def connection(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every aiokafka client: servers, TLS and SASL. Raises SettingsError."""
    return {"bootstrap_servers": settings.bootstrap, **_access(settings)}


def faust_credentials(settings: Settings) -> Any:
    """The same for Faust's `broker_credentials`; None without TLS and SASL. Raises SettingsError."""
    from faust.auth import SASLCredentials, SSLCredentials

    access = _access(settings)
    context = access.get("ssl_context")
    if settings.uses_sasl:
        return SASLCredentials(
            username=access["sasl_plain_username"],
            password=access["sasl_plain_password"],
            ssl_context=context,
            mechanism=access["sasl_mechanism"],
        )
    return SSLCredentials(context) if context is not None else None


def _access(settings: Settings) -> dict[str, Any]:
    access: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.uses_tls:
        access["ssl_context"] = tls_context(settings)
    if settings.uses_sasl:
        logging.getLogger("aiokafka.conn").addFilter(_HIDE)  # the same one again is not added
        access["sasl_mechanism"] = settings.sasl_mechanism
        access["sasl_plain_username"] = settings.sasl_user
        access["sasl_plain_password"] = settings.secret("sasl_password")
    return access


def tls_context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 or later, the broker's certificate verified. Raises SettingsError naming the file that is not usable."""
    context: ssl.SSLContext
    context = _read("ssl_ca_file", settings, lambda: ssl.create_default_context(cafile=settings.ssl_ca_file or None))
    if settings.ssl_cert_file:
        # A callable, because without one OpenSSL would ask for a key's password on the terminal, and wait.
        password = settings.secret("ssl_key_password")
        own, key = settings.ssl_cert_file, settings.ssl_key_file or None
        culprit = "ssl_key_file" if key else "ssl_cert_file"
        if key:
            _read("ssl_cert_file", settings, lambda: Path(own).read_bytes())
        _read(culprit, settings, lambda: context.load_cert_chain(own, key, lambda: password))
    context.check_hostname = settings.ssl_check_hostname
    return context


def _read(name: str, settings: Settings, load: Any) -> Any:
    path = getattr(settings, name)
    try:
        return load()
    except ssl.SSLError as error:
        reason = _reason(error)
        hint = "the file must hold PEM; a key must belong to its certificate, and TAKTWIN_SSL_KEY_PASSWORD_FILE open it"
        raise SettingsError(f"{variable(name)}: {path} cannot be used ({reason}); {hint}") from None
    except OSError as error:
        raise SettingsError(f"{variable(name)}: {path} cannot be read ({error.strerror})") from None


async def check_access(settings: Settings) -> None:
    """Connect as the clients will, once, and with TLS also to every broker that is advertised.

    Raises AccessError where a person must mend something, KafkaConnectionError where no server answers, SettingsError.
    """
    if not settings.ssl_check_hostname:
        log.warning(
            "%s is off: any certificate of a trusted authority passes for Kafka", variable("ssl_check_hostname")
        )
    access = _access(settings)
    away: list[str] = []
    refused: list[str] = []
    for server in settings.bootstrap.split(","):
        host, _, port = server.rpartition(":")
        try:
            async with _connected(host.strip("[]"), int(port), access) as reached:
                if settings.uses_tls:
                    await _check_advertised(reached, (host, int(port)), access, settings)
                return
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            reason = explain(error, settings)
            (away if reason is None else refused).append(f"{server}: {reason or _silence(error, settings)}")
    if refused:
        raise AccessError("Kafka at " + "; ".join(refused))
    raise KafkaConnectionError("no answer from " + "; ".join(away))


async def _check_advertised(
    reached: AIOKafkaConnection, known: tuple[str, int], access: Mapping[str, Any], settings: Settings
) -> None:
    """The name in `bootstrap` may fit a certificate that the advertised names do not."""
    answer = await asyncio.wait_for(reached.send(MetadataRequest([])), CONNECT_LIMIT_S)
    for _node, host, port, *_ in answer.brokers:
        if (host, port) == known:
            continue
        try:
            async with _connected(host, port, access):
                pass
        except (KafkaError, OSError, TimeoutError, ValueError) as error:
            reason = explain(error, settings)
            if reason is not None:  # one that is merely away is no reason not to start
                raise AccessError(f"Kafka at {host}:{port} (as it advertises itself): {reason}") from error


@contextlib.asynccontextmanager
async def _connected(host: str, port: int, access: Mapping[str, Any]) -> Any:
    connection = await create_conn(host, port, request_timeout_ms=int(CONNECT_LIMIT_S * 1000), **access)
    try:
        yield connection
    finally:
        connection.close()


def explain(error: BaseException, settings: Settings) -> str | None:
    """What is wrong and what to do, where a person must do it; None where Kafka may just be away."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return (
            f"TLS failed ({_reason(error)}): most likely the listener of this port does not speak TLS, "
            "or asks for a client certificate; see TAKTWIN_SECURITY_PROTOCOL and TAKTWIN_SSL_CERT_FILE"
        )
    if isinstance(error, SaslAuthenticationFailed):
        return (
            f"user {settings.sasl_user!r} was not accepted with {settings.sasl_mechanism}: the user, the password or "
            "the mechanism is wrong; see TAKTWIN_SASL_USER, TAKTWIN_SASL_PASSWORD_FILE and TAKTWIN_SASL_MECHANISM"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"{settings.sasl_mechanism} is not offered ({error}); see TAKTWIN_SASL_MECHANISM"
    if isinstance(error, IllegalSaslStateError):
        return "the listener of this port has no SASL; see TAKTWIN_SECURITY_PROTOCOL"
    if isinstance(error, ValueError):  # aiokafka's: a server that cannot prove that it knows the password
        return f"it could not prove to know the password of {settings.sasl_user!r} ({error}): it is not your Kafka"
    return None


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OTHER_NAME:
        return (
            f"its certificate is for another host ({error.verify_message}): use the name in the certificate, in "
            "TAKTWIN_BOOTSTRAP and in the broker's advertised.listeners, or have one made for this name"
        )
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return (
            f"its certificate comes from an authority that is not trusted ({error.verify_message}): name the "
            "authority's PEM file in TAKTWIN_SSL_CA_FILE"
        )
    if error.verify_code in _OUT_OF_DATE:
        return f"its certificate is out of date ({error.verify_message}): have it renewed, or set the clock right"
    return f"its certificate is not accepted ({error.verify_message}); see TAKTWIN_SSL_CA_FILE"


def _silence(error: BaseException, settings: Settings) -> str:
    if isinstance(error, KafkaError | ssl.SSLError | ConnectionResetError):
        # The port is open: Kafka on its way up or down, or a listener of another kind, which just closes.
        asked = ", or does it want a client certificate (TAKTWIN_SSL_CERT_FILE)" if settings.uses_tls else ""
        return (
            f"the connection was opened and closed again ({_text(error)}); does the listener of this port speak "
            f"{settings.security_protocol} (TAKTWIN_SECURITY_PROTOCOL){asked}?"
        )
    return _text(error)


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "reason", None) or _text(error)  # only OpenSSL's own errors have one


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
