"""The one door to the environment: every setting, its variable, its default and its check."""

import dataclasses
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

ENV_PREFIX: Final = "TAKTWIN_"
_TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")


class SettingsError(ValueError):
    """A setting that cannot be used: names the variable, the value and what is expected."""


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker and its tools need to know. `TAKTWIN_` + the name in capitals sets a field; an argument wins."""

    bootstrap: str = _setting("127.0.0.1:9092", "Kafka servers, host:port, comma between")
    prefix: str = _setting("twin", "first part of every topic's name")
    group: str = _setting("", "consumer group; empty: the prefix")
    partitions: int = _setting(4, "partitions of the events topic: the most workers that can share the load")
    replication: int = _setting(1, "replicas of every topic; 3 on a cluster")
    plant: str = _setting("plant.toml", "file of the plant model")
    audit: str = _setting("audit", "audit root: a folder that every worker sees")
    state: str = _setting("", "folder of the snapshots, seen by every worker; empty: <audit>/_state")
    instance: str = _setting("", "static member id, unique per worker; empty: dynamic membership")
    session_timeout_s: float = _setting(10.0, "after this long without a heartbeat a worker counts as dead")
    heartbeat_interval_s: float = _setting(1.0, "time between heartbeats; at most a third of the session")
    rebalance_timeout_s: float = _setting(10.0, "how long the group waits for its members to give partitions back")
    request_timeout_s: float = _setting(30.0, "limit of one request to Kafka; at least the session")
    checkpoint_interval_s: float = _setting(5.0, "time between checkpoints")
    checkpoint_bytes: int = _setting(64 << 20, "a checkpoint as well when a partition's rows reach this; bounds memory")
    snapshots: int = _setting(20, "snapshots kept per partition besides the committed one")
    poll_records: int = _setting(2000, "most records folded in one go")
    fetch_bytes: int = _setting(1 << 20, "most bytes fetched per partition and request")
    fetch_wait_ms: int = _setting(100, "how long the broker may wait for more data")
    view_interval_s: float = _setting(0.25, "time between provisional views of changed lines; 0: none")
    stop_limit_s: float = _setting(8.0, "a stop that takes longer is ended hard")
    health_port: int = _setting(8087, "port of /alive and /ready on 127.0.0.1; 0: any free one; -1: none")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    def __post_init__(self) -> None:
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
    def group_id(self) -> str:
        return self.group or self.prefix

    @property
    def state_folder(self) -> Path:
        # The underscore hides it from readers that list the audit root as a dataset.
        return Path(self.state) if self.state else Path(self.audit) / "_state"

    def topic(self, name: str) -> str:
        """Full name of a topic, such as `events` or `events.rejected`."""
        return f"{self.prefix}.{name}"


def variable(name: str) -> str:
    """Environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def table() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for the documentation and `twin doctor`."""
    return [(variable(f.name), str(f.default), f.metadata["doc"]) for f in dataclasses.fields(Settings)]


# Read elsewhere in this module, not fields of Settings.
_OTHER_VARIABLES: Final = frozenset({"TAKTWIN_CACHE", "TAKTWIN_JAVA", "TAKTWIN_DEBUG"})


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """TAKTWIN_ variables that set nothing: most likely misspelt."""
    environ = os.environ if environ is None else environ
    known = {variable(f.name) for f in dataclasses.fields(Settings)} | _OTHER_VARIABLES
    return sorted(name for name in environ if name.startswith(ENV_PREFIX) and name not in known)


def process_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process of ours that is to have exactly these settings."""
    own = {variable(f.name): str(getattr(settings, f.name)) for f in dataclasses.fields(Settings)}
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


def java_candidates(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Java commands named by the environment, the most specific first."""
    environ = os.environ if environ is None else environ
    named = [Path(environ["TAKTWIN_JAVA"])] if environ.get("TAKTWIN_JAVA") else []
    home = environ.get("JAVA_HOME")
    return named + ([Path(home) / "bin" / "java"] if home else [])


def _parse(name: str, text: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    try:
        return kind(text.strip())
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not a {kind.__name__}; set one or unset it") from None


def _problems(s: Settings) -> typing.Iterator[str]:
    def bad(name: str, expected: str) -> str:
        return f"{variable(name)}: {getattr(s, name)!r} must be {expected}"

    if not all(re.fullmatch(r"[^\s:,]+:\d+|\[[0-9A-Fa-f:]+\]:\d+", server) for server in s.bootstrap.split(",")):
        yield bad("bootstrap", "host:port, comma between")
    if not _TOPIC_NAME.fullmatch(s.prefix):
        yield bad("prefix", "letters, digits, dot, underscore, hyphen")
    for name in ("partitions", "replication", "checkpoint_bytes", "snapshots", "poll_records", "fetch_bytes"):
        if getattr(s, name) < 1:
            yield bad(name, "at least 1")
    for name in ("heartbeat_interval_s", "rebalance_timeout_s", "checkpoint_interval_s", "stop_limit_s"):
        if not 0 < getattr(s, name) < float("inf"):  # also refuses nan
            yield bad(name, "above 0")
    if s.fetch_wait_ms < 1:
        yield bad("fetch_wait_ms", "at least 1")
    if s.view_interval_s < 0:
        yield bad("view_interval_s", "0 or above")
    if s.heartbeat_interval_s * 3 > s.session_timeout_s:
        yield bad("heartbeat_interval_s", f"at most a third of the session ({s.session_timeout_s} s)")
    if s.session_timeout_s > s.request_timeout_s:
        yield bad("session_timeout_s", f"at most the request timeout ({s.request_timeout_s} s)")
    if not -1 <= s.health_port <= 65535:
        yield bad("health_port", "a port, 0 or -1")
    if s.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        yield bad("log_level", "DEBUG, INFO, WARNING or ERROR")
    if not s.state and "://" in s.audit:
        yield bad("state", "a folder that every worker sees, because the audit root is not one")
