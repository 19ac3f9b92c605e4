"""Records that make the fold itself fail: noted before the process ends, so that the replay finds the one and sets it
aside instead of failing for ever.

A failure half way through a run leaves a state that nobody can vouch for, so the process ends and replays. Where it
failed is written down first. After the restart the records of that run are folded one at a time, so the note narrows to
one offset; one that has failed three times is refused as `internal_error` before the fold sees it.

A crash of the process (a fault in machine code, the kernel's out-of-memory killer) leaves no time to write. So every
start counts itself, and from the third one at the same offset on each piece is noted before it is folded. Rejected:
doing so always, which costs an fsync per run for a fault that most plants never see.

There is one file per partition, beside the snapshots, so the note moves with the partition to another worker:
JSON, then a newline and its SHA-256. It is removed once the committed offset has passed it.
"""

import contextlib
import hashlib
import logging
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from faust.types import TP

from streams import exits
from streams.kafka.records import Records
from streams.state import files
from twin.audit import layout
from twin.store import Store

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 3  # of one offset
MOST_STARTS: Final = 3  # at one offset, before each piece is noted ahead
VERSION: Final = 1
_SHA_CHARS: Final = 64
_MAX_NOTE_BYTES: Final = 16 << 20
_MAX_ERROR_CHARS: Final = 4_000  # what a header of the rejected topic holds (streams.worker.publish) is as long
_MAX_MESSAGE_CHARS: Final = 1_000
_FRAMES: Final = 40  # of a traceback, the innermost
# Not of the record: it is bounded (docs/events.md), so the machine is too small or its disk is broken. Should such a
# failure come back at the same place, the starts count it.
NOT_OF_A_RECORD: Final = (MemoryError, OSError)


class NoteError(ValueError):
    """A note that cannot be read; says why."""


class Suspect(msgspec.Struct, forbid_unknown_fields=True):
    """Offsets `first` to `last` (both included) of which one made the fold fail."""

    first: int
    last: int
    failures: int
    error: str

    @property
    def exhausted(self) -> bool:
        return self.first == self.last and self.failures >= MOST_FAILURES


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """What is remembered of one partition."""

    topic: str
    partition: int
    start: int = -1  # the offset the newest start stood at
    starts: int = 0  # in a row at it
    suspects: list[Suspect] = []
    trying: tuple[int, int] | None = None  # being folded; found after a start, the process died of it
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Piece:
    """Records to fold in one go; with `aside`, one record to be refused, and why."""

    records: Records
    aside: str | None = None


def encode(note: Note) -> bytes:
    body = msgspec.json.encode(note)
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode()


def decode(data: bytes) -> Note:
    """Raises NoteError."""
    body, rest = data[: -_SHA_CHARS - 1], data[-_SHA_CHARS - 1 :]
    if len(data) > _MAX_NOTE_BYTES or rest != b"\n" + hashlib.sha256(body).hexdigest().encode():
        raise NoteError("checksum does not match: cut off or damaged")
    try:
        note = msgspec.json.decode(body, type=Note)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoteError(f"not a note ({error})") from error
    if note.version != VERSION:
        raise NoteError(f"has version {note.version}, this software reads {VERSION}")
    return note


