"""Compactions: what stands for other files does so by the list, by its footers and in the chain; and who did it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from twin.audit import AuditError, filelist
from twin.audit.filecheck import Checked
from twin.audit.filelist import Entry, hashes_in_order
from twin.audit.intervals import Interval, contents
from twin.audit.read import chain_end
from twin.audit.report import Report


class CompactCheck:
    """Checks the compacted intervals of a root into a report."""

    def __init__(self, root: Path, report: Report, *, is_export: bool) -> None:
        self._root = root
        self._report = report
        self._is_export = is_export
        self._compacted: dict[tuple[int, int], Entry] = {}  # (partition, first offset) -> as listed
        self._compactions: dict[int, list[Entry]] = {}  # those that were found, by offset

    def without_replaced(self, found: Mapping[int, list[Interval]]) -> dict[int, list[Interval]]:
        """What lies in the folders, but for what a compaction has left there or not yet listed: that is told here."""
        try:
            intents, listed = filelist.intents(self._root), filelist.entries(self._root)
        except AuditError:
            return dict(found)  # told elsewhere
        self._compacted = {
            (entry.partition, entry.first_offset): entry for mine in listed.values() for entry in mine if entry.replaces
        }
        beside = {file.path for entry in self._compacted.values() for file in entry.replaces}
        for entry in intents:
            self._report.differs(
                filelist.intent_name(entry),
                "a compaction is at work, or was cut off: who reads folders and not the list may see rows twice; call "
                "twin audit compact again",
            )
            if (
                entry.name not in {one.name for one in listed.get(entry.partition, ())}
                or self._compacted.get((entry.partition, entry.first_offset)) != entry
            ):
                beside.update(file.path for file in entry.files)
        known = {file.path for entry in intents for file in (*entry.replaces, *entry.files)}
        stays: dict[int, list[Interval]] = {}
        for partition, mine in found.items():
            stays[partition] = []
            for one in mine:
                names = [file.path.relative_to(self._root).as_posix() for file in one.files]
                if not beside.issuperset(names):
                    stays[partition].append(one)
                elif not known.issuperset(names):
                    self._report.differs(
                        names[0], "is there beside the file that a compaction made of it: its rows are there twice"
                    )
        return {partition: mine for partition, mine in stays.items() if mine}

    def stands_for(self, interval: Interval, last: Checked, seen: dict[str, str]) -> Checked:
        """Files of a compaction: the chain goes on behind them as behind those that they replace."""
        entry = self._compacted.get((interval.partition, interval.first_offset))
        keys = last.footer
        if entry is None:
            if not self._is_export:  # an export has no list, and names all its files itself
                self._report.differs(last.name, "says that it replaces other files, but the list names none")
            return replace(last, sha256=keys["replaces"])
        self._report.checked["compacted intervals"] += 1
        names = entry.replaces[-1].sha256, str(len(entry.replaces)), hashes_in_order(entry.replaces)
        if names != (keys["replaces"], keys.get("replaced"), keys.get("replaced_sha256")):
            self._report.differs(last.name, f"replaces other files than {entry.name} says: one of the two was changed")
        seen.update({file.sha256: file.path for file in entry.replaces})
        self._compactions.setdefault(interval.partition, []).append(entry)
        return replace(last, sha256=entry.replaces[-1].sha256)

    def note(self, partition: int, seen: dict[str, str]) -> None:
        """Who and when; and a hash over them to be noted, for the chain behind them says nothing of the new files."""
        mine = self._compactions.get(partition, [])
        if not mine:
            return
        noted = ""
        for noted, entry in zip(_noted(self._root, mine), mine, strict=True):
            seen[noted] = entry.name
        old, new = sum(len(entry.replaces) for entry in mine), sum(len(entry.files) for entry in mine)
        who = ", ".join(sorted({f"{entry.by} at {entry.at}" for entry in mine}))
        self._report.notes.append(
            f"partition {partition}: {old} files up to offset {mine[-1].next_offset} were merged into {new} by {who}. "
            "An end of the chain does not cover the new files: note this as well, and give it as --tail: "
            f"{partition}:{noted}"
        )


def _noted(root: Path, compacted: Sequence[Entry]) -> Iterator[str]:
    """The hash to be noted up to each of a partition's compactions."""
    found = hashlib.sha256()
    for entry in compacted:
        found.update((root / entry.name).read_bytes())
        yield found.hexdigest()


def ends(root: Path) -> list[tuple[int, int, str]]:
    """(partition, next offset, SHA-256) of the ends of all chains, and of what was compacted. Raises AuditError."""
    entries = filelist.entries(root)
    found = []
    for partition, mine in contents(root).published.items():
        *_, last = mine
        found.append((partition, last.next_offset, chain_end(last.files[-1])))
        compacted = [entry for entry in entries.get(partition, ()) if entry.replaces]
        found += [(partition, compacted[-1].next_offset, noted) for noted in list(_noted(root, compacted))[-1:]]
    return found
