"""The one door to the environment: every setting, its variable, its default and its check."""

import dataclasses
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, Final, Self

from streams.kafka import partitioner as partitioners

ENV_PREFIX: Final = "TAKTWIN_"
MAX_STORAGE_LIMIT_S: Final = 900.0
MAX_PUBLISH_AFTER_S: Final = 86_400.0
# The protocol sends these as int32.
MOST_OF_FETCH: Final = 2**31 - 1
COMPRESSIONS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SASL_ONLY: Final = ("sasl_user", "sasl_password", "sasl_password_file")
_TLS_ONLY: Final = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_key_password", "ssl_key_password_file")
_TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")


class SettingsError(ValueError):
    """A setting that cannot be used: names the variable, the value and what is expected."""


class Secret:
    """Text that is never shown: printed, formatted or logged it is three stars. `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __str__(self) -> str:
        return "***" if self._text else ""

    def __repr__(self) -> str:
        return repr(str(self))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker and its tools need to know. `TAKTWIN_` + the name in capitals sets a field; an argument wins."""

    bootstrap: str = _setting("127.0.0.1:9092", "Kafka servers, host:port, comma between")
    security_protocol: str = _setting("PLAINTEXT", "to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str = _setting("SCRAM-SHA-512", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    sasl_user: str = _setting("", "user name at Kafka")
    sasl_password: Secret = _setting(Secret(), "its password; better in a file")  # noqa: RUF009  Secret is immutable
    sasl_password_file: str = _setting("", "file that holds the password")
    ssl_ca_file: str = _setting("", "PEM file of the authorities to trust; empty: those of the system")
    ssl_cert_file: str = _setting("", "PEM file of our own certificate, where Kafka asks for one")
    ssl_key_file: str = _setting("", "PEM file of its key; empty: in the same file")
    ssl_key_password: Secret = _setting(Secret(), "password of the key; better in a file")  # noqa: RUF009  Secret is immutable
    ssl_key_password_file: str = _setting("", "file that holds the password of the key")
    ssl_check_hostname: bool = _setting(True, "false: accept a certificate of another host; said loudly at every start")
    prefix: str = _setting("twin", "first part of every topic's name")
    group: str = _setting("", "consumer group; empty: the prefix")
    partitions: int = _setting(4, "partitions of the events topic: the most workers that can share the load")
    replication: int = _setting(1, "replicas of every topic; 3 on a cluster")
    partitioner: str = _setting(
        partitioners.DEFAULT, "how producers of events choose a partition by the line: murmur2, crc32, fnv1a, or any"
    )
    plant: str = _setting("plant.toml", "file of the plant model")
    audit: str = _setting("audit", "audit root: a folder that every worker sees, or s3://BUCKET/PREFIX")
    state: str = _setting("", "the snapshots: a folder that every worker sees, or a URL; empty: <audit>/_state")
    instance: str = _setting("", "static member id, unique per worker; empty: dynamic membership")
    session_timeout_s: float = _setting(10.0, "after this long without a heartbeat a worker counts as dead")
    heartbeat_interval_s: float = _setting(1.0, "time between heartbeats; at most a third of the session")
    rebalance_timeout_s: float = _setting(
        10.0, "how long the group waits for its members to join anew; below a request"
    )
    request_timeout_s: float = _setting(30.0, "limit of one request to Kafka; at least the session")
    checkpoint_interval_s: float = _setting(5.0, "time between checkpoints of a partition")
    staging_bytes: int = _setting(24 << 20, "rows are written ahead of their checkpoint from so many on; bounds memory")
    publish_after_s: float = _setting(
        900.0, "audited rows wait this long for a file worth having; twin audit sees them; 0: a file per checkpoint"
    )
    publish_bytes: int = _setting(32 << 20, "or until they take so many bytes in memory; bounds memory, too")
    snapshots: int = _setting(20, "snapshots kept per partition besides the committed one")
    # All of a fetch of usual JSON: a run takes 2 ms whatever it holds.
    poll_records: int = _setting(32_768, "most records folded in one go")
    fetch_bytes: int = _setting(4 << 20, "most bytes fetched per partition and request")
    fetch_min_bytes: int = _setting(1 << 20, "the broker waits for so many bytes before it answers a fetch")
    fetch_wait_ms: int = _setting(50, "but no longer than this: each fold has a fixed cost, each wait is latency")
    results_compression: str = _setting("none", "of the records of results: none, gzip, snappy, lz4 or zstd")
    view_interval_s: float = _setting(0.25, "time between provisional views of changed lines; 0: none")
    storage_limit_s: float = _setting(
        300.0, "how long a disk that is full or gone is waited for, with the records held back; 0: not at all"
    )
    stop_limit_s: float = _setting(8.0, "a stop that takes longer is ended hard")
    health_host: str = _setting(
        "127.0.0.1",
        "address of /alive, /ready, /metrics and /schemas; 0.0.0.0 in a container that is asked from outside",
    )
    health_port: int = _setting(8087, "their port; 0: any free one; -1: none")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")
    log_format: str = _setting("text", "text, or json: one object per line")

    def __post_init__(self) -> None:
        for name in SECRETS:
            if not isinstance(getattr(self, name), Secret):
                raise TypeError(f"{name} takes a Secret")  # plain text would be shown by repr
        problems = list(_problems(self))
        if problems:
            raise SettingsError("\n".join(problems))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the environment; an override that is not None wins. Raises SettingsError."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name, kind in typing.get_type_hints(cls).items():
            text = environ.get(variable(name))
            if text is not None:
                values[name] = _parse(variable(name), text, kind)
        values.update({name: value for name, value in overrides.items() if value is not None})
        return cls(**values)

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    def secret(self, name: str) -> str:
        """`sasl_password` or `ssl_key_password`, from its file where one is named. Raises SettingsError."""
        path = getattr(self, f"{name}_file")
        if not path:
            own: Secret = getattr(self, name)
            return own.reveal()
        try:
            # Not the whole white space: a password may end with a blank, but a file ends with a newline.
            text = Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise SettingsError(f"{variable(name)}_FILE: {path} cannot be read ({reason})") from None
        if not text:
            raise SettingsError(f"{variable(name)}_FILE: {path} is empty; write the password into it")
        return text

    @property
    def group_id(self) -> str:
        return self.group or self.prefix

    @property
    def state_place(self) -> str:
        """Folder or URL of the snapshots."""
        # The underscore hides it from readers that list the audit root as a dataset.
        return self.state or f"{self.audit.rstrip('/')}/_state"

    @property
    def state_folder(self) -> Path:
        return Path(self.state_place)

    def topic(self, name: str) -> str:
        """Full name of a topic, such as `events` or `events.rejected`."""
        return f"{self.prefix}.{name}"


def variable(name: str) -> str:
    """Environment variable of a setting."""
    return ENV_PREFIX + name.upper()


SECRETS: Final = tuple(f.name for f in dataclasses.fields(Settings) if isinstance(f.default, Secret))


def origins(environ: Mapping[str, str] | None = None, **overrides: Any) -> dict[str, str]:
    """Where `Settings.from_env` takes each setting from: argument, environment, file (a secret's) or default."""
    environ = os.environ if environ is None else environ
    found = {}
    for f in dataclasses.fields(Settings):
        if overrides.get(f.name) is not None:
            found[f.name] = "argument"
        elif variable(f.name) in environ:
            found[f.name] = "environment"
        elif f.name in SECRETS and environ.get(f"{variable(f.name)}_FILE"):
            found[f.name] = "file"
        else:
            found[f.name] = "default"
    return found


def table() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for the documentation and `twin doctor`."""
    return [(variable(f.name), text(f.default), f.metadata["doc"]) for f in dataclasses.fields(Settings)]


def text(value: object) -> str:
    """A value as the environment would have it; a secret is its mask."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# Read elsewhere in this module, not fields of Settings.
_OTHER_VARIABLES: Final = frozenset({"TAKTWIN_CACHE", "TAKTWIN_JAVA", "TAKTWIN_DEBUG"})


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """TAKTWIN_ variables that set nothing: most likely misspelt."""
    environ = os.environ if environ is None else environ
    known = {variable(f.name) for f in dataclasses.fields(Settings)} | _OTHER_VARIABLES
    return sorted(name for name in environ if name.startswith(ENV_PREFIX) and name not in known)


def process_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process of ours that is to have exactly these settings."""
    own = {}
    for f in dataclasses.fields(Settings):
        value = getattr(settings, f.name)
        own[variable(f.name)] = value.reveal() if isinstance(value, Secret) else str(value)
    return {**os.environ, **own}


def debug(environ: Mapping[str, str] | None = None) -> bool:
    """Whether TAKTWIN_DEBUG asks for traces instead of messages; empty or 0 is no."""
    environ = os.environ if environ is None else environ
    return environ.get("TAKTWIN_DEBUG", "") not in ("", "0")


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where resolved tools live: TAKTWIN_CACHE, else taktwin in the user's cache."""
    environ = os.environ if environ is None else environ
    if own := environ.get("TAKTWIN_CACHE"):
        return Path(own).expanduser()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "taktwin"


def runtime_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """Where a process may leave what others of its account need to find it, as systemd or the session say."""
    environ = os.environ if environ is None else environ
    if own := environ.get("RUNTIME_DIRECTORY"):
        return Path(own.split(":")[0])
    session = environ.get("XDG_RUNTIME_DIR")
    return Path(session) / "taktwin" if session else None


def java_candidates(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Java commands named by the environment, the most specific first."""
    environ = os.environ if environ is None else environ
    named = [Path(environ["TAKTWIN_JAVA"])] if environ.get("TAKTWIN_JAVA") else []
    home = environ.get("JAVA_HOME")
    return named + ([Path(home) / "bin" / "java"] if home else [])


def _parse(name: str, text: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if kind is Secret:
        return Secret(text)
    if kind is bool:
        # bool("false") is True: for a check that must not be off by accident, nothing but these words will do.
        known = {"true": True, "1": True, "false": False, "0": False}
        if text.strip().lower() not in known:
            raise SettingsError(f"{name}: {text!r} is not true or false; set one or unset it")
        return known[text.strip().lower()]
    try:
        return kind(text.strip())
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not a {kind.__name__}; set one or unset it") from None


def _problems(s: Settings) -> Iterator[str]:
    def bad(name: str, expected: str) -> str:
        return f"{variable(name)}: {getattr(s, name)!r} must be {expected}"

    if not all(re.fullmatch(r"[^\s:,]+:\d+|\[[0-9A-Fa-f:]+\]:\d+", server) for server in s.bootstrap.split(",")):
        yield bad("bootstrap", "host:port, comma between")
    for name in ("prefix", "group", "instance"):  # parts of paths as well
        value = getattr(s, name)
        if (value or name == "prefix") and (not _TOPIC_NAME.fullmatch(value) or value in (".", "..")):
            yield bad(name, "letters, digits, dot, underscore, hyphen; at most 200, and not . or .. alone")
    for name in ("partitions", "replication", "staging_bytes", "publish_bytes", "snapshots", "poll_records"):
        if getattr(s, name) < 1:
            yield bad(name, "at least 1")
    for name in ("fetch_bytes", "fetch_min_bytes", "fetch_wait_ms"):
        if not 1 <= getattr(s, name) <= MOST_OF_FETCH:
            yield bad(name, f"from 1 to {MOST_OF_FETCH}")
    for name in (f.name for f in fields(s) if isinstance(getattr(s, f.name), float)):
        if not isfinite(getattr(s, name)):
            yield bad(name, "a finite number")
    for name in ("heartbeat_interval_s", "rebalance_timeout_s", "checkpoint_interval_s", "stop_limit_s"):
        if not 0 < getattr(s, name) < float("inf"):  # also refuses nan
            yield bad(name, "above 0")
    # Longer, and the group would take a worker that folds nothing for dead.
    if not 0 <= s.storage_limit_s <= MAX_STORAGE_LIMIT_S:
        yield bad("storage_limit_s", f"from 0 to {MAX_STORAGE_LIMIT_S}")
    if s.view_interval_s < 0:
        yield bad("view_interval_s", "0 or above")
    if not 0 <= s.publish_after_s <= MAX_PUBLISH_AFTER_S:
        yield bad("publish_after_s", f"from 0 to {MAX_PUBLISH_AFTER_S:.0f}")
    if s.heartbeat_interval_s * 3 > s.session_timeout_s:
        yield bad("heartbeat_interval_s", f"at most a third of the session ({s.session_timeout_s} s)")
    # The answer to who joins comes when all have, or at this limit: given up before, it begins anew for everybody.
    if s.rebalance_timeout_s >= s.request_timeout_s:
        yield bad("rebalance_timeout_s", f"below the request timeout ({s.request_timeout_s} s)")
    if s.session_timeout_s > s.request_timeout_s:
        yield bad("session_timeout_s", f"at most the request timeout ({s.request_timeout_s} s)")
    if not -1 <= s.health_port <= 65535:
        yield bad("health_port", "a port, 0 or -1")
    if s.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        yield bad("log_level", "DEBUG, INFO, WARNING or ERROR")
    if s.partitioner not in partitioners.NAMES:
        yield bad("partitioner", f"one of {', '.join(partitioners.NAMES)} (docs/producers.md)")
    if s.results_compression not in COMPRESSIONS:
        yield bad("results_compression", "one of " + ", ".join(COMPRESSIONS))
    if s.log_format not in ("text", "json"):
        yield bad("log_format", "text or json")
    if not s.health_host.strip() or re.search(r"[\s/]", s.health_host):
        yield bad("health_host", "an address, such as 127.0.0.1")
    yield from _access_problems(s, bad)
    for name in ("audit", "state"):
        if "://" in (place := getattr(s, name)) and not place.startswith("s3://"):
            yield bad(name, "a folder, or s3://BUCKET/PREFIX: other stores have no conditional put that we know of")


def _access_problems(s: Settings, bad: Callable[[str, str], str]) -> Iterator[str]:
    """What is wrong with TLS and SASL. A setting without effect is refused: somebody believes that it protects him."""
    if s.security_protocol not in PROTOCOLS:
        yield bad("security_protocol", "one of " + ", ".join(PROTOCOLS))
        return
    if s.sasl_mechanism not in MECHANISMS:
        yield bad("sasl_mechanism", "one of " + ", ".join(MECHANISMS))
    unused = [] if s.uses_sasl else [name for name in _SASL_ONLY if getattr(s, name)]
    if not s.uses_tls:
        unused += [name for name in _TLS_ONLY if getattr(s, name)]
        unused += [] if s.ssl_check_hostname else ["ssl_check_hostname"]
    for name in unused:
        yield bad(name, f"unset, because TAKTWIN_SECURITY_PROTOCOL is {s.security_protocol} and makes no use of it")
    if s.uses_sasl and not s.sasl_user:
        yield bad("sasl_user", f"a user name, because TAKTWIN_SECURITY_PROTOCOL is {s.security_protocol}")
    if s.uses_sasl and not (s.sasl_password or s.sasl_password_file):
        yield bad("sasl_password_file", "the file of the password (or set TAKTWIN_SASL_PASSWORD)")
    for name in SECRETS:
        if getattr(s, name) and getattr(s, f"{name}_file"):
            yield f"{variable(name)} and {variable(name)}_FILE are both set; unset one"
    if not s.ssl_cert_file:
        for name in ("ssl_key_file", "ssl_key_password", "ssl_key_password_file"):
            if getattr(s, name):
                yield bad(name, "unset, or TAKTWIN_SSL_CERT_FILE set as well")
