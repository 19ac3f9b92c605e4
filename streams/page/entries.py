"""What operators enter, as events on the topic: a reason, a split, an undo; and what became of each.

Verbs that exist already (docs/events.md); checked as the worker will check them, and refused before they are sent
where `revise` no longer reaches. An entry has the number that its device gave it: sent twice, it is one. Nothing that
a person types becomes an event: reasons are ids of a list, and of a note only the salted hash is sent.
"""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pyarrow.compute as pc
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from kernels.codes import CLASS_NAMES
from streams import clock
from streams.client import AccessError
from streams.kafka.access import check_access, connection
from streams.kafka.partitioner import choose
from streams.kafka.topics import EVENTS
from streams.page.devices import Device
from streams.page.live import Live
from streams.page.stops import STOPPED, Now, now_of, reasons, reported, settles_ns
from streams.page.store import Kept, Store
from streams.page.tiles import Tiles
from streams.settings import Settings
from streams.tools.correct import CorrectionError, Salted, check, salted
from twin.plant.model import Line
from twin.report.rows import Row, dicts, select
from twin.report.spans import local, site_of
from twin.time.rfc3339 import parse_rfc3339

log = logging.getLogger(__name__)

SEND_LIMIT_S: Final = 10.0
MOST_EVENTS: Final = 256  # of one entry; a stop of more words is named as a whole
_PASSED_NS: Final = 2 * 3_600 * 10**9
MOST_LISTED: Final = 30
YOUNG_NS: Final = 60 * 10**9
_MOST_SKEW_NS: Final = 400 * 86_400 * 10**9


class EntryError(ValueError):
    """What cannot be entered, and why: for the person who did."""


class TakenError(EntryError):
    """The device has used this number for another entry: it has to take the next."""


class NotLiveError(RuntimeError):
    """Nobody knows at present what can be corrected: the entry waits."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As a device sends it. Instants are RFC 3339; `end` null: the stop goes on. `of`: the entry that is undone."""

    seq: int
    entered: str
    verb: Literal["reason", "split", "undo"]
    line: str
    station: str = ""
    start: str = ""
    end: str | None = None
    at: str = ""
    reason: str = ""
    first: str = ""
    cause: str = ""
    note: str = ""
    of: int = 0


_DECODER: Final = msgspec.json.Decoder(Entry)


def entry_of(body: bytes) -> Entry:
    """Raises EntryError."""
    try:
        made = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        raise EntryError(str(error)) from error
    if not 1 <= made.seq < 2**53 or len(made.note) > 1_000:
        raise EntryError("seq from 1 on, and a note of up to 1,000 characters")
    return made


