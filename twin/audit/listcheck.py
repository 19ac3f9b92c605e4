"""The list of what is published against what lies in the folders."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from twin.audit import AuditError, filelist
from twin.audit.filecheck import FileCheck
from twin.audit.intervals import Interval
from twin.audit.report import Report


def check_list(
    root: Path,
    found: Mapping[int, Sequence[Interval]],
    files: FileCheck,
    named: Container[str] | None,
    report: Report,
) -> None:
    """Every listed file is there and is what was listed; every file is listed, but for those of versions before the
    list, and those behind its end that a snapshot names: a worker publishes them just now.

    `found`: as the folders have it; `files`: what was found of each; `named`: by snapshots, None: there are none.
    """
    try:
        entries = filelist.entries(root)
    except AuditError:
        return  # told before
    whole = filelist.is_whole(root)
    there = {
        file.path.relative_to(root).as_posix(): file for group in found.values() for one in group for file in one.files
    }
    listed = {}
    begins, ends = {}, {}
    pruned = {partition: record.first_offset for partition, record in filelist.pruned(root).items()}
    for partition, mine in entries.items():
        mine = [entry for entry in mine if entry.first_offset >= pruned.get(partition, 0)]
        if not mine:
            continue
        begins[partition], ends[partition] = mine[0].first_offset, max(entry.next_offset for entry in mine)
        for entry in mine:
            report.checked["entries of the list"] += 1
            for file in entry.files:
                listed[file.path] = file
    for name, file in listed.items():
        if name not in there and not (root / name).exists():  # it may have come since
            report.differs(name, "is listed as published, but is not there")
        elif (sha256 := files.sha256.get(name, file.sha256)) != file.sha256:
            report.differs(name, f"was published with SHA-256 {file.sha256}, it has {sha256}: it was changed")
        elif name in files.said:
            schema, revised, without = files.said[name]
            # A query goes by the list: told that nothing was revised, it would count rows that no longer stand.
            if file.schema not in (0, schema) or file.revised not in (None, revised) or file.left_out != without:
                report.differs(
                    name, "is listed with another version, other columns or without its revisions: the list was changed"
                )
    unlisted = 0
    for name, published in there.items():
        if name in listed:
            continue
        older = not whole and published.next_offset <= begins.get(published.partition, published.next_offset)
        if older:
            continue
        if published.first_offset >= ends.get(published.partition, 0) and (named is None or name in named):
            unlisted += 1
        else:
            report.differs(name, "is not listed, so no reader of the list reads it: it was slipped in or renamed")
    if unlisted:
        report.notes.append(
            f"{unlisted} files behind the end of the list: a worker publishes them just now, or will when it starts"
        )
