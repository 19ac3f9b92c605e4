"""What the page itself keeps: the entries of its devices, so that one sent twice is one, and the notes.

All of it may be erased: the audit root has the events, and of a note its salted hash only. A file of SQLite that
overwrites what it deletes; several pages on one machine may share it.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_DAY_NS: Final = 86_400 * 10**9
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS entries (
  device TEXT NOT NULL, seq INTEGER NOT NULL, line TEXT NOT NULL, taken_ns INTEGER NOT NULL, body TEXT NOT NULL,
  events TEXT NOT NULL, until_ns INTEGER, places TEXT, PRIMARY KEY (device, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (
  hash TEXT PRIMARY KEY, salt TEXT NOT NULL, text TEXT NOT NULL, line TEXT NOT NULL, taken_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (line TEXT PRIMARY KEY, ns INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry: what the device sent (`body`), what became of it. `places`: (partition, offset) of each event; None:
    Kafka has not said yet that it has them. `until_ns`: line time until which it can be undone."""

    device: str
    seq: int
    line: str
    taken_ns: int
    body: dict[str, Any]
    events: list[dict[str, Any]]
    until_ns: int | None
    places: list[tuple[int, int]] | None


class Store:
    def __init__(self, path: Path) -> None:
        """Raises OSError and sqlite3.Error."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with self._open() as db:
            db.executescript(_TABLES)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10.0)) as db:
            # What is deleted is overwritten, and no second file keeps it.
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA journal_mode = DELETE")
            with db:
                yield db

    def entry(self, device: str, seq: int) -> Kept | None:
        found = self._entries("WHERE device = ? AND seq = ?", (device, seq))
        return found[0] if found else None

    def newest(self, device: str, line: str, most: int) -> list[Kept]:
        return self._entries("WHERE device = ? AND line = ? ORDER BY seq DESC LIMIT ?", (device, line, most))

    def _entries(self, where: str, values: tuple[Any, ...]) -> list[Kept]:
        text = f"SELECT device, seq, line, taken_ns, body, events, until_ns, places FROM entries {where}"  # noqa: S608
        with self._open() as db:
            rows = db.execute(text, values).fetchall()
        return [
            Kept(device, seq, line, taken, json.loads(body), json.loads(events), until, _places(places))
            for device, seq, line, taken, body, events, until, places in rows
        ]

    def keep(self, one: Kept, notes: list[tuple[str, str, str]]) -> bool:
        """Before it is sent. `notes`: (hash, salt, text). False: the device has sent this number before."""
        row = (one.device, one.seq, one.line, one.taken_ns, json.dumps(one.body), json.dumps(one.events), one.until_ns)
        with self._open() as db:
            done = db.execute("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", row)
            if done.rowcount:
                db.executemany(
                    "INSERT OR IGNORE INTO notes VALUES (?, ?, ?, ?, ?)",
                    [(*note, one.line, one.taken_ns) for note in notes],
                )
        return bool(done.rowcount)

    def sent(self, device: str, seq: int, places: list[tuple[int, int]]) -> None:
        with self._open() as db:
            db.execute("UPDATE entries SET places = ? WHERE device = ? AND seq = ?", (json.dumps(places), device, seq))

    def times(self, line: str, newest_ns: int, count: int) -> list[int]:
        """`count` instants of the line at which something is said now: by them it can be named, so none comes twice."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute("SELECT ns FROM said WHERE line = ?", (line,)).fetchone()
            first = max(newest_ns, (row[0] if row else 0) + 1)
            db.execute("INSERT OR REPLACE INTO said VALUES (?, ?)", (line, first + count - 1))
        return list(range(first, first + count))

    def notes(self) -> list[tuple[str, str, str]]:
        """(hash, salt, text) of all that are not erased."""
        with self._open() as db:
            return db.execute("SELECT hash, salt, text FROM notes ORDER BY hash").fetchall()

    def erase(self, before_ns: int) -> int:
        """Notes and entries that were taken before this wall time. How many notes."""
        with self._open() as db:
            notes = db.execute("DELETE FROM notes WHERE taken_ns < ?", (before_ns,)).rowcount
            db.execute("DELETE FROM entries WHERE taken_ns < ?", (before_ns,))
        return notes

    def erase_old(self, keep_days: int, now_ns: int) -> int:
        return self.erase(now_ns - keep_days * _DAY_NS)


def _places(text: str | None) -> list[tuple[int, int]] | None:
    return None if text is None else [(int(partition), int(offset)) for partition, offset in json.loads(text)]
