"""Checks of a machine and its surroundings: each says what it found, and what to do where that is not good."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from streams.settings import Settings, SettingsError, cache_folder, unknown_variables
from twin import store

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

Level = Literal["ok", "warn", "fail"]
LOW_DISK_BYTES: Final = 1 << 30
SKEW_S: Final = 5.0
_BROKER_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `advice` is what to do; empty where there is nothing to do."""

    name: str
    level: Level
    found: str
    advice: str = ""


def examine(settings: Settings, plant: Path | None) -> Iterator[Check]:
    """All checks, one after the other; a check that breaks is itself a finding, never an exception."""
    checks: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("python", python),
        ("packages", packages),
        ("settings", variables),
        ("access", lambda: access(settings)),
        ("kernels", kernel_cache),
        ("java", java),
        ("zones", zones),
        ("plant", lambda: plant_file(plant)),
        ("audit", lambda: audit(settings.audit)),
        ("quality", lambda: () if store.is_url(settings.audit) else quality(Path(settings.audit))),
        ("broker", lambda: broker(settings)),
    ]
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield Check(
                name, "fail", f"{type(error).__name__}: {error}", "report this with the output of `twin doctor --json`"
            )


def python() -> Iterator[Check]:
    found = f"Python {sys.version.split()[0]}, {os.cpu_count() or 1} processors"
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Check("python", "ok" if good else "fail", found, "" if good else "use Python 3.11, 3.12 or 3.13")


def packages() -> Iterator[Check]:
    """The pinned ones: the transport uses private parts of both."""
    for name, expected in (("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0")):
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Check("packages", "fail", f"{name} is not installed", "run `uv sync --locked`")
            continue
        good = found == expected
        advice = "" if good else f"the transport is tested with {expected} only: run `uv sync --locked`"
        yield Check("packages", "ok" if good else "fail", f"{name} {found}", advice)


def variables() -> Iterator[Check]:
    unknown = unknown_variables()
    if unknown:
        yield Check("settings", "warn", f"no such setting: {', '.join(unknown)}", "see docs/operating.md for the names")
    else:
        yield Check("settings", "ok", "every TAKTWIN_ variable is known")


def access(settings: Settings) -> Iterator[Check]:
    """What the settings leave open on the way to Kafka and to the health pages."""
    remote = [s for s in settings.bootstrap.split(",") if not s.startswith(("127.", "localhost:", "[::1]:"))]
    found = f"Kafka by {settings.security_protocol}" + (f", {settings.sasl_mechanism}" if settings.uses_sasl else "")
    if not settings.ssl_check_hostname:
        advice = "unset TAKTWIN_SSL_CHECK_HOSTNAME, and use the name that is in the broker's certificate"
        yield Check("access", "warn", f"{found}, but its certificate may be for any host", advice)
    elif remote and not settings.uses_tls:
        advice = "TAKTWIN_SECURITY_PROTOCOL=SASL_SSL or SSL, where the network is not yours alone"
        yield Check("access", "warn", f"{found}: readable on the way to {', '.join(remote)}", advice)
    else:
        yield Check("access", "ok", found)
    if settings.health_port >= 0 and settings.health_host not in ("127.0.0.1", "localhost", "::1"):
        advice = "right in a container; elsewhere unset TAKTWIN_HEALTH_HOST"
        yield Check("access", "warn", f"the health pages answer on {settings.health_host}", advice)


def kernel_cache() -> Iterator[Check]:
    from kernels.cache import settled

    for cache in settled():
        if cache.used:
            how = "kept in" if cache.writable else "read from"
            yield Check("kernels", "ok", f"compiled kernels are {how} {cache.folder}")
        else:
            advice = "a folder of this account that nobody else can write: TAKTWIN_CACHE names its parent"
            yield Check("kernels", "warn", f"every start compiles anew: {cache.problem}", advice)


def java() -> Iterator[Check]:
    """What a local Kafka would run on; an existing Kafka needs none of it."""
    from streams.local.jars import KAFKA
    from streams.local.java import BrokerError, find_java

    try:
        command, number, source = find_java()
    except BrokerError as error:
        yield Check("java", "warn", str(error), "only the local Kafka of `twin broker` and `twin demo` needs it")
        return
    yield Check("java", "ok", f"Java {number} ({source}): {command}")
    resolved = [folder for folder in cache_folder().glob("kafka-*") if (folder / "resolved.json").exists()]
    if resolved:
        import json

        how = json.loads((resolved[-1] / "resolved.json").read_text())["resolver"]
        yield Check("kafka", "ok", f"local Kafka {KAFKA} resolved by {how}: {resolved[-1]}")
    else:
        resolver = "mvn" if shutil.which("mvn") else "jgo (PyPI), because there is no mvn"
        yield Check("kafka", "ok", f"local Kafka {KAFKA} not downloaded yet; the first start does it with {resolver}")


def zones() -> Iterator[Check]:
    """Those the twin reads: the pinned package, not the system's."""
    from twin.time import zone

    try:
        zone.zone("Europe/Ljubljana")
    except (KeyError, OSError) as error:
        yield Check("zones", "fail", f"the package tzdata cannot be read ({error!r})", "run `uv sync --locked`")
        return
    yield Check("zones", "ok", f"tzdata {zone.RULES}, {len(zone.names())} zones; the system's are not read")


