"""A folder that follows a root in object storage, for readers that stay: `twin page`.

It changes as a root does under its workers: files before the entry that lists them, then rows that wait, and last goes
what no longer counts. So whoever reads it needs to know nothing of it. Mostly only what is behind the end of each
partition's list is asked for; all of the list now and then, for what was merged or pruned, which changes no row that
stays.
"""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from twin.audit import AuditError, filelist, layout, marker, objects, replayed, waiting
from twin.audit.fetch import ATTEMPTS, Cache, entries_listed, get_file, get_optional, is_plain, rows_behind, write
from twin.audit.filelist import Entry
from twin.store import FILES_TOGETHER, Found, Store, each, missing

# How often all of the list is read: a request for each thousand entries.
ALL_S: Final = 600.0


class Mirror:
    """`folder` is new and empty. `refresh` blocks, and is called by one thread at a time; readers may be at work."""

    def __init__(self, store: Store, folder: Path, cache: Cache, monotonic_s: Callable[[], float]) -> None:
        self.store, self.folder = store, folder
        self.whole = False  # it has been in step
        self._cache, self._monotonic_s = cache, monotonic_s
        self._listed: dict[str, Found] = {}
        self._entries: dict[str, Entry] = {}
        self._had: dict[str, str] = {}  # of each file its SHA-256
        self._all_at_s: float | None = None

    def refresh(self) -> None:
        """Bring it into step. After an error it is as it was, or nearer. Raises AuditError, StoreError."""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                self._refresh()
                self.whole = True
                return
            self._all_at_s = None
        raise AuditError(f"{self.store.url}: what is listed goes each time it is to be read; try again")

    def _refresh(self) -> None:
        """By one listing. Raises FileNotFoundError where it no longer holds."""
        every = self._all_at_s is None or self._monotonic_s() - self._all_at_s >= ALL_S
        shown = [one.key for one in self.store.listed(layout.WAITING) if waiting.is_visible(one.key)]
        listed = {one.key: one for one in entries_listed(self.store)} if every else self._newer(shown)
        changed = [key for key, one in listed.items() if self._listed.get(key) != one]
        names = objects.known(self.store, changed)
        read = dict(zip(names, each(lambda key: objects.read_entry(self.store, key), names), strict=True))
        pruned = {key: self.store.get(key)[0] for key in changed if key not in read}
        if (every and self._is_another(read, listed)) or (changed and self._is_planned_anew()):
            self._forget()
            raise missing(self.store, layout.FILES)
        if every or changed:
            self._others()
        self._files(list(read.values()), listed if every else None)
        entries = {key: entry for key, entry in (self._entries | read).items() if key in listed}
        behind = rows_behind(shown, entries.values())
        before = {path.relative_to(self.folder).as_posix() for path in waiting.visible(self.folder)}
        rows = {key: self.store.get(objects.rows_key(key))[0] for key in behind if key not in before}
        # Nothing before what was pruned is looked for from then on.
        for key, data in (pruned | {key: objects.encoded(one) for key, one in read.items()} | rows).items():
            write(self.folder / key, data)
        gone = self._listed.keys() - listed.keys()
        for key in [*gone, *(before - set(behind))]:
            (self.folder / key).unlink(missing_ok=True)
        merged = gone or any(key in self._entries for key in read)
        self._listed, self._entries = listed, entries
        if merged:
            self._tidy()
        if every:
            self._all_at_s = self._monotonic_s()

    def _is_another(self, read: dict[str, Entry], listed: dict[str, Found]) -> bool:
        """Whether what was known has gone, or is another, and neither a compaction nor a pruning has done it: a replay
        in the place of an earlier one."""
        if any(not entry.replaces and self._entries.get(key, entry) != entry for key, entry in read.items()):
            return True
        merged = [entry for entry in read.values() if entry.replaces]
        return any(
            layout.partition_folder(layout.FILES, one.partition) + f"/{filelist.PRUNED}" not in listed
            and not any(new.first_offset <= one.first_offset < new.next_offset for new in merged)
            for one in (self._entries[key] for key in self._entries.keys() - listed.keys())
        )

    def _is_planned_anew(self) -> bool:
        """Asked behind the entries: a replay puts its plan before them."""
        path = self.folder / replayed.PLAN
        try:
            return path.exists() and self.store.get(replayed.PLAN)[0] != path.read_bytes()
        except FileNotFoundError:
            return True

    def _forget(self) -> None:
        """Nobody gets an answer of two roots."""
        self.whole = False
        self._listed, self._entries, self._had = {}, {}, {}
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _newer(self, shown: list[str]) -> dict[str, Found]:
        """What was known, and what is behind it. A partition that is new has rows that wait."""
        last = {waiting.offsets_of(Path(key))[0]: "" for key in shown}
        for key in sorted(self._entries):
            last[self._entries[key].partition] = key
        found = each(lambda one: entries_listed(self.store, *one), last.items())
        return self._listed | {one.key: one for some in found for one in some if filelist.is_entry(one.key)}

    def _files(self, entries: list[Entry], listed: dict[str, Found] | None) -> None:
        files = [file for entry in entries for file in entry.files]
        there = each(
            lambda file: get_file(self.store, file, self.folder, self._cache, self._had), files, FILES_TOGETHER
        )
        # Merged since it was listed; or it is gone, which readers say then.
        if not all(there) and {one.key: one for one in entries_listed(self.store)} != listed:
            raise missing(self.store, layout.FILES)

    def _others(self) -> None:
        """Models, before any file names them; whose root it is; what a replay says of itself."""
        keys = [one.key for folder in (layout.MODELS, layout.REPLAY) for one in self.store.listed(folder)]
        for key in [*filter(is_plain, keys), filelist.WHOLE, marker.NAME]:
            if not (self.folder / key).exists():
                get_optional(self.store, key, self.folder)

    def _tidy(self) -> None:
        known = {self.folder / file.path for entry in self._entries.values() for file in entry.files}
        for path in layout.dated(self.folder):
            if path not in known:
                path.unlink(missing_ok=True)