class Entries:
    """Of all devices. `run` and `answer` are called in a thread, `send` on the loop."""

    def __init__(self, root: Path, settings: Settings, live: Live, tiles: Tiles, store: Store) -> None:
        self._root, self._settings, self._live, self._tiles, self._store = root, settings, live, tiles, store
        self._producer: AIOKafkaProducer | None = None
        self._partitions = 0
        self._lock = asyncio.Lock()

    def now(self, line: str, station: str) -> Now:
        """Raises NotLiveError."""
        seen = self._live.lines.get(line)
        if seen is None:
            raise NotLiveError(f"line {line} is not live: no worker has told of it")
        return now_of(self._live, self._tiles, line, station, seen.view.newest_ns)

    def make(self, device: Device, entry: Entry) -> Kept:
        """Check it and keep it, before anything is sent. Raises EntryError, NotLiveError, AuditError."""
        known = self._store.entry(device.id, entry.seq)
        body = {name: getattr(entry, name) for name in Entry.__struct_fields__ if name != "note"}
        if known is not None:
            if known.body != body:
                raise TakenError(f"number {entry.seq} of {device.id} was another entry; use the next")
            return known
        if not device.may_enter(entry.line):
            raise EntryError(f"{device.id} may not enter anything for line {entry.line}")
        site = site_of(self._root)
        if entry.line not in site.lines:
            raise EntryError(f"there is no line {entry.line!r}")
        line, plant = site.line(entry.line), site.plant(entry.line)
        before = self._undone(device, entry) if entry.verb == "undo" else None
        station = before.body["station"] if before else entry.station
        now = self.now(line.id, station)
        entered = _instant("entered", entry.entered)
        if abs(entered - clock.now_ns()) > _MOST_SKEW_NS:
            entered = clock.now_ns()
        note = salted(entry.note) if entry.note else None
        if before:
            until = before.until_ns
            made = [self._undo(one, station) for one in reversed(before.events)]
        else:
            made = self._events(line, station, entry, now)
            oldest = min([_instant("start", entry.start), *(int(one["corrects"]) for one in made if "corrects" in one)])
            until = settles_ns(line, oldest)
            self._known_reasons(site, line, station, now, entry)
        if line.revise_ns is None or until is None:
            raise EntryError(f"line {line.id} has no `revise` in its plant file: nothing can be corrected")
        if until < now.newest_ns:
            raise EntryError(f"too late: it could be corrected until {local(line.calendar.zone, until)}")
        said = self._store.times(line.id, now.newest_ns, len(made))
        events = [_whole(line, one, ts, device, entered, note, entry.cause) for one, ts in zip(made, said, strict=True)]
        for one in events:
            try:
                check(plant, one)
            except CorrectionError as error:
                raise EntryError(str(error)) from error
        kept = Kept(device.id, entry.seq, line.id, clock.now_ns(), body, events, until, None)
        if not self._store.keep(kept, [(note.note, note.salt, entry.note)] if note else []):
            return self.make(device, entry)  # the same came twice at once
        return kept

    def _undone(self, device: Device, entry: Entry) -> Kept:
        found = self._store.entry(device.id, entry.of)
        if found is None or found.line != entry.line or found.body["verb"] == "undo":
            raise EntryError(f"there is no entry {entry.of} of {device.id} to undo")
        return found

    def _undo(self, event: dict[str, Any], station: str) -> dict[str, Any]:
        return {"type": "correction", "station": station, "corrects": str(event["ts"]), "verb": "undo"}

    def _known_reasons(self, site: Any, line: Line, station: str, now: Now, entry: Entry) -> None:
        """A reason is an id of the list: free text would be kept for ever."""
        known = {one["id"] for one in reasons(self._root, site, line, station, now.newest_ns, "en")["all"]}
        for name in ("reason", "first"):
            said = getattr(entry, name)
            if said and said not in known:
                raise EntryError(f"{name}: not one of the reasons of {station}")

    def _events(self, line: Line, station: str, entry: Entry, now: Now) -> list[dict[str, Any]]:
        """What is said, without when and by whom."""
        if station not in [one.id for one in line.stations]:
            raise EntryError(f"line {line.id}: there is no station {station!r}")
        if not entry.reason:
            raise EntryError("reason: is missing")
        start = _instant("start", entry.start)
        end = None if entry.end is None else _instant("end", entry.end)
        if entry.verb == "reason":
            return self._reason(line, station, start, end, entry.reason, now)
        at = _instant("at", entry.at)
        if not start < at or (end is not None and at >= end):
            raise EntryError("at: lies within the stop, after its beginning")
        words = self._words(line, station, start, at)
        if not words:
            _young(start, now)
            raise EntryError("no event says that this station stood then")
        word = self._class_of(line, entry.reason) or words[-1]["state"]
        made = self._reason(line, station, words[-1]["ts"], at, entry.first, now) if entry.first else []
        return [*made, {"type": "state", "ts": at, "station": station, "state": word, "reason": entry.reason}]

    def _reason(
        self, line: Line, station: str, start: int, end: int | None, reason: str, now: Now
    ) -> list[dict[str, Any]]:
        """Each event of the stop by its own time: a stop that is split later keeps what is said of its parts."""
        found = self._words(line, station, start, 2**63 - 1 if end is None else end)
        klass = self._class_of(line, reason)
        said = {"reason": reason} | ({"state": klass} if klass else {})
        head = {"type": "correction", "station": station, **said}
        if not found:
            _young(start, now)
        if not found or len(found) > MOST_EVENTS:
            return [{**head, "corrects": str(start), "verb": "stop"}]
        return [{**head, "corrects": str(one["ts"])} for one in found]

    def _class_of(self, line: Line, reason: str) -> str | None:
        """The word of the time class that such a stop is of."""
        plant = site_of(self._root).plant(line.id)
        return next((one.time_class for one in plant.reasons if one.id == reason), None)

    def _words(self, line: Line, station: str, start: int, end: int) -> list[Row]:
        """Audited state events of a stop: the one that holds at its beginning, and those after it until `end`."""
        back = start - (line.revise_ns or 0) - line.lateness_ns
        rows = [row for row in reported(self._root, line, station, back, end) if row["type"] == "state"]
        rows.sort(key=lambda row: int(row["ts"]))
        words = next(one.states for one in line.stations if one.id == station)
        held = [row for row in rows if row["ts"] <= start][-1:]
        rows = held + [row for row in rows if start < row["ts"] < end]
        stands = [CLASS_NAMES[words[row["state"]]] in ("stopped", *STOPPED) for row in rows if row["state"] in words]
        if len(stands) < len(rows):
            return []
        last = stands.index(False) if False in stands else len(stands)
        return rows[:last]

    async def send(self, kept: Kept) -> Kept:
        """To Kafka, unless it is there. Raises KafkaError, AccessError, TimeoutError: it is kept, and is sent again."""
        if kept.places is not None:
            return kept
        topic = self._settings.topic(EVENTS)
        places: list[tuple[int, int]] = []
        async with self._lock, asyncio.timeout(SEND_LIMIT_S):
            producer = await self._ready(topic)
            key = kept.line.encode()
            partition = choose(self._settings.partitioner, key, self._partitions)
            for event in kept.events:
                sent = await producer.send_and_wait(topic, msgspec.json.encode(event), key=key, partition=partition)
                places.append((partition, sent.offset))
        await asyncio.to_thread(self._store.sent, kept.device, kept.seq, places)
        return replace(kept, places=places)

    async def _ready(self, topic: str) -> AIOKafkaProducer:
        if self._producer is None:
            await check_access(self._settings)
            made = AIOKafkaProducer(**connection(self._settings), enable_idempotence=True, acks="all")
            try:
                await made.start()
                found = (await made.client.fetch_all_metadata()).partitions_for_topic(topic)
                if not found:
                    raise AccessError(f"topic {topic} is missing: run `twin topics apply`")
            except BaseException:
                await made.stop()
                raise
            self._producer, self._partitions = made, len(found)
        return self._producer

    async def reset(self) -> None:
        """After an error, and at the end."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await producer.stop()
            except KafkaError as error:
                log.warning("page: %s", error)

    def answer(self, kept: Kept) -> dict[str, Any]:
        """What became of an entry: waiting, sent, refused (why), seen (with the revision)."""
        places = kept.places
        said: dict[str, Any] = {
            "seq": kept.seq,
            "line": kept.line,
            **{name: kept.body[name] for name in ("verb", "station", "start", "end", "at", "reason", "first", "of")},
            "state": "waiting" if places is None else "sent",
            "offset": None if places is None else places[-1][1],
            "partition": None if places is None else places[-1][0],
            "revision": None,
            "why": None,
        }
        if places is None:
            return said
        refused = self._refused(kept, places)
        if refused:
            return {**said, "state": "refused", "why": refused}
        revision = self._seen(kept)
        return said if revision is None else {**said, "state": "seen", "revision": revision}

    def _refused(self, kept: Kept, places: list[tuple[int, int]]) -> str | None:
        offsets = [offset for _, offset in places]
        where = (pc.field("source_partition") == places[0][0]) & pc.field("source_offset").isin(offsets)
        # A refusal is foldered by its event's time; that of a split may lie far back.
        rows = dicts(select(self._root, "rejected", line=kept.line, where=where))
        return f"{rows[0]['reason']}: {rows[0]['detail']}" if rows else None

    def _seen(self, kept: Kept) -> int | None:
        """The revision of the row that says so. None: not yet, or the stop goes on and has no row."""
        body = kept.body
        if body["verb"] == "undo":
            undone = self._store.entry(kept.device, body["of"])
            if undone is None:
                return None
            body = undone.body
            if not self._passed(kept):  # else the row says it because nothing has happened yet
                return None
        at = _instant("at", body["at"] if body["verb"] == "split" else body["start"])
        wanted = pc.field("station") == body["station"]
        rows = dicts(select(self._root, "states", at, at + 1, line=kept.line, where=wanted))
        for row in rows:
            says = row["reason"] == body["reason"] and (body["verb"] != "split" or row["start"] == at)
            if says != (kept.body["verb"] == "undo"):
                return int(row["revision"])
        return None

    def _passed(self, kept: Kept) -> bool:
        """Whether the line has rows that were made behind the entry's last event."""
        assert kept.places
        partition, offset = kept.places[-1]
        so_far = self._tiles.so_far.get(kept.line)
        begin = max(0, so_far.newest_ns - _PASSED_NS) if so_far else 0
        made = (pc.field("source_partition") == partition) & (pc.field("source_offset") >= offset)
        return bool(select(self._root, "kpis", begin, line=kept.line, where=made).num_rows)

    def entries(self, device: Device, line: str) -> list[dict[str, Any]]:
        return [self.answer(one) for one in self._store.newest(device.id, line, MOST_LISTED)]


def _whole(
    line: Line, event: dict[str, Any], ts: int, device: Device, entered: int, note: Salted | None, cause: str
) -> dict[str, Any]:
    made = {"ts": ts, **event, "line": line.id, "by": device.id, "entered": entered}
    if note is not None:
        made["note"] = note.note
    if cause:
        made["cause"] = cause
    return made


def _young(start: int, now: Now) -> None:
    """Raises NotLiveError where the event of a stop is so new that it may not be audited yet: it waits."""
    if now.newest_ns - start < YOUNG_NS:
        raise NotLiveError("the audit does not have the event of this stop yet")


def _instant(name: str, text: str) -> int:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise EntryError(f"{name}: {error}") from error