def plant_file(path: Path | None) -> Iterator[Check]:
    from twin import plant as plants

    if path is None:
        yield Check("plant", "warn", "no plant file named", "name one: `twin doctor --plant FILE` or TAKTWIN_PLANT")
        return
    try:
        plant = plants.load(path)
    except (plants.PlantError, OSError) as error:
        yield Check("plant", "fail", str(error), f"mend it; `twin plant check {path}` shows the same")
        return
    lines, stations = len(plant.lines), len(plant.stations)
    yield Check("plant", "ok", f"{path}: {lines} lines, {stations} stations, model {plant.hash}")


def audit_root(root: Path) -> Iterator[Check]:
    """Writable, able to fsync, and with room. The folder is not made here."""
    existing = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".taktwin-doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        advice = "choose another folder (TAKTWIN_AUDIT), or give this account the right to write"
        yield Check("audit", "fail", f"{existing}: cannot be written ({error.strerror})", advice)
        return
    free = shutil.disk_usage(existing).free
    found = f"{root}: writable, {free / (1 << 30):,.1f} GiB free"
    if free < LOW_DISK_BYTES:
        yield Check("audit", "warn", found, "make room: a worker stops where it cannot write")
    else:
        yield Check("audit", "ok", found)


def audit(place: str) -> Iterator[Check]:
    """A folder, or object storage that answers: there nothing is put, and the rows are not looked through."""
    if not store.is_url(place):
        yield from audit_root(Path(place))
        return
    from twin.audit import layout

    try:
        store.opened(place).listed(layout.MODELS)
    except store.StoreError as error:
        yield Check("audit", "fail", str(error), "workers end, or wait, until it answers")
        return
    yield Check("audit", "ok", f"{place}: answers, and can be listed")


def quality(root: Path) -> Iterator[Check]:
    """What the audited rows themselves say is doubtful: refusals, and alerts of data quality."""
    from twin.audit import AuditError
    from twin.audit.quality import findings

    if not root.is_dir():
        return
    try:
        found = findings(root)
    except AuditError as error:
        yield Check("quality", "fail", str(error), "`twin audit verify` says more")
        return
    for sentence in found:
        yield Check("quality", "warn", sentence, "docs/events.md has every reason and what to do about it")
    if not found:
        yield Check("quality", "ok", f"{root}: nothing was refused, and no alert says that a figure is doubtful")


def broker(settings: Settings) -> Iterator[Check]:
    host, _, port = settings.bootstrap.split(",")[0].rpartition(":")
    from streams.kafka.access import AccessError

    advice = "start a local one with `twin broker`, or name yours with --bootstrap or TAKTWIN_BOOTSTRAP"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            pass
    except OSError as error:
        yield Check("broker", "fail", f"{settings.bootstrap}: no answer ({error})", advice)
        return
    try:
        yield from asyncio.run(asyncio.wait_for(_cluster(settings), _BROKER_LIMIT_S))
    except (AccessError, SettingsError) as error:
        yield Check("broker", "fail", str(error), "the section Security of docs/operating.md has the settings")
    except Exception as error:
        # Whatever the client raises: a port that is open but does not speak Kafka, a listener that points elsewhere.
        found = f"{settings.bootstrap}: the port is open, but Kafka does not answer ({type(error).__name__}: {error})"
        yield Check("broker", "fail", found, "check that it is Kafka, and what advertised.listeners says")


async def _cluster(settings: Settings) -> list[Check]:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

    from streams.kafka import topics
    from streams.kafka.access import check_access, connection
    from streams.tools.watch import partitions

    await check_access(settings)

    async with contextlib.AsyncExitStack() as stack:
        admin = AIOKafkaAdminClient(**connection(settings))
        stack.push_async_callback(admin.close)
        await admin.start()
        wanted = {topic.name: topic for topic in topics.desired(settings)}
        found = await partitions(admin, *wanted)
        checks = [Check("broker", "ok", f"{settings.bootstrap} answers")]
        missing = sorted(wanted.keys() - {p.topic for p in found})
        if missing:
            return [*checks, Check("topics", "warn", f"missing: {', '.join(missing)}", "run `twin topics apply`")]
        events = settings.topic(topics.EVENTS)
        count = sum(p.topic == events for p in found)
        checks.append(Check("topics", "ok", f"all {len(wanted)} are there; {events} has {count} partitions"))
        consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False)
        stack.push_async_callback(consumer.stop)
        await consumer.start()
        return checks + await _clock(consumer, [p for p in found if p.topic == settings.topic(topics.LINES)])


async def _clock(consumer: "AIOKafkaConsumer", lines: list[Any]) -> list[Check]:
    """Newest record of `twin.lines` against this clock: workers stamp them with theirs."""
    ends = await consumer.end_offsets(lines)
    filled = [p for p in lines if ends[p] > 0]
    if not filled:
        return []
    consumer.assign(filled)
    for p in filled:
        consumer.seek(p, ends[p] - 1)
    runs = await consumer.getmany(timeout_ms=1000)
    stamps = [record.timestamp / 1000 for records in runs.values() for record in records]
    ahead = max(stamps, default=0.0) - time.time()
    if ahead > SKEW_S:
        advice = "set the clocks (NTP): live views and alerts of silent sources use them, audited rows do not"
        return [Check("clock", "warn", f"a worker's or the broker's clock is {ahead:.0f} s ahead of this one", advice)]
    return [Check("clock", "ok", "no record comes from the future")]