def told(error: BaseException) -> str:
    """An error and its traceback, on one line, since it has to fit a header. Of paths the last two parts: the rest is
    the host's.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{'/'.join(Path(f.filename).parts[-2:])}:{f.lineno} {f.name}" for f in frames]
    text = f"{type(error).__name__}: {str(error)[:_MAX_MESSAGE_CHARS]}; at "
    while len(text) + len(" > ".join(places)) > _MAX_ERROR_CHARS:
        del places[0]  # the innermost say most
    return " ".join(f"{text}{' > '.join(places) or 'no place'}".split())


class Notes:
    """The note of one partition, from its first run after a start on. Its files are small and written in the loop."""

    def __init__(self, folder: Path, tp: TP, next_offset: int, store: Store | None = None) -> None:
        """Read what an earlier start left, count this one. `store`: of the snapshots, in place of their folder."""
        name = f"note-{layout.partition_name(tp.partition)}.json"
        self._place: files.Place = files.File(folder / name) if store is None else files.Object(store, name)
        self._where = f"{tp.topic}/{tp.partition}"
        self.note = self._read(tp)
        if self.note.trying is not None:
            first, last = self.note.trying
            self.note.trying = None
            self._blame(first, last, "the process ended without a word while it folded this (a crash, or no memory)")
        self.note.starts = self.note.starts + 1 if self.note.start == next_offset else 1
        self.note.start = next_offset
        self.ahead = self.stuck or bool(self.note.suspects)
        if self.ahead:
            log.warning(
                "%s: start %d at offset %d without progress, suspected: %s; what is folded is noted first",
                *(self._where, self.note.starts, next_offset),
                ", ".join(f"{s.first} to {s.last} ({s.failures} failures)" for s in self.note.suspects)
                or "nothing yet",
            )
        # Counts the starts that a record ends: those outlive it. When power fails it was no record, and to write it
        # down for good held up the first fold of 1,000 partitions for seconds.
        self._write(durable=bool(self.note.suspects))

    @property
    def suspects(self) -> list[Suspect]:
        return self.note.suspects

    @property
    def stuck(self) -> bool:
        """Whether start after start has come no further."""
        return self.note.starts >= MOST_STARTS

    def pieces(self, due: Records) -> Iterator[Piece]:
        """Cut records into what may be folded in one go: all of them, unless some are suspected."""
        certain = {suspect.first: suspect for suspect in self.note.suspects if suspect.exhausted}
        begin = 0
        for i, offset in enumerate(due.offsets.tolist() if self.note.suspects else ()):
            suspect = certain.get(offset) or next((s for s in self.note.suspects if s.first <= offset <= s.last), None)
            if suspect is None:
                continue
            if begin < i:
                yield Piece(due[begin:i])
            begin = i + 1
            yield Piece(due[i:begin], self._aside(offset, suspect) if suspect.exhausted else None)
        if begin < len(due):
            yield Piece(due[begin:])

    def set_aside_again(self, offsets: Iterable[int]) -> None:
        """Records that are set aside in what is published: a replay that is compared with it must do the same."""
        error = "it was set aside before, as `rejected` says"
        known = {suspect.first for suspect in self.note.suspects if suspect.exhausted}
        self.note.suspects += [Suspect(at, at, MOST_FAILURES, error) for at in sorted(set(offsets) - known)]

    def _aside(self, offset: int, suspect: Suspect) -> str:
        log.error(
            "%s: the record at offset %d made the fold fail %d times and is set aside in `rejected`: %s",
            *(self._where, offset, suspect.failures, suspect.error),
        )
        return f"the fold failed {suspect.failures} times on this record, which is a fault of the twin: {suspect.error}"

    @contextlib.contextmanager
    def folding(self, piece: Piece) -> Iterator[None]:
        """Around the fold of a piece and nothing else. Ends the process when it fails."""
        first, last = int(piece.records.offsets[0]), int(piece.records.offsets[-1])
        if self.ahead:
            self.note.trying = (first, last)
            self._write()
        try:
            yield
        except NOT_OF_A_RECORD:
            raise
        except Exception as error:
            self._end(first, last, error)

    def folded(self) -> None:
        """A run is through: should the process die now, it is not of its records."""
        if self.note.trying is not None:
            self.note.trying = None
            self._write()

    def passed(self, committed: int) -> None:
        """An offset was committed: what lies before it is forgotten."""
        if committed <= self.note.start:
            return
        kept = [suspect for suspect in self.note.suspects if suspect.last >= committed]
        self.note.start, self.note.starts = committed, 1
        self.note.suspects, self.ahead = kept, bool(kept)
        if kept:
            self._write()
        else:
            with contextlib.suppress(OSError):
                self._place.remove()

    def _end(self, first: int, last: int, error: Exception) -> NoReturn:
        self.note.trying = None
        suspect = self._blame(first, last, told(error))
        self._write()
        place = f"offset {first}" if first == last else f"an offset of {first} to {last}"
        what = "it is set aside at the next start" if suspect.exhausted else "a restart replays it"
        exits.end_now(
            exits.INTERNAL,
            f"{self._where}: folding {place} failed, {suspect.failures} of {MOST_FAILURES} times ({error!r}); {what}",
            error,
        )

    def _blame(self, first: int, last: int, error: str) -> Suspect:
        """Count a failure of these offsets; where they were suspected together with others, the others are cleared."""
        overlapping = [s for s in self.note.suspects if s.first <= last and first <= s.last and not s.exhausted]
        failures = max((s.failures for s in overlapping), default=0) + 1
        suspect = Suspect(first, last, failures, error)
        kept = [s for s in self.note.suspects if s not in overlapping]
        self.note.suspects = sorted([*kept, suspect], key=lambda s: s.first)
        return suspect

    def _read(self, tp: TP) -> Note:
        fresh = Note(tp.topic, tp.partition)
        try:
            note = decode(self._place.read())
        except FileNotFoundError:
            return fresh
        except (OSError, NoteError) as error:
            log.warning("%s: %s; starting without it: a record that fails is looked for again", self._place, error)
            return fresh
        if (note.topic, note.partition) != (tp.topic, tp.partition):
            log.warning("%s: is of %s/%d; starting without it", self._place, note.topic, note.partition)
            return fresh
        return note

    def _write(self, *, durable: bool = True) -> None:
        """Without the note the next start only knows less, so a disk that takes none is no reason to end."""
        try:
            self._place.write(encode(self.note), durable=durable)
        except OSError as error:
            log.warning("%s: cannot be written (%s); a record that fails may take longer to find", self._place, error)
