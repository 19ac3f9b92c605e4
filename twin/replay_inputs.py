"""What a replay is of: its logs by name and hash."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from twin.audit import filelist, layout
from twin.audit.replayed import Named, Plan, plan_of
from twin.plant import SourceRule
from twin.plant.model import Plant
from twin.sources import Mapping, is_events, mapped
from twin.sources.parquet import event_files


def plan_for(
    plant: Plant,
    paths: Sequence[str],
    mapping: Mapping | None,
    mapping_file: str | None,
    *,
    rules: Sequence[SourceRule] | None = None,
    sets: Sequence[str] = (),
    shares: int = 1,
    partitioner: str = "",
) -> Plan:
    """The plan of a replay of these logs, each read once for its hash; of an audit root the list says it.

    Raises MappingError, SourceError, AuditError, OSError.
    """
    found = mapped(paths, plant, mapping, rules)
    files = sorted({file for _, _, file in found if file is not None})
    mappings = [Path(mapping_file)] if mapping_file is not None else files
    digest = hashlib.sha256()
    for file in mappings:
        digest.update(layout.sha256_of(file).encode())
    logs: list[Named] = []
    for log, chosen, _ in found:
        if is_events(log, chosen):
            logs += _events(log.path)
        elif not logs or logs[-1].name != log.path.name or log.member is None:  # of an archive's members the first
            logs.append(_named(log.path, log.path.name))
    return plan_of(
        plant,
        shares=shares,
        partitioner=partitioner,
        sets=sets,
        logs=logs,
        audited=all(is_events(log, chosen) for log, chosen, _ in found),
        mapping=digest.hexdigest() if mappings else "",
    )


def _events(root: Path) -> Iterator[Named]:
    listed = {
        root / file.path: file.sha256
        for entries in (filelist.entries(root) if root.is_dir() else {}).values()
        for entry in entries
        for file in entry.files
    }
    for path in event_files(root):
        yield _named(path, path.relative_to(root).as_posix() if root.is_dir() else path.name, listed.get(path, ""))


def _named(path: Path, name: str, sha256: str = "") -> Named:
    return Named(name, path.stat().st_size, sha256 or layout.sha256_of(path))
